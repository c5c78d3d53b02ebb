import { seeded } from '../support/simulation.ts'
import type { Side } from '../../src/side.ts'
import type { StandbyPolicy } from '../../src/switch/index.ts'

export interface OpPlan {
  readonly op: 'get' | 'set' | 'delete' | 'getOrSet' | 'clear' | 'deleteMany' | 'nested'
  readonly key: string
  readonly side: Side
  /** Milliseconds since the operation before has ended. */
  readonly gap: number
  /** Of the stored or loaded value; 0: none. */
  readonly ttl: number
  readonly loadMs: number
  /** Its caller accepts an expired value: when the loader fails, or takes so long. @default no */
  readonly grace?: { readonly fails: boolean; readonly softMs: number | undefined }
}

export interface ClientPlan {
  readonly process: number
  readonly ops: readonly OpPlan[]
}

export const FAULTS = [
  'hang',
  'disconnect',
  'restart-empty',
  'restart-snapshot',
  'flushall',
  'replicaof',
  'evict',
  'oom',
  'readonly',
  'kill',
  'freeze',
  'close',
  'start',
  'writer-frozen',
  'disk-full',
  'disk-broken',
  'redis-clock',
  'host-clock',
  'cut',
  'evict-state',
] as const

export type FaultKind = (typeof FAULTS)[number]

export interface FaultPlan {
  readonly kind: FaultKind
  readonly at: number
  /** How long it lasts. */
  readonly ms: number
  readonly process: number
  readonly key: string
  /** Any number: which snapshot, which policy, how far a clock steps. */
  readonly pick: number
}

/** What a program without the switch does to plain values. */
export interface OutsiderPlan {
  /** 0: before any process with the switch starts. */
  readonly at: number
  /** `repeat`: sets the text that is there. */
  readonly act: 'set' | 'repeat' | 'delete' | 'expire'
  readonly key: string
  readonly side: Side
  /** 0: none. */
  readonly ttl: number
}

export interface ProcessPlan {
  readonly policy: StandbyPolicy
  /** Leaves a migration: the old side is still told, and read no more. */
  readonly retire: boolean
  readonly breaker: { readonly window: number; readonly failures: number }
  readonly deadlineMs: Readonly<Record<Side, number>>
  readonly originConcurrency: number
  readonly maxOwed: number
}

export interface Plan {
  readonly processes: readonly ProcessPlan[]
  readonly clients: readonly ClientPlan[]
  readonly faults: readonly FaultPlan[]
  readonly tombstoneTtl: number
  /** How often messages are plainly fast, and the disk is free. */
  readonly plainly: number
  readonly diskPlainly: number
  /** How many of the delays of messages there are, the fastest first. @default all */
  readonly span?: number
  /** What is over is removed from the files at once; if not, it leaves its token. */
  readonly sweeps?: boolean
  /** The shipped file store on real files, instead of the simulated disk. */
  readonly realFiles: boolean
  /** All that clients do is in a namespace, which is what they clear. */
  readonly namespace?: boolean
  /** Two Redis that all share, and no files. @default a file store and a Redis */
  readonly pair?: boolean
  /** Sides that keep plain values. @default none */
  readonly plain?: readonly Side[]
  readonly outsiders?: readonly OutsiderPlan[]
}

export interface PlanOptions {
  /** What processes do with the side that the flag did not pick; `mixed`: each what it likes. */
  readonly policies: readonly StandbyPolicy[]
  readonly faults: readonly FaultKind[]
  /** Share of the schedules that run on real files. */
  readonly realFiles: number
  /** Loaders that call getOrSet themselves. */
  readonly nested: boolean
  /** Loads of up to three lives of a tombstone. */
  readonly slow: boolean
  readonly clear: boolean
  /** Ledgers that write off what is owed when it becomes too much. */
  readonly overflow: boolean
}

const GAPS = {
  burst: [0, 0, 0, 1, 1, 2, 5, 10, 20, 40],
  wide: [0, 0, 1, 2, 5, 10, 20, 40, 80, 120, 200, 300, 500, 900],
}
const TTLS = [1, 5, 30, 200, 1000]
const KEYS = ['k', 'k', 'k', 'k', 'l']
/** With a slow disk and a slow network, on one key: what must meet meets often. */
const STORM_GAPS = [0, 2, 10, 20, 40, 80, 120, 200]

/** The same plan, in which values expire soon, and many callers accept them for as long as they are there. */
export function withGrace(plan: Plan, seed: number): Plan {
  const random = seeded(seed * 2 + 7)
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!
  const op = (one: OpPlan): OpPlan => ({
    ...one,
    ttl: one.ttl === 0 && random() < 0.7 ? pick(TTLS) : one.ttl,
    grace: { fails: random() < 0.7, softMs: pick([undefined, undefined, 1, 5, 30]) },
  })
  return {
    ...plan,
    clients: plan.clients.map((client) => ({ ...client, ops: client.ops.map(op) })),
  }
}

