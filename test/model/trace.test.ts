import { afterEach, describe, expect, test } from 'vitest'
import { leave } from '../simulation/machine.ts'
import type { OpPlan, Plan } from '../simulation/plan.ts'
import { run } from '../simulation/run.ts'
import { seeded } from '../support/simulation.ts'
import type { Rules } from './protocol.ts'
import { fits } from './trace.ts'
import { inFull } from '../support/full.ts'

afterEach(leave)

/** Until then both processes have met Redis, which the model has them do before it begins: eras begin there. */
const MET_MS = 500

/** Two processes with a client each on one key; messages and the disk are slow, and nothing is lost. */
function plan(seed: number): Plan {
  const random = seeded(seed)
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!
  const op = (): OpPlan => ({
    op: pick(['getOrSet', 'getOrSet', 'set', 'delete'] as const),
    key: 'k',
    side: pick(['off', 'on'] as const),
    gap: pick([0, 1, 5, 20]),
    ttl: 0,
    loadMs: pick([0, 5, 30]),
  })
  const process = {
    policy: 'invalidate' as const,
    retire: false,
    breaker: { window: 31, failures: 31 },
    deadlineMs: { off: 100_000, on: 100_000 },
    originConcurrency: 64,
    maxOwed: 10_000,
  }
  return {
    processes: [process, process],
    clients: [0, 1].map((index) => {
      const [first, ...others] = Array.from({ length: 4 }, op)
      return { process: index, ops: [{ ...first!, gap: MET_MS + first!.gap }, ...others] }
    }),
    faults: [],
    tombstoneTtl: 1_000_000,
    plainly: 0.5,
    diskPlainly: 0.5,
    span: 12,
    realFiles: false,
  }
}

async function traceOf(seed: number): ReturnType<typeof run> {
  return run(plan(seed), { seed, trace: true })
}

const SEEDS = Array.from({ length: inFull(3, 8) }, (_, i) => i + 1)

describe('what the shipped code does at the stores is a run of the model', () => {
  test(`${SEEDS.length} recorded runs`, { timeout: 300_000 }, async () => {
    for (const seed of SEEDS) {
      const { trace, problems } = await traceOf(seed)
      expect(problems).toEqual([])
      expect(trace.length).toBeGreaterThan(8)
      // The looks around in the end are no operations.
      const last = trace.findLastIndex(({ what }) => what === 'ends')
      expect(fits(trace.slice(0, last + 1)), `seed ${seed}`).toEqual([])
    }
  })

  // So that it can fail: a model of another protocol does not do what the code did.
  for (const rule of ['ownSideFirst', 'otherSideTold'] satisfies (keyof Rules)[]) {
    test(`none fits a model without ${rule}`, { timeout: 300_000 }, async () => {
      let misfits = 0
      for (const seed of SEEDS.slice(0, 5)) {
        const { trace } = await traceOf(seed)
        if (fits(trace, { [rule]: false }).length > 0) misfits += 1
      }
      expect(misfits).toBeGreaterThan(0)
    })
  }
})
