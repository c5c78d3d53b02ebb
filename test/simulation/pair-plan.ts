import { seeded } from '../support/simulation.ts'
import type { FaultKind, FaultPlan, OpPlan, Plan } from './plan.ts'

/** What happens to two Redis that all share, and to those who use them. */
export const PAIR_FAULTS: readonly FaultKind[] = [
  'hang',
  'cut',
  'kill',
  'flushall',
  'evict-state',
  'restart-empty',
  'restart-snapshot',
  'disconnect',
  'freeze',
  'close',
  'oom',
  'redis-clock',
]

/** As long as a licence, and longer: what is too short for that, `plan.ts` has. */
const LENGTHS = [300, 900, 1300, 1700, 2500, 4000]
const GAPS = [0, 1, 10, 40, 100, 200, 400]

/**
 * A random plan for two Redis: outages that are as long as licences live, few writes, and readers who look again
 * and again at what is there when an outage ends.
 */
export function makePairPlan(seed: number, kinds: readonly FaultKind[]): Plan {
  const random = seeded(seed * 2 + 1)
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!
  const upTo = (n: number): number => Math.floor(random() * n)
  const processes = Array.from({ length: pick([2, 2, 3]) }, () => ({
    policy: 'invalidate' as const,
    retire: false,
    breaker: pick([
      { window: 10, failures: 5 },
      { window: 1, failures: 1 },
    ]),
    deadlineMs: { off: 100, on: 100 },
    originConcurrency: 64,
    maxOwed: pick([10_000, 10_000, 1]),
  }))
  const op = (kind: OpPlan['op'], gap: number): OpPlan => ({
    op: kind,
    key: 'k',
    side: pick(['off', 'on'] as const),
    gap,
    ttl: 0,
    loadMs: pick([0, 0, 5, 60]),
  })
  const reader = (i: number): Plan['clients'][number] => ({
    process: i % processes.length,
    ops: Array.from({ length: 40 }, () =>
      op(pick(['get', 'getOrSet', 'get'] as const), pick(GAPS)),
    ),
  })
  const writer = (): Plan['clients'][number] => ({
    process: upTo(processes.length),
    ops: [
      op('set', 300),
      ...Array.from({ length: pick([1, 1, 2, 3]) }, () =>
        op(pick(['set', 'set', 'delete'] as const), pick([50, 300, 700, 1500])),
      ),
    ],
  })
  const fault = (): FaultPlan => ({
    kind: pick(kinds),
    at: 200 + upTo(2500),
    ms: pick(LENGTHS),
    process: upTo(processes.length),
    key: 'k',
    pick: upTo(1000),
  })
  return {
    processes,
    clients: [writer(), ...Array.from({ length: pick([2, 3]) }, (_, i) => reader(i))],
    faults: Array.from({ length: pick([1, 2, 2, 3]) }, fault),
    tombstoneTtl: 60_000,
    plainly: pick([0.98, 0.9]),
    diskPlainly: 1,
    realFiles: false,
    pair: true,
  }
}
