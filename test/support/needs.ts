import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { chromium, locateProgram, promtool, redisServer } from '../../src/cli/provision/index.ts'

export interface MissingProgram {
  readonly program: string
  /** Test files that cannot run without it. */
  readonly files: readonly string[]
}

/** How to tell from the text of a test file, or of what it imports from test/, that it stands on a program. */
const NEEDS = [
  { program: redisServer, marks: /redis-server\.ts'|@needs redis/ },
  { program: chromium, marks: /'playwright-core'|@needs chromium/ },
  { program: promtool, marks: /@needs promtool/ },
] as const

/** The programs that this machine lacks though a test file needs them. */
export function missingPrograms(): readonly MissingProgram[] {
  return NEEDS.flatMap(({ program, marks }) => {
    if (locateProgram(program, process.env) !== undefined) return []
    const files = testFiles().filter((file) => closure(file).some((text) => marks.test(text)))
    return files.length === 0 ? [] : [{ program: program.title, files }]
  })
}

function testFiles(): readonly string[] {
  return readdirSync('test', { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.test.ts'))
    .map((file) => `test/${file}`)
    .toSorted()
}

/** The texts of a file and of everything that it imports within test/. */
function closure(file: string, seen: Set<string> = new Set()): readonly string[] {
  if (seen.has(file) || !file.startsWith('test/') || !existsSync(file)) return []
  seen.add(file)
  const text = readFileSync(file, 'utf8')
  const imports = [...text.matchAll(/from '(\.[^']+)'/g)].map(([, path = '']) => path)
  return [text, ...imports.flatMap((path) => closure(join(dirname(file), path), seen))]
}
