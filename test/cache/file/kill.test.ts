import { expect, test } from 'vitest'
import { killFileStore } from '../../chaos/file-store-kill.ts'
import { inFull } from '../../support/full.ts'

const seconds = Number(process.env['SWITCHBACK_KILL_SECONDS'] ?? inFull(4, 8))

test(
  'processes killed and started again under load lose nothing that was acknowledged',
  { timeout: seconds * 1000 + 60_000 },
  async () => {
    const report = await killFileStore(seconds)
    console.log(
      `${report.kills} kills, ${report.acknowledged} acknowledged, ${report.increments} increments`,
    )
    expect(report.lost).toEqual([])
    // A run in which little happened would prove little.
    expect(report.kills).toBeGreaterThan(seconds / 2)
    expect(report.acknowledged).toBeGreaterThan(seconds * 50)
    expect(report.increments).toBeGreaterThan(seconds * 10)
  },
)
