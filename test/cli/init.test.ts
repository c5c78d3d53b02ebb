import { spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, afterEach, expect, test } from 'vitest'
import { main } from '../../src/cli/index.ts'
import { codeFor } from '../../src/cli/initiating/code.ts'
import { FRAMEWORKS } from '../../src/cli/initiating/project.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const before = process.cwd()
const made: string[] = []

afterAll(() => process.chdir(before))
afterEach(() => process.chdir(before))
afterAll(() => made.forEach((directory) => rmSync(directory, { recursive: true, force: true })))

/** A directory with these files, in which the commands run. */
function project(files: Readonly<Record<string, string>>): void {
  const directory = mkdtempSync(join(tmpdir(), 'switchback-init-'))
  made.push(directory)
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(directory, dirname(path)), { recursive: true })
    writeFileSync(join(directory, path), text)
  }
  process.chdir(directory)
}

async function run(
  ...argv: readonly string[]
): Promise<{ code: number; out: string; err: string }> {
  let [out, err] = ['', '']
  const code = await main({
    argv,
    env: {},
    stdin: process.stdin,
    stdout: { write: (text: string) => void (out += text) },
    stderr: { write: (text: string) => void (err += text) },
    signal: new AbortController().signal,
  })
  return { code, out, err }
}

const FLAGS = 'flags/use-redis.json'
const COMPOSE = 'compose.switchback.yaml'

test('what it writes can be validated, moved and rolled back', async () => {
  project({ 'package.json': '{"dependencies": {"fastify": "^5"}}' })
  const first = await run('init')
  expect(first).toMatchObject({ code: 0, err: '' })
  expect(first.out).toMatch(/flags\/use-redis\.json: written/)
  expect(first.out).toMatch(/compose\.switchback\.yaml: written/)
  expect(first.out).toMatch(/require\('fastify'\)/)
  expect(first.out).toMatch(/npm i openfeature-switchback/)
  expect(await run('validate')).toMatchObject({ code: 0 })
  const set = await run('set', '5', '--yes', '--no-flagd')
  expect(set).toMatchObject({ code: 0, err: '' })
  // A change is one line, as the documents show it.
  expect(set.out).toContain('+ "targeting": { "fractional": [["on", 5], ["off", 95]] }')
  expect(readFileSync(FLAGS, 'utf8')).toContain('[["on", 5], ["off", 95]]')
  expect(await run('rollback', '--no-flagd')).toMatchObject({ code: 0, err: '' })

  // Again: nothing changes.
  const texts = [FLAGS, COMPOSE].map((file) => readFileSync(file, 'utf8'))
  const again = await run('init', '--json')
  expect(JSON.parse(again.out)).toMatchObject({
    ok: true,
    framework: 'fastify',
    files: [
      { path: FLAGS, what: 'there' },
      { path: COMPOSE, what: 'there' },
    ],
  })
  expect([FLAGS, COMPOSE].map((file) => readFileSync(file, 'utf8'))).toEqual(texts)
})

test('a dry run writes nothing', async () => {
  project({ 'package.json': '{}' })
  const { code, out } = await run('init', '--dry-run')
  expect(code).toBe(0)
  expect(out).toMatch(/would be written/)
  expect(existsSync('flags') || existsSync(COMPOSE)).toBe(false)
})

test('adds the flag to the file that is there, and leaves every other character', async () => {
  const text =
    '{\n  "flags": {\n    "other":   {"state": "ENABLED", "variants": {"a": 1}, "defaultVariant": "a"}\n  }\n}\n'
  project({ 'package.json': '{"type": "module"}', 'flags/all.json': text, [COMPOSE]: 'mine\n' })
  const { out } = await run('init')
  expect(out).toMatch(/flags\/all\.json: the flag is added/)
  expect(readFileSync(COMPOSE, 'utf8')).toBe('mine\n')
  const after = readFileSync('flags/all.json', 'utf8')
  const end = text.indexOf('\n  }\n}')
  expect(after.startsWith(text.slice(0, end))).toBe(true)
  expect(after.endsWith(text.slice(end))).toBe(true)
  expect(Object.keys((JSON.parse(after) as { flags: object }).flags)).toEqual([
    'other',
    'use-redis',
  ])
  expect(await run('set', '5', '--yes', '--no-flagd')).toMatchObject({ code: 0 })
})

test('what a guard keeps beside the only flags file is not another one', async () => {
  project({ 'package.json': '{}' })
  await run('init')
  writeFileSync('flags/use-redis.guard.json', '{}')
  writeFileSync('flags/use-redis.guard.status.json', '{}')
  expect((await run('init', '--flag', 'c')).out).toMatch(/use-redis\.json: the flag is added/)
  expect(existsSync('flags/c.json')).toBe(false)
  expect(await run('validate')).toMatchObject({ code: 0 })
})

