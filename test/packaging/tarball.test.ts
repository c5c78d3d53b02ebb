import { execFileSync } from 'node:child_process'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { nodeDriver } from '../../src/cache/file/sqlite/sqlite-driver.ts'

// The packed package in an empty folder, with its one peer: what `npm i openfeature-switchback` gives. The
// peer is taken from this checkout, so that no registry is asked. The longer ones: npm run test:consumers.
const root = fileURLToPath(new URL('../../', import.meta.url))
const consumers = join(root, 'test', 'consumers')
let project = ''
/** What comes after the package's name: the entries of its `exports`. */
const ENTRIES = [
  '',
  ...'testing rollout backend telemetry guard control sidecar'.split(' ').map((name) => `/${name}`),
]

function run(file: string, ...args: string[]): string {
  return execFileSync(file, args, {
    cwd: project,
    encoding: 'utf8',
    // Nothing of npm's or vitest's environment.
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'] },
  })
}

beforeAll(() => {
  project = mkdtempSync(join(tmpdir(), 'switchback-tarball-'))
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', project]
  const packed = execFileSync('npm', args, { cwd: root, encoding: 'utf8' })
  const [{ filename }] = JSON.parse(packed) as [{ filename: string }]
  writeFileSync(join(project, 'package.json'), '{ "private": true }')
  const peers = ['server-sdk', 'core'].map((name) => join(root, 'node_modules/@openfeature', name))
  const quiet = ['--no-audit', '--no-fund', '--ignore-scripts', '--install-links']
  run('npm', 'install', '--offline', '--engine-strict', ...quiet, `./${filename}`, ...peers)
  rmSync(join(project, filename))
  cpSync(join(consumers, 'plain'), project, {
    recursive: true,
    filter: (path) => !path.endsWith('package.json'),
  })
  const smoke = readFileSync(join(consumers, 'smoke.js'), 'utf8')
  writeFileSync(join(project, 'smoke.mjs'), `${smoke}\nexport { smoke }\n`)
  writeFileSync(join(project, 'smoke.cjs'), `${smoke}\nmodule.exports = { smoke }\n`)
})

afterAll(() => rmSync(project, { recursive: true, force: true }))

/** Every package below a node_modules/, and its bytes. */
function installed(): { readonly packages: string[]; readonly bytes: number } {
  const files = readdirSync(join(project, 'node_modules'), { recursive: true, encoding: 'utf8' })
  const packages = files.filter((file) =>
    /^(?:.*\/node_modules\/)?(?:@[^/]+\/)?[^/]+\/package\.json$/.test(file),
  )
  const bytes = files.reduce((sum, file) => {
    const stat = statSync(join(project, 'node_modules', file))
    return stat.isFile() ? sum + stat.size : sum
  }, 0)
  return { packages, bytes }
}

it('is at most 20 packages and 8 MB', () => {
  const { packages, bytes } = installed()
  expect(packages).toContain('openfeature-switchback/package.json')
  expect(packages.length).toBeLessThanOrEqual(20)
  expect(bytes).toBeLessThanOrEqual(8_000_000)
})

it.each(['main.mjs', 'main.cjs'])('works by %s, and names what is missing', (main) => {
  const files = nodeDriver() === undefined ? [] : ['--files']
  expect(run(process.execPath, main, ...files)).toMatch(/^(?:import|require) ok\n$/)
})

it('import and require give one copy, which loads nothing of the control plane', () => {
  const program = `
    import { createRequire } from 'node:module'
    const require = createRequire(import.meta.url)
    const same = {}
    for (const name of ${JSON.stringify(ENTRIES)}) {
      const imported = await import('openfeature-switchback' + name)
      const required = require('openfeature-switchback' + name)
      same[name] = Object.keys(required).every((key) => imported[key] === required[key])
      same[name] &&= Object.keys(required).length === Object.keys(imported).length
      if (name === '') same.loaded = Object.keys(require.cache)
    }
    console.log(JSON.stringify(same))`
  writeFileSync(join(project, 'same.mjs'), program)
  const { loaded, ...same } = JSON.parse(run(process.execPath, 'same.mjs')) as { loaded: string[] }
  expect(same).toEqual(Object.fromEntries(ENTRIES.map((name) => [name, true])))
  const packages = loaded.map((file) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1])
  expect([...new Set(packages)].toSorted()).toEqual([
    '@openfeature/core',
    '@openfeature/server-sdk',
    'openfeature-switchback',
  ])
  const own = loaded.filter((file) => file.includes('openfeature-switchback'))
  expect(own.filter((file) => /\/cli\/|yaml|rollout|testing|guard/.test(file))).toEqual([])
})

it.each([
  [
    'a package of its own',
    "require('redis-errors')",
    'redisCache needs "redis-errors": npm i redis-errors',
  ],
  ['a file of its own', "require('./lib')", "Cannot find module './lib'"],
  ['sense', "throw new Error('broken')", 'broken'],
])('a peer that is installed without %s is told as it is', (_, text, told) => {
  const peer = join(project, 'node_modules', 'ioredis')
  mkdirSync(peer)
  try {
    writeFileSync(join(peer, 'index.js'), text)
    writeFileSync(
      join(project, 'peer.mjs'),
      `import { redisCache } from 'openfeature-switchback'
       try { redisCache({ url: 'redis://127.0.0.1:1' }) } catch ({ message, hint }) {
         console.log(hint === undefined ? message.split('\\n', 1)[0] : message + ': ' + hint)
       }`,
    )
    expect(run(process.execPath, 'peer.mjs').trim()).toBe(told)
  } finally {
    rmSync(peer, { recursive: true })
  }
})

it('its command runs without what it has bundled', () => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    version: string
  }
  const command = join(project, 'node_modules', '.bin', 'switchback')
  expect(run(command, '--version').trim()).toBe(version)
  const flags = join('node_modules', 'openfeature-switchback', 'flags', 'use-redis.json')
  expect(run(command, 'validate', flags)).toContain('use-redis')
})

it('its types need no optional peer', () => {
  const main = join(project, 'main.ts')
  cpSync(join(consumers, 'typescript', 'main.ts'), main)
  writeFileSync(
    join(project, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: {
        module: 'nodenext',
        target: 'es2023',
        strict: true,
        noEmit: true,
        types: ['node'],
        typeRoots: [join(root, 'node_modules', '@types')],
      },
      files: ['main.ts'],
    }),
  )
  writeFileSync(join(project, 'package.json'), '{ "private": true, "type": "module" }')
  expect(run(process.execPath, join(root, 'node_modules/typescript/bin/tsc'), '-p', '.')).toBe('')
})
