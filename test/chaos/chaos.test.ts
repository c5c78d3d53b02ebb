// @needs redis
import { rmSync } from 'node:fs'
import { expect, test } from 'vitest'
import { runChaos } from './chaos-run.ts'
import { PROFILES } from './profiles.ts'
import { failure, summary } from './report.ts'
import type { Planted } from './workers.ts'
import { inFull } from '../support/full.ts'

const seed = Number(process.env['SWITCHBACK_SEED'] ?? Math.floor(Math.random() * 1e9))

/** What `npm test` has time for; `npm run test:chaos` gives each profile its time and every fault. */
const SLICES = inFull(['everything'], ['everything', 'cluster', 'sentinel'])
const SECONDS = inFull(2, 10)
const FAULTS = 2

for (const name of SLICES) {
  test(`${name}: ${SECONDS} s of faults, and every promise holds`, async () => {
    console.log(`chaos (${name}): replay with SWITCHBACK_SEED=${seed}`)
    const { faults, ...profile } = PROFILES[name]!
    const short = faults.filter((fault) => !LONG_FAULTS.has(fault))
    const result = await runChaos({
      name,
      profile: { ...profile, faults: short, sources: profile.sources.slice(1) },
      seed,
      seconds: SECONDS,
      least: FAULTS,
    })
    console.log(summary(result))
    expect(result.problems, failure(result)).toEqual([])
    // A run in which little happened would prove little.
    expect(result.counts.checked).toBeGreaterThan(100)
    expect(result.struck.length).toBeGreaterThanOrEqual(FAULTS)
  }, 240_000)
}

/** Those that take longer than a slice. */
const LONG_FAULTS = new Set(['splitBrain', 'failover', 'demote'])

const PLANTED: readonly Planted[] = ['no-tombstones', 'no-ledger']

for (const planted of PLANTED) {
  test(`a cache with ${planted} is found out, and its story told`, async () => {
    const result = await runChaos({
      name: 'outage',
      // Of few keys, so that few operations are enough: a busy machine does few in a second.
      profile: { ...PROFILES['outage']!, faults: ['flap'], sources: ['random', 'random'], keys: 8 },
      seed,
      // It ends when it has found it, after some seconds; these are for a starved machine.
      seconds: 200,
      planted,
      untilFound: true,
    })
    expect(result.stale).toBeGreaterThan(0)
    rmSync(result.logs, { recursive: true })
    expect(result.stories[0]).toMatch(/FOUND stale/u)
  }, 360_000)
}
