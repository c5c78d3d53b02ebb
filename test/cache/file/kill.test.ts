import { expect, test } from 'vitest'
import { killFileStore } from '../../chaos/file-store-kill.ts'
import { inFull } from '../../support/full.ts'

const seconds = Number(process.env['SWITCHBACK_KILL_SECONDS'] ?? inFull(4, 8))

test(
  'processes killed and started again under load lose nothing that was acknowledged',
  { timeout: seconds * 1000 + 120_000 },
  async () => {
    const done = { kills: 0, acknowledged: 0, increments: 0 }
    // A run in which little happened would prove little: on a busy machine there is another.
    const enough = (): boolean =>
      done.kills > seconds / 2 && done.acknowledged > seconds * 50 && done.increments > seconds * 10
    while (!enough()) {
      const report = await killFileStore(seconds)
      expect(report.lost).toEqual([])
      done.kills += report.kills
      done.acknowledged += report.acknowledged
      done.increments += report.increments
    }
    console.log(
      `${done.kills} kills, ${done.acknowledged} acknowledged, ${done.increments} increments`,
    )
  },
)
