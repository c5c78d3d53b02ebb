import { seeded } from '../support/simulation.ts'
import type { Side } from '../../src/side.ts'
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

const MEETINGS = ['loss in an outage', 'alone', 'lost', 'clear'] as const
type Meeting = (typeof MEETINGS)[number]

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
  /** Troubles that matter only together, and rarely meet by chance. */
  const met = (meeting: Meeting): { clients: Plan['clients']; faults: readonly FaultPlan[] } => {
    const some = (...wanted: readonly FaultKind[]): FaultKind =>
      pick(wanted.filter((kind) => kinds.includes(kind)).concat(wanted.slice(0, 1)))
    const [at, ms, store, who] = [400 + upTo(600), pick([1300, 1700, 2500]), upTo(2), upTo(2)]
    const base = { at, ms, key: 'k', process: who, pick: store }
    const sides = ['on', 'off'] as const
    const one = (op: OpPlan['op'], side: Side, gap: number): OpPlan => {
      return { op, key: 'k', side, gap, ttl: 0, loadMs: 0 }
    }
    // Who loads puts something new where something old could show.
    const kindsOfReads = pick<readonly OpPlan['op'][]>([['get'], ['get', 'get', 'getOrSet']])
    const looks = (process: number, side: () => Side): Plan['clients'][number] => ({
      process,
      ops: Array.from({ length: 60 }, () =>
        one(pick(kindsOfReads), side(), pick([0, 10, 40, 100, 150])),
      ),
    })
    const any = (): Side => pick(sides)
    // The old value stands on the store that is out, the new one is written on the other.
    const [out, stays] = [sides[store]!, sides[1 - store]!]
    const writes = (process: number, ...after: readonly OpPlan[]): Plan['clients'][number] => ({
      process,
      ops: [one('set', out, 200), ...after],
    })
    const second = (gap: number): OpPlan => one(pick(['set', 'delete'] as const), stays, gap)
    if (meeting === 'loss in an outage') {
      const kind = some('evict-state', 'flushall', 'restart-empty', 'restart-snapshot')
      return {
        clients: [writes(0, second(at - 200 + upTo(200))), looks(0, any), looks(1, any)],
        faults: [
          { ...base, kind: pick(['hang', 'cut', 'hang']), process: 0 },
          { ...base, kind, at: at + upTo(ms + 400), ms: 300, pick: base.pick + 1 },
        ],
      }
    }
    if (meeting === 'lost') {
      // One store takes the write and loses it; its writer reaches nobody from just then on.
      const cut = { ...base, kind: 'cut' as const, process: 0, ms: 2500 }
      return {
        clients: [writes(0, second(at - 200)), looks(0, any), looks(1, any), looks(1, any)],
        faults: [
          { ...cut, at: at - 50 - upTo(300) },
          { ...cut, at: at + random() * 8, pick: base.pick + 1 },
          {
            ...base,
            kind: some('flushall', 'restart-empty'),
            at: at + 10 + upTo(300),
            ms: 60,
            pick: base.pick + 1,
          },
        ],
      }
    }
    if (meeting === 'alone') {
      // The writer is cut off from one store; the others are not there, and come back.
      return {
        clients: [
          writes(0, second(at - 200 + 100 + upTo(400))),
          looks(0, any),
          looks(1, any),
          ...processes.slice(2).map((_, i) => looks(i + 2, any)),
        ],
        faults: [
          { ...base, kind: 'cut', process: 0, ms: 4000 },
          ...processes.slice(1).map((_, i) => ({
            ...base,
            kind: some('kill', 'freeze', 'close'),
            process: i + 1,
            at: at + upTo(100),
          })),
          {
            ...base,
            kind: some('redis-clock', 'redis-clock', 'flushall', 'evict-state', 'cut'),
            at: at + 50 + upTo(200),
            process: 0,
            // Of either store; a clock steps back.
            pick: base.pick + pick([0, 0, 1]) + 2,
          },
        ],
      }
    }
    // Somebody stands still, or reads without a licence, while everything is cleared.
    return {
      clients: [
        writes(0, one('clear', stays, at - 200)),
        looks(1, () => stays),
        looks(1, any),
        looks(0, any),
      ],
      faults: pick([true, false])
        ? [
            // It stops between the eras that it begins on the two.
            { ...base, kind: some('hang'), at: at - 1, ms: 20 + upTo(60) },
            { ...base, kind: some('freeze'), at: at + random() * 8, process: 0 },
          ]
        : [
            { ...base, kind: some('freeze'), process: 1, at: at + upTo(300) },
            {
              ...base,
              kind: some('freeze', 'hang', 'cut', 'disconnect'),
              at: at - 300 + upTo(600),
              process: upTo(2),
              ms: 300,
            },
          ].slice(0, pick([1, 2])),
    }
  }
  const fault = (): FaultPlan => ({
    kind: pick(kinds),
    at: 200 + upTo(2500),
    ms: pick(LENGTHS),
    process: upTo(processes.length),
    key: 'k',
    pick: upTo(1000),
  })
  const clients = [writer(), ...Array.from({ length: pick([2, 3]) }, (_, i) => reader(i))]
  const faults = Array.from({ length: pick([1, 2, 2, 3]) }, fault)
  const meeting = pick([undefined, undefined, ...MEETINGS])
  const all = meeting === undefined ? { clients, faults } : met(meeting)
  return {
    processes,
    clients: all.clients,
    faults: unsplit(all.faults),
    tombstoneTtl: 60_000,
    plainly: pick([0.98, 0.9]),
    diskPlainly: 1,
    realFiles: false,
    pair: true,
  }
}

/** Where some processes reach one store only, and the others the other one, nothing can be promised. */
function unsplit(faults: readonly FaultPlan[]): readonly FaultPlan[] {
  const first = faults.find(({ kind }) => kind === 'cut')?.process ?? 0
  return faults.map((fault) => (fault.kind === 'cut' ? { ...fault, process: first } : fault))
}
