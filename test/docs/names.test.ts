import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { expect, it } from 'vitest'

// A name that means two things has to be looked up each time: an exported name is declared once, and a file name
// stands in one room.
const SRC = join(import.meta.dirname, '..', '..', 'src')
const FILES = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((file) =>
  file.endsWith('.ts'),
)

/** Declared twice, and why. */
const TWICE: Readonly<Record<string, string>> = {
  Answer: 'both are public: of the guard, and of preview',
  JsonValue: 'the same, of flags as flagd reads them and of the document',
  WINDOW_S: 'the same, and the page is built for the browser',
  WriteOptions: 'both are public: of a backend, and of the place of flags',
  command: 'each command is one',
}

/** Named by what they say of their room. */
const OF_A_ROOM = new Set(['index.ts', 'options.ts', 'public.ts'])

function repeated(entries: readonly (readonly [name: string, file: string])[]): string[] {
  const places = new Map<string, Set<string>>()
  for (const [name, file] of entries) places.set(name, (places.get(name) ?? new Set()).add(file))
  return [...places].filter(([, files]) => files.size > 1).map(([name]) => name)
}

it('an exported name is declared in one file', () => {
  const declared =
    /^export (?:declare )?(?:abstract )?(?:async )?(?:function\*?|class|const|interface|type|enum) (\w+)/gmu
  const entries = FILES.flatMap((file) =>
    [...readFileSync(join(SRC, file), 'utf8').matchAll(declared)].map(
      ([, name]) => [name!, file] as const,
    ),
  )
  expect(repeated(entries).toSorted()).toEqual(Object.keys(TWICE).toSorted())
})

it('a file name stands in one room, but for a command or a panel named like what it runs or shows', () => {
  const entries = FILES.filter(
    (file) => !/^(?:cli\/commands|control\/page\/panels)\//u.test(file),
  ).map((file) => [basename(file), file] as const)
  expect(repeated(entries).filter((name) => !OF_A_ROOM.has(name))).toEqual([])
})
