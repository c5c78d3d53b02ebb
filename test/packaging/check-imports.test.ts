import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'

const CHECKER = new URL('../../scripts/check-imports.mjs', import.meta.url).href
const { checkImports } = (await import(CHECKER)) as {
  checkImports(src: string): { readonly files: number; readonly problems: string[] }
}

/** Runs the checker on a tree of these files. */
async function complaints(files: Readonly<Record<string, string>>): Promise<string[]> {
  const root = await mkdtemp(join(tmpdir(), 'switchback-imports-'))
  onTestFinished(() => rm(root, { recursive: true, force: true }))
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, name)), { recursive: true })
    await writeFile(join(root, name), text)
  }
  const result = checkImports(root)
  expect(result.files).toBe(Object.keys(files).length)
  return result.problems
}

it.each<[string, Record<string, string>, string | undefined]>([
  ['along an arrow', { 'switch/a.ts': "import { b } from '../cache/index.ts'" }, undefined],
  ['the kernel', { 'cache/a.ts': "import type { Side } from '../side.ts'" }, undefined],
  ['within a room', { 'cache/file/a.ts': "import { b } from '../cell.ts'" }, undefined],
  ['from the command line', { 'cli/a.ts': "import('../sidecar/index.ts')" }, undefined],
  ['in a comment', { 'cache/a.ts': "/**\n import '../flags/index.ts'\n*/\n" }, undefined],
  ['against an arrow', { 'cache/a.ts': "import { b } from '../switch/index.ts'" }, 'no other room'],
  [
    'types too',
    { 'flags/a.ts': "import type { B } from '../cache/index.ts'" },
    'may import flagfile',
  ],
  ['many lines', { 'cache/a.ts': "import {\n  b,\n} from '../flags/index.ts'" }, 'no other room'],
  ['exports', { 'guard/a.ts': "export * from '../control/index.ts'" }, 'may import rollout'],
  ['lazily', { 'app/a.ts': "await import('../cli/index.ts')" }, 'app may import switch'],
  ['past the door', { 'switch/a.ts': "import '../cache/cell.ts'" }, 'goes past cache/index.ts'],
  ['the public API', { 'app/a.ts': "import '../index.ts'" }, 'no room may import it'],
  ['out of src', { 'cli/a.ts': "import '../../package.json'" }, 'leaves src/'],
  ['an unknown room', { 'attic/a.ts': "import '../cache/index.ts'" }, 'does not know: attic'],
  ['the environment', { 'flags/a.ts': "const a = process.env['A']" }, 'belongs in src/cli'],
  ['exit', { 'app/a.ts': "import { exit } from 'node:process'" }, 'belongs in src/cli'],
  ['memory', { 'telemetry/a.ts': "import { memoryUsage } from 'node:process'" }, undefined],
])('judges an import %s', async (_, files, complaint) => {
  const found = await complaints(files)
  if (complaint === undefined) expect(found).toEqual([])
  else expect(found).toEqual([expect.stringContaining(complaint)])
})

it('keeps the control plane out of what the library loads', async () => {
  const found = await complaints({
    'index.ts': "export * from './flags/index.ts'",
    'flags/index.ts': "export * from './a.ts'\nexport type * from './types.ts'",
    'flags/a.ts': "import { parse } from 'yaml'\nconst later = () => import('fastify')",
    'flags/types.ts': "import type { Logger } from 'pino'",
  })
  expect(found).toEqual(["src/flags/a.ts: loading the library would load 'yaml'"])
})
