#!/usr/bin/env node
/**
 * What `import 'switchback'` and the first decision from a flags file cost a process that starts, and
 * which modules they load. Usage: npm run build && node bench/start-up.mjs
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join, relative } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { median, table } from './measure.mjs'
import { aim } from './peers/report.mjs'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const LIBRARY = pathToFileURL(join(ROOT, 'dist/index.mjs')).href
const CONTROL_PLANE = /^(?:@grpc\/|ajv|fastify|jsonc-parser|pino|uplot|yaml)/
const FLAGS = {
  flags: {
    'use-redis': {
      state: 'ENABLED',
      variants: { on: true, off: false },
      defaultVariant: 'off',
      targeting: {
        fractional: [
          ['on', 50],
          ['off', 50],
        ],
      },
    },
  },
}

const programs = (file) => ({
  'node alone': '',
  "import 'switchback'": `await import('${LIBRARY}')`,
  'import, then the first decision from a file': `
    const { flagsFromEnvironment } = await import('${LIBRARY}')
    const source = await flagsFromEnvironment({
      FLAGD_RESOLVER: 'file', FLAGD_OFFLINE_FLAG_SOURCE_PATH: ${JSON.stringify(file)},
    })
    const decider = source.createDecider({ flag: 'use-redis' })
    const { source: from } = await decider.decide({ targetingKey: 'user-7' })
    if (from !== 'live') throw new Error(from)`,
})

export async function measure({ rounds }) {
  const directory = mkdtempSync(join(tmpdir(), 'switchback-start-up-'))
  try {
    const file = join(directory, 'flags.json')
    writeFileSync(file, JSON.stringify(FLAGS))
    const runs = Object.entries(programs(file)).map(([name, program], i) => {
      const path = join(directory, `${i}.mjs`)
      writeFileSync(path, timed(program))
      return { name, path, inside: [], cpu: [], whole: [] }
    })
    for (let round = -1; round < rounds; round += 1) {
      for (const { path, inside, cpu, whole } of runs) {
        const started = performance.now()
        const { stdout } = await promisify(execFile)(process.execPath, [path])
        const wholeMs = performance.now() - started
        const [insideMs, cpuMs] = JSON.parse(stdout)
        if (round < 0) continue
        inside.push(insideMs)
        cpu.push(cpuMs)
        whole.push(wholeMs)
      }
    }
    const modules = await modulesOf(directory)
    const own = modules.filter((name) => name.startsWith('dist/'))
    const packages = new Set(
      modules
        .filter((name) => name.includes('node_modules/'))
        .map((name) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(name)[1]),
    )
    const control = [...packages].filter((name) => CONTROL_PLANE.test(name))
    const ms = median(runs[2].inside)
    return {
      tables: [
        {
          title: 'Start-up, each in a process of its own',
          headings: ['program', 'inside, ms', 'spread', 'CPU inside, ms', 'whole process, ms'],
          rows: runs.map(({ name, inside, cpu, whole }) => [
            name,
            median(inside).toFixed(0),
            `${Math.min(...inside).toFixed(0)}-${Math.max(...inside).toFixed(0)}`,
            median(cpu).toFixed(0),
            median(whole).toFixed(0),
          ]),
        },
        {
          title: "Modules that `import 'switchback'` loads",
          headings: ['what', 'count', 'which'],
          rows: [
            ['of Switchback', own.length, own.map((name) => basename(name)).join(', ')],
            ['of the control plane', control.length, control.join(', ')],
            [
              'of packages',
              modules.length - own.length,
              [...packages].sort((a, b) => a.localeCompare(b)).join(', '),
            ],
          ],
        },
      ],
      aims: [
        aim(
          'start-up: import and first decision (file mode)',
          '<= 60 ms',
          `${ms.toFixed(0)} ms`,
          ms <= 60,
        ),
        aim(
          "`import 'switchback'` loads nothing of the control plane",
          '0 modules',
          `${control.length}`,
          control.length === 0,
        ),
      ],
    }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** Prints the milliseconds of wall time and of CPU that the program took, and ends. */
function timed(program) {
  return `const began = performance.now()
const cpu = process.cpuUsage()
${program}
const { user, system } = process.cpuUsage(cpu)
console.log(JSON.stringify([performance.now() - began, (user + system) / 1000]))
process.exit(0)
`
}

/** Every file that is loaded, ES modules by a hook, CommonJS ones from the cache of \`require\`. */
async function modulesOf(directory) {
  const hooks = join(directory, 'hooks.mjs')
  writeFileSync(
    hooks,
    `let port
export function initialize(given) { port = given.port }
export async function load(url, context, next) {
  port.postMessage(url)
  return next(url, context)
}`,
  )
  const program = join(directory, 'modules.mjs')
  writeFileSync(
    program,
    `import { createRequire, register } from 'node:module'
import { setImmediate } from 'node:timers/promises'
const { port1, port2 } = new MessageChannel()
const urls = new Set()
port1.on('message', (url) => urls.add(url))
register(${JSON.stringify(pathToFileURL(hooks).href)}, { data: { port: port2 }, transferList: [port2] })
await import('${LIBRARY}')
for (let i = 0; i < 20; i += 1) await setImmediate()
for (const path of Object.keys(createRequire(import.meta.url).cache)) urls.add('file://' + path)
console.log(JSON.stringify([...urls]))
process.exit(0)`,
  )
  const { stdout } = await promisify(execFile)(process.execPath, [program], { maxBuffer: 2 ** 24 })
  return JSON.parse(stdout)
    .filter((url) => url.startsWith('file:'))
    .map((url) => relative(ROOT, fileURLToPath(url)))
}

if (process.argv[1] === import.meta.filename) {
  for (const { headings, rows } of (await measure({ rounds: 11 })).tables) {
    console.log(`${table(headings, rows)}\n`)
  }
}
