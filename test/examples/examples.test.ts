import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'

// Those that need only what is installed here; `npm run test:consumers -- examples` installs and runs all.
const ROOT = join(import.meta.dirname, '..', '..')
const EXAMPLES = {
  fastify: ['node', 'dist/app.js'],
  worker: ['node', 'main.mjs'],
} as const
const { tryExample } = (await import(join(ROOT, 'scripts', 'try-example.mjs'))) as {
  tryExample(directory: string, command: readonly string[]): Promise<void>
}
let directory = ''

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'switchback-examples-'))
  const modules = join(directory, 'node_modules')
  mkdirSync(modules)
  for (const name of readdirSync(join(ROOT, 'node_modules'))) {
    if (!name.startsWith('.')) symlinkSync(join(ROOT, 'node_modules', name), join(modules, name))
  }
  symlinkSync(ROOT, join(modules, 'openfeature-switchback'))
  cpSync(join(ROOT, 'examples', 'flags.json'), join(directory, 'flags.json'))
})

afterAll(() => rmSync(directory, { recursive: true, force: true }))

it.each(Object.entries(EXAMPLES))('%s starts, answers and ends', async (name, command) => {
  const example = join(directory, name)
  cpSync(join(ROOT, 'examples', name), example, { recursive: true })
  if (name === 'fastify') {
    execFileSync(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc')], {
      cwd: example,
      stdio: 'pipe',
    })
  }
  await expect(tryExample(example, command)).resolves.toBeUndefined()
})