/** The same plan in a namespace, which is cleared often. */
export function withNamespace(plan: Plan, seed: number): Plan {
  const random = seeded(seed * 2 + 11)
  const clears = [0, 0.1, 0.3][Math.floor(random() * 3)]!
  const op = (one: OpPlan): OpPlan => (random() < clears ? { ...one, op: 'clear' } : one)
  return {
    ...plan,
    namespace: true,
    clients: plan.clients.map((client) => ({ ...client, ops: client.ops.map(op) })),
  }
}

/** The same plan over plain values, which others write too. */
export function withPlain(plan: Plan, seed: number): Plan {
  const random = seeded(seed * 2 + 9)
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!
  const sides = plan.pair === true ? (['off', 'on'] as const) : (['on'] as const)
  const plain = plan.pair === true ? pick([['off'], ['on'], ['off', 'on']] as const) : sides
  const span = pick([300, 1000, 2500])
  const warm = plain.flatMap((side) =>
    ['k', 'l']
      .filter(() => random() < 0.6)
      .map((key) => ({ at: 0, act: 'set', key, side, ttl: pick([0, 0, 0, 30, 1000]) }) as const),
  )
  const acts = Array.from({ length: pick([0, 1, 2, 3, 5, 8]) }, () => ({
    at: 1 + Math.floor(random() * span),
    act: pick([
      'set',
      'set',
      'set',
      'set',
      'delete',
      'delete',
      'delete',
      'expire',
      'repeat',
    ] as const),
    key: pick(KEYS),
    side: pick(plain),
    ttl: random() < 0.25 ? pick(TTLS) : 0,
  }))
  return { ...plan, plain, outsiders: [...warm, ...acts] }
}

/** A random plan: who does what, and what goes wrong when. */
export function makePlan(seed: number, options: PlanOptions): Plan {
  const random = seeded(seed * 2 + 1)
  const chance = (p: number): boolean => random() < p
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!
  const upTo = (n: number): number => Math.floor(random() * n)

  // A tombstone must outlive every operation: a second's patience with a busy disk twice over, and deadlines.
  const tombstoneTtl = pick([3000, 3000, 10_000, 60_000])
  const storm = chance(0.4)
  const retiring = chance(0.15) ? 0.5 : 0
  const process = (): ProcessPlan => ({
    policy: pick(options.policies),
    retire: chance(retiring),
    breaker: chance(0.4)
      ? { window: 1, failures: 1 }
      : chance(0.5)
        ? { window: 31, failures: 31 }
        : { window: 10, failures: 5 },
    deadlineMs: { off: pick(storm ? [1000] : [100, 100, 1000]), on: pick([100, 100, 30, 250]) },
    originConcurrency: pick([1, 2, 64, 64]),
    maxOwed: options.overflow ? pick([10_000, 10_000, 1, 0]) : 10_000,
  })
  const processes = Array.from({ length: pick([1, 2, 2, 2, 3]) }, process)
  // Few writes among many reads find what stays wrong; many writes find what crosses.
  const writes = pick([0.15, 0.3, 0.5])
  const clears = chance(0.25) && options.clear ? 0.1 : 0
  const nested = chance(0.15) && options.nested ? 0.3 : 0
  const slow = chance(0.35) && options.slow
  const short = chance(0.2)
  const gaps = storm ? STORM_GAPS : GAPS[pick(['burst', 'wide', 'wide'] as const)]
  const op = (): OpPlan => {
    const drawn = random()
    const kind = chance(clears)
      ? 'clear'
      : drawn < writes
        ? pick(['set', 'set', 'delete', 'delete', 'delete', 'deleteMany'] as const)
        : chance(0.3)
          ? 'get'
          : chance(nested)
            ? 'nested'
            : 'getOrSet'
    return {
      op: kind,
      key: storm ? 'k' : pick(KEYS),
      side: pick(['off', 'on', 'on'] as const),
      gap: pick(gaps),
      ttl: short && chance(0.5) ? pick(TTLS) : 0,
      loadMs:
        slow && chance(0.5)
          ? upTo(pick([50, 300, 2000, tombstoneTtl > 3000 ? 2000 : tombstoneTtl * 3]))
          : pick([0, 0, 1, 5, 30]),
    }
  }
  const clients = Array.from({ length: 2 + upTo(4) }, () => ({
    process: upTo(processes.length),
    ops: Array.from({ length: 2 + upTo(storm ? 12 : 7) }, op),
  }))
  // One trouble is the rule; several meet now and then.
  const count =
    options.faults.length === 0
      ? 0
      : pick(options.faults.length === 1 ? [1, 2, 4, 6] : [0, 1, 1, 2, 2, 3])
  const faults = Array.from({ length: count }, () => ({
    kind: pick(options.faults),
    at: upTo(pick([300, 1000, 2500])),
    ms: pick([10, 60, 120, 300, 700, 1500, 4000]),
    process: upTo(processes.length),
    key: pick(KEYS),
    pick: upTo(1000),
  }))
  return {
    processes,
    clients,
    faults,
    tombstoneTtl,
    plainly: pick(storm ? [0.95, 0.85] : [0.98, 0.9, 0.7]),
    diskPlainly: pick(storm ? [0.5, 0.7] : [0.98, 0.9, 0.6]),
    realFiles: chance(options.realFiles),
    sweeps: chance(0.5),
  }
}
