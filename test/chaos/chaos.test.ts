// @needs redis
import { expect, test } from 'vitest'
import { runChaos } from './chaos-run.ts'
import { failure, summary } from './report.ts'
import type { Topology } from './stage.ts'

const seed = Number(process.env['SWITCHBACK_SEED'] ?? Math.floor(Math.random() * 1e9))

const SLICES: readonly (readonly [Topology, string, number])[] = [
  ['standalone', 'invalidate', 8],
  ['cluster', 'mirror', 6],
  ['sentinel', 'invalidate', 5],
]

for (const [topology, standby, seconds] of SLICES) {
  test(`${topology}, ${standby}: ${seconds} s of faults, and every guarantee holds`, async () => {
    console.log(`chaos (${topology}): replay with SWITCHBACK_SEED=${seed}`)
    const report = await runChaos({ seconds, seed, topology, standby })
    console.log(summary(report))
    expect(report.verdict.problems, failure(report)).toEqual([])
    // A run in which little happened would prove little.
    expect(report.record.operations.length).toBeGreaterThan(seconds * 100)
    expect(report.struck.length).toBeGreaterThan(seconds)
  }, 120_000)
}

test('a cache without tombstones is found out', async () => {
  const report = await runChaos({
    seconds: 2,
    seed,
    faults: [],
    keys: 4,
    sources: ['random', 'random'],
    planted: 'no-tombstones',
  })
  expect(report.verdict.stale.length).toBeGreaterThan(0)
  expect(failure(report)).toContain('what led there')
}, 60_000)