test('a flag that it adds is a change with a line in the history, not an edit by hand', async () => {
  project({ 'package.json': '{}' })
  await run('init')
  await run('set', '5', '--yes', '--no-flagd')
  await run('init', '--flag', 'other')
  for (const flag of ['use-redis', 'other']) {
    expect((await run('status', '--no-flagd', '--flag', flag)).out).not.toContain('by hand')
  }
  const report = (await run('report', '--flag', 'other')).out
  expect(report).not.toContain('by hand')
  expect(report).toContain('added by switchback init')
  expect(report).toContain('- **attempts of the guard**: none, no guard ran')
})

test.each<[string, Readonly<Record<string, string>>, readonly string[], RegExp]>([
  ['no package.json', {}, [], /there is no package\.json here/],
  ['a broken one', { 'package.json': '{' }, [], /package\.json cannot be read/],
  [
    'broken flags',
    { 'package.json': '{}', 'flags/a.json': '{"flags": ' },
    [],
    /the flag cannot be added: .*a\.json/,
  ],
  [
    'YAML',
    { 'package.json': '{}', 'f.yaml': 'flags:\n  a: 1\n' },
    ['--file', 'f.yaml'],
    /f\.yaml" is YAML/,
  ],
  [
    'no flags',
    { 'package.json': '{}', 'f.json': '[]' },
    ['--file', 'f.json'],
    /the flag cannot be added/,
  ],
  [
    'a name that is a path',
    { 'package.json': '{}' },
    ['--flag', '../x'],
    /"\.\.\/x" cannot name a flag/,
  ],
  [
    'a file in the way',
    { 'package.json': '{}', flags: '' },
    ['--file', 'flags/x.json'],
    /cannot write "flags\/x\.json"/,
  ],
])('%s: one line and exit code 2', async (_, files, args, message) => {
  project(files)
  const { code, out, err } = await run('init', ...args)
  expect(err).toMatch(message)
  expect(err.trim().split('\n')).toHaveLength(1)
  expect({ code, out }).toEqual({ code: 2, out: '' })
  expect(existsSync(COMPOSE)).toBe(false)
})

/** Of packages that are not installed here, what the code uses. */
const CONTEXT = `
declare module 'express' {
  interface Message { headers: Record<string, unknown>; send(body: unknown): void }
  type Handler = (request: Message, response: Message, next: () => void) => unknown
  export default function express(): {
    use(handler: Handler): void
    get(path: string, handler: Handler): void
    listen(port: number): import('node:http').Server
  }
}
declare module 'koa' {
  interface Context { get(name: string): string; body: unknown }
  export default class Koa {
    use(handler: (context: Context, next: () => Promise<unknown>) => unknown): void
    listen(port: number): import('node:http').Server
  }
}
declare module '@nestjs/common' {
  export const Global: any, Inject: any, Module: any
  export interface MiddlewareConsumer {
    apply(handler: (request: any, response: any, next: () => void) => void): { forRoutes(path: string): void }
  }
  export interface NestModule { configure(consumer: MiddlewareConsumer): void }
  export interface OnApplicationShutdown { onApplicationShutdown(): unknown }
}
`

test(
  'the code that it prints compiles, for every framework and kind of modules',
  { timeout: 240_000 },
  () => {
    const directory = mkdtempSync(join(tmpdir(), 'switchback-init-code-'))
    made.push(directory)
    symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'))
    writeFileSync(join(directory, 'context.d.ts'), CONTEXT)
    for (const framework of FRAMEWORKS) {
      const code = codeFor({ framework, language: 'ts', missing: [] }, 'use-redis')
      expect(code.split('\n').length).toBeLessThan(65)
      writeFileSync(join(directory, `${framework}.ts`), `${code}export {}\n`)
      if (framework === 'nestjs') continue
      for (const language of ['mjs', 'cjs'] as const) {
        const file = join(directory, `${framework}.${language}`)
        const text = codeFor({ framework, language, missing: [] }, 'use-redis')
        if (framework === 'next' && language === 'cjs') continue
        writeFileSync(file, text)
        const { status, stderr } = spawnSync(process.execPath, ['--check', file], {
          encoding: 'utf8',
        })
        expect(stderr).toBe('')
        expect(status).toBe(0)
      }
    }
    writeFileSync(
      join(directory, 'tsconfig.json'),
      JSON.stringify({
        compilerOptions: {
          strict: true,
          noEmit: true,
          target: 'es2023',
          module: 'nodenext',
          experimentalDecorators: true,
          skipLibCheck: true,
          types: ['node'],
          paths: { 'openfeature-switchback': [join(ROOT, 'src/index.ts')] },
          allowImportingTsExtensions: true,
        },
        include: ['*.ts'],
      }),
    )
    writeFileSync(join(directory, 'package.json'), '{"type": "module"}')
    const compiler = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc')
    const { stdout } = spawnSync(process.execPath, [compiler, '-p', directory], {
      encoding: 'utf8',
    })
    // The library is compiled elsewhere, by its own rules.
    const own = stdout.split('\n').filter((line) => line !== '' && !line.includes('src/'))
    expect(own).toEqual([])
  },
)
