import { readdirSync, readFileSync } from 'node:fs'
import { chromium, locateProgram, redisServer } from '../../src/cli/provision/index.ts'

export interface MissingProgram {
  readonly program: string
  /** Test files that cannot run without it. */
  readonly files: readonly string[]
}

/** How to tell from the text of a test file that it stands on a program. */
const NEEDS = [
  { program: redisServer, marks: /support\/redis-server|@needs redis/ },
  { program: chromium, marks: /playwright-core|support\/browser|@needs chromium/ },
] as const

/** The programs that this machine lacks though a test file needs them. */
export function missingPrograms(): readonly MissingProgram[] {
  return NEEDS.flatMap(({ program, marks }) => {
    if (locateProgram(program, process.env) !== undefined) return []
    const files = testFiles().filter((file) => marks.test(readFileSync(file, 'utf8')))
    return files.length === 0 ? [] : [{ program: program.title, files }]
  })
}

function testFiles(): readonly string[] {
  return readdirSync('test', { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.test.ts'))
    .map((file) => `test/${file}`)
    .toSorted()
}
