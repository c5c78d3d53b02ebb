#!/usr/bin/env node
/**
 * The chaos runs, for longer than `npm test` gives them. Seeds are printed; a run is replayed with its
 * seed. Usage: npm run test:chaos -- [--seconds 60] [--seed N]
 */
import { spawnSync } from 'node:child_process'
import { parseArgs } from 'node:util'

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '60' }, seed: { type: 'string' } },
})
const env = { ...process.env, SWITCHBACK_CHAOS_SECONDS: values.seconds }
if (values.seed !== undefined) env.SWITCHBACK_SEED = values.seed
const { status } = spawnSync('npx', ['vitest', 'run', 'test/chaos'], { stdio: 'inherit', env })
process.exit(status ?? 1)
