import { spawnSync } from 'node:child_process'
import { appendFileSync } from 'node:fs'
import { missingPrograms } from './needs.ts'

/**
 * Builds `dist/` once, since end-to-end tests run the product as child processes, and says what this
 * machine lacks. `npm test` does both before it comes here.
 */
export default function setup(): void {
  if (process.env['SWITCHBACK_BUILT'] !== '1') {
    spawnSync(process.execPath, ['scripts/build.mjs', '--unchecked'], { stdio: 'inherit' })
  }
  for (const { program, files } of missingPrograms()) {
    const lack = `no ${program} on PATH, and ${files.length} test files need it`
    if (process.env['CI'] === 'true') throw new Error(lack)
    noteSkipped(files)
    process.stderr.write(`\n!!! SKIPPED: ${lack}:\n${files.map((f) => `!!!   ${f}\n`).join('')}\n`)
  }
}

/** For the count that `npm test` ends with. */
function noteSkipped(files: readonly string[]): void {
  const note = process.env['SWITCHBACK_SKIPPED']
  if (note !== undefined) appendFileSync(note, files.map((file) => `${file}\n`).join(''))
}
