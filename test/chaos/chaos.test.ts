// @needs redis
import { expect, test } from 'vitest'
import { runChaos } from './chaos-run.ts'

const seconds = Number(process.env['SWITCHBACK_CHAOS_SECONDS'] ?? 8)
const seed = Number(process.env['SWITCHBACK_SEED'] ?? Math.floor(Math.random() * 1e9))

for (const standby of ['invalidate', 'mirror']) {
  test(
    `${standby}: ${seconds} s of faults, nothing stale and nothing failed`,
    { timeout: seconds * 1000 + 60_000 },
    async () => {
      console.log(`chaos (${standby}): replay with SWITCHBACK_SEED=${seed}`)
      const report = await runChaos({ seconds, seed, standby })
      const { history, failed, operations, events, faults, slowestMs, rssMiB } = report
      console.log(
        `${operations} operations, ${history.reads.length} reads, ${faults.length} faults, ` +
          `slowest ${slowestMs.toFixed(0)} ms, ${rssMiB.toFixed(0)} MiB`,
        events,
      )
      expect(history.violations(), `SWITCHBACK_SEED=${seed}`).toEqual([])
      expect(failed).toEqual([])
      // A run in which little happened would prove little.
      expect(operations).toBeGreaterThan(seconds * 100)
      expect(faults.length).toBeGreaterThan(seconds)
    },
  )
}
