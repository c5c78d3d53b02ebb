// `npm run test:consumers [-- name ...]`: installs the packed package as its users do and runs it. Each
// folder of test/consumers/ is a project of one kind; `examples` are those of examples/; `managers` is every package manager on every
// Node.js that is supported, `drivers` the file store's SQLite on each, and `clone` holds what `npm pack` makes
// of a clean clone to what was packed here. What they need comes from the registry, or from npm's cache of it.
import { execFileSync, spawn } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { tryExample } from './try-example.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const consumers = join(root, 'test', 'consumers')
const NAMES = [
  'threads',
  'jest',
  'esbuild',
  'typescript',
  'nestjs',
  'keyv-unstorage',
  'examples',
  'managers',
  'drivers',
  'clone',
]
/** What `npm start` of an example runs last, and what it builds before. */
const EXAMPLES = {
  fastify: { build: ['npx', 'tsc'], run: ['node', 'dist/app.js'] },
  express: { run: ['node', 'app.js'] },
  nestjs: { build: ['npx', 'nest', 'build'], run: ['node', 'dist/main.js'] },
  worker: { run: ['node', 'main.mjs'] },
  'own-prometheus': { run: ['node', 'app.mjs'] },
}
const NODES = ['20', '22', '24']
/** Of the text of a chunk, in its name. */
const HASH = /-[\w-]{8}(?=\.c?js$)/gm
/** Peers of peers are installed by npm and pnpm, and named by hand for yarn. */
const MANAGERS = {
  npm: (file) => ['npm', 'install', '--engine-strict', '--no-audit', '--no-fund', file],
  yarn: (file) => ['npx', '-y', 'yarn@1', 'add', '--non-interactive', file],
  pnpm: (file) => ['npx', '-y', 'pnpm@10', 'add', '--engine-strict', file],
}

const asked = process.argv.slice(2)
const scratch = mkdtempSync(join(tmpdir(), 'switchback-consumers-'))
const failed = []
try {
  const tarball = pack()
  for (const name of asked.length === 0 ? NAMES : asked) {
    if (name === 'managers') await managers(tarball)
    else if (name === 'drivers') await drivers()
    else if (name === 'examples') await examples(tarball)
    else if (name === 'clone') await step(name, () => clone(tarball))
    else {
      await step(name, async () => {
        const project = copy(name)
        await run(project, [...MANAGERS.npm(tarball), '--prefer-offline'])
        await run(project, ['npm', 'run', '--silent', 'check'])
      })
    }
  }
} finally {
  rmSync(scratch, { recursive: true, force: true })
}
if (failed.length > 0) console.log(`failed: ${failed.join(', ')}`)
process.exitCode = failed.length === 0 ? 0 : 1

async function managers(tarball) {
  for (const version of NODES) {
    const node = nodeOf(version)
    const env = { PATH: `${dirname(node)}${delimiter}${process.env.PATH}` }
    for (const [manager, install] of Object.entries(MANAGERS)) {
      await step(`${manager} on Node.js ${version}`, async () => {
        const project = copy('plain')
        await run(project, install(tarball), env)
        const files = version === '20' ? [] : ['--files']
        for (const main of ['main.mjs', 'main.cjs'])
          await run(project, ['node', main, ...files], env)
        await run(project, [join('node_modules', '.bin', 'switchback'), '--version'], env)
      })
    }
  }
}

/** Each by its two commands: the install, from the packed package, and the start. */
async function examples(tarball) {
  const folder = join(scratch, 'examples')
  cpSync(join(root, 'examples'), folder, {
    recursive: true,
    filter: (path) => !path.includes('node_modules'),
  })
  for (const [name, { build, run: command }] of Object.entries(EXAMPLES)) {
    await step(`example ${name}`, async () => {
      const project = join(folder, name)
      // Without --engine-strict: fastify's cookie@2 wants Node.js 22.
      const install = MANAGERS.npm(tarball).filter((arg) => arg !== '--engine-strict')
      await run(project, [...install, '--prefer-offline'])
      if (build !== undefined) await run(project, build)
      await tryExample(project, command)
    })
  }
}

/** The tests of the file store's driver, and of the store itself, on every Node.js. */
async function drivers() {
  for (const version of NODES) {
    const node = nodeOf(version)
    await step(`drivers on Node.js ${version}`, () =>
      run(root, [node, 'node_modules/vitest/vitest.mjs', 'run', 'test/cache/file/driver.test.ts'], {
        PATH: `${dirname(node)}${delimiter}${process.env.PATH}`,
        SWITCHBACK_BUILT: '1',
      }),
    )
  }
}

/** What is committed, packed: `prepack` builds it. */
async function clone(tarball) {
  const copy = join(scratch, 'clone')
  await run(scratch, ['git', 'clone', '--quiet', root, copy])
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
  await run(copy, ['npm', 'pack', '--pack-destination', copy])
  const list = (file) => execFileSync('tar', ['-tzf', file], { encoding: 'utf8' })
  const sorted = (text) => text.replace(HASH, '').split('\n').sort().join('\n')
  const packed = sorted(list(join(copy, tarball.slice(scratch.length))))
  if (packed !== sorted(list(tarball))) throw new Error(`the clone packs other files:\n${packed}`)
}

function pack() {
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', scratch]
  const [{ filename }] = JSON.parse(execFileSync('npm', args, { cwd: root, encoding: 'utf8' }))
  return join(scratch, filename)
}

/** The project in a folder of its own, with the shared program for CommonJS and for ES modules. */
function copy(name) {
  const project = mkdtempSync(join(scratch, `${name}-`))
  cpSync(join(consumers, name), project, { recursive: true })
  const text = readFileSync(join(consumers, 'smoke.js'), 'utf8')
  writeFileSync(join(project, 'smoke.cjs'), `${text}\nmodule.exports = { smoke }\n`)
  writeFileSync(join(project, 'smoke.mjs'), `${text}\nexport { smoke }\n`)
  return project
}

/** The binary of this or another Node.js, by the package of that name. */
function nodeOf(version) {
  if (process.versions.node.startsWith(`${version}.`)) return process.execPath
  const args = ['-y', `node@${version}`, '-p', 'process.execPath']
  return execFileSync('npx', args, { encoding: 'utf8' }).trim()
}

async function step(name, work) {
  const started = performance.now()
  let problem
  try {
    await work()
  } catch (error) {
    problem = error.message
    failed.push(name)
  }
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  console.log(
    `${problem === undefined ? 'ok    ' : 'FAILED'} ${name.padEnd(20)} ${seconds.padStart(6)} s`,
  )
  if (problem !== undefined) console.log(problem)
}

function run(cwd, [file, ...args], env = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      cwd,
      env: { ...process.env, NODE_ENV: '', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (chunk) => (output += chunk))
    }
    child.once('error', reject)
    child.once('close', (code) => {
      if (code === 0) resolve()
      else reject(new Error(`${[file, ...args].join(' ')} ended with ${code}\n${output}`))
    })
  })
}
