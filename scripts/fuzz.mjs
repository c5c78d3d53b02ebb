#!/usr/bin/env node
/**
 * The fuzzers, for longer than `npm test` gives them. The seed is printed; a failure names the seed and
 * the bytes that it took.
 * Usage: npm run test:fuzz -- [--runs 20000] [--seed N] [--stall 150] [PART OF A FILE'S NAME]
 *   --runs  in thousandths of what `npm run test:full` runs
 *   --seed  of the first run (default: the time)
 *   --stall most milliseconds that an input may hold a thread; 50 is the aim on a machine of its own
 */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

process.chdir(fileURLToPath(new URL('..', import.meta.url)))

const { values, positionals } = readOptions()
for (const name of ['runs', 'seed', 'stall']) {
  if (/^[1-9]\d{0,9}$/.test(values[name])) continue
  console.error(`--${name} ${values[name]}: write a whole number from 1 up`)
  process.exit(2)
}
console.log(`replay: npm run test:fuzz -- --runs ${values.runs} --seed ${values.seed}`)
const vitest = join('node_modules', '.bin', 'vitest')
const filters = positionals.length === 0 ? ['test/fuzz'] : positionals.map((p) => `test/fuzz/${p}`)
const { status } = spawnSync(vitest, ['run', ...filters], {
  stdio: 'inherit',
  env: {
    ...process.env,
    SWITCHBACK_RUNS: values.runs,
    SWITCHBACK_SEED: values.seed,
    SWITCHBACK_STALL_MS: values.stall,
  },
})
process.exit(status ?? 1)

function readOptions() {
  try {
    return parseArgs({
      options: {
        runs: { type: 'string', default: '20000' },
        stall: { type: 'string', default: '150' },
        seed: { type: 'string', default: String(Date.now() % 1_000_000_000) },
      },
      allowPositionals: true,
    })
  } catch (error) {
    console.error(error.message)
    process.exit(2)
  }
}
