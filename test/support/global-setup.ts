import { spawnSync } from 'node:child_process'
import { missingPrograms } from './needs.ts'

/**
 * Builds `dist/` once, since end-to-end tests run the product as child processes, and says what this
 * machine lacks. `npm test` does both before it comes here.
 */
export default function setup(): void {
  if (process.env['SWITCHBACK_BUILT'] !== '1') {
    spawnSync(process.execPath, ['scripts/build.mjs', '--keep-going'], { stdio: 'inherit' })
  }
  for (const { program, files } of missingPrograms()) {
    const lack = `no ${program} on PATH, and ${files.length} test files need it`
    if (process.env['CI'] === 'true') throw new Error(lack)
    process.stderr.write(`\n!!! SKIPPED: ${lack}:\n${files.map((f) => `!!!   ${f}\n`).join('')}\n`)
  }
}
