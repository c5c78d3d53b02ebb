// @needs redis
import { rmSync } from 'node:fs'
import { expect, test } from 'vitest'
import { type ChaosOptions, runChaos } from './chaos-run.ts'
import { failure, summary } from './report.ts'

const seed = Number(process.env['SWITCHBACK_SEED'] ?? Math.floor(Math.random() * 1e9))

interface Slice extends Pick<ChaosOptions, 'topology' | 'standby' | 'faults' | 'sources'> {
  readonly seconds: number
}

/** What `npm test` has time for; `npm run test:chaos` gives each topology minutes and every fault. */
const SLICES: readonly Slice[] = [
  { topology: 'standalone', standby: 'invalidate', seconds: 5 },
  {
    topology: 'cluster',
    standby: 'mirror',
    seconds: 4,
    sources: ['random', 'rpc'],
    faults: ['moveSlot', 'plannedFailover', 'stall', 'cut', 'killProcess', 'editFlags'],
  },
  {
    topology: 'sentinel',
    standby: 'invalidate',
    seconds: 4,
    sources: ['random', 'in-process'],
    faults: ['failover', 'stall', 'cut', 'killProcess', 'hangFlagSource'],
  },
]

for (const slice of SLICES) {
  const { topology, standby, seconds } = slice
  test(`${topology}, ${standby}: ${seconds} s of faults, and every guarantee holds`, async () => {
    console.log(`chaos (${topology}): replay with SWITCHBACK_SEED=${seed}`)
    const report = await runChaos({ seed, ...slice })
    console.log(summary(report))
    expect(report.verdict.problems, failure(report)).toEqual([])
    // A run in which little happened would prove little; each lane strikes within its first pause.
    expect(report.record.operations.length).toBeGreaterThan(seconds * 100)
    expect(report.struck.length).toBeGreaterThanOrEqual(3)
  }, 120_000)
}

test('a cache without tombstones is found out', async () => {
  const report = await runChaos({
    seconds: 1,
    seed,
    faults: [],
    keys: 4,
    sources: ['random', 'random'],
    planted: 'no-tombstones',
  })
  const told = failure(report)
  rmSync(report.logs, { recursive: true })
  expect(report.verdict.stale.length).toBeGreaterThan(0)
  expect(told).toContain('what led there')
}, 60_000)
