import { LATENCY_BOUNDS, USER_BUCKETS } from '../../metrics.ts'
import type { Side } from '../../side.ts'
import type { Counts } from './counts.ts'
import type { DecisionCount } from './decisions.ts'
import { CLASSES, COMPARISONS, EVENTS, FIRST_BAD, OPERATIONS, OUTCOMES, SIDES } from './labels.ts'
import type { OperationClass } from './labels.ts'
import type { Comparison, Operation, Outcome, SideEvent } from '../recorder.ts'

/** Everything counted since the process started, both sides at one moment. */
export interface TelemetrySnapshot {
  /** Random per process, to tell a restart from a counter that fell. */
  readonly instance: string
  /** Epoch milliseconds. */
  readonly startedAt: number
  /** Epoch milliseconds. */
  readonly takenAt: number
  readonly arms: Readonly<Record<Side, ArmSnapshot>>
  readonly decisions: readonly DecisionCount[]
  readonly comparisons: Readonly<Record<Comparison, number>>
  /** Windows in which {@link ArmSnapshot.distinctUsers} counted. */
  readonly userWindows: number
}

export interface ArmSnapshot {
  /** Operations of business code that ended. */
  readonly total: number
  /** Those that failed, timed out or fell back. */
  readonly bad: number
  /** Only the combinations that can occur or did. */
  readonly operations: readonly OperationCount[]
  readonly latency: Readonly<Record<OperationClass, HistogramSnapshot>>
  readonly users: readonly UserBucket[]
  /** Distinct users, counted once in each window; see `userWindowMs`. */
  readonly distinctUsers: number
  readonly events: Readonly<Record<SideEvent, number>>
  readonly origin: { readonly loads: HistogramSnapshot; readonly failed: number }
  readonly bytes: { readonly read: number; readonly written: number }
}

export interface OperationCount {
  readonly operation: Operation
  readonly outcome: Outcome
  readonly count: number
}

/** Counts per bound, not cumulative; {@link bounds} are the upper ends in seconds. */
export interface HistogramSnapshot {
  readonly bounds: readonly number[]
  readonly counts: readonly number[]
  readonly count: number
  readonly sumSeconds: number
}

export interface UserBucket {
  readonly operations: number
  /** Nobody served the caller. */
  readonly failed: number
  /** The side did not, and the other one served. */
  readonly fellBack: number
  readonly repeatMisses: number
  /** Operations that ended well on their side, by latency bound, reads and writes together, not cumulative. */
  readonly latency: readonly number[]
}

const BOUNDS = LATENCY_BOUNDS.length

const READ_OUTCOMES: readonly Outcome[] = ['hit', 'miss', 'failed', 'timed_out', 'fell_back']
/** Outcomes that are exported from the start, so that a first failure is a rise from zero. */
const POSSIBLE: Readonly<Record<Operation, readonly Outcome[]>> = {
  get: READ_OUTCOMES,
  getOrSet: READ_OUTCOMES,
  has: READ_OUTCOMES,
  set: ['stored', 'failed', 'timed_out', 'fell_back'],
  delete: ['deleted', 'miss', 'failed', 'timed_out', 'fell_back'],
  clear: ['deleted', 'failed', 'timed_out', 'fell_back'],
}

function zeros(): number[] {
  return Array<number>(BOUNDS).fill(0)
}

function histogram(counts: number[], sumMs: number): HistogramSnapshot {
  return {
    bounds: LATENCY_BOUNDS,
    counts,
    count: counts.reduce((sum, count) => sum + count, 0),
    sumSeconds: sumMs / 1000,
  }
}

function named<Name extends string>(
  names: readonly Name[],
  counts: Float64Array,
  from: number,
): Record<Name, number> {
  return Object.fromEntries(
    names.map((name, index) => [name, counts[from + index] ?? 0]),
  ) as Record<Name, number>
}

function armSnapshot(counts: Counts, s: number): ArmSnapshot {
  const operations: OperationCount[] = []
  let bad = 0
  for (const [o, operation] of OPERATIONS.entries()) {
    for (const [r, outcome] of OUTCOMES.entries()) {
      const count = counts.operations[(s * OPERATIONS.length + o) * OUTCOMES.length + r]!
      if (count === 0 && !POSSIBLE[operation].includes(outcome)) continue
      operations.push({ operation, outcome, count })
      if (r >= FIRST_BAD) bad += count
    }
  }
  const byClass = CLASSES.map(() => zeros())
  const users: UserBucket[] = []
  for (let user = 0; user < USER_BUCKETS; user++) {
    const latency = zeros()
    let total = 0
    for (let c = 0; c < CLASSES.length; c++) {
      const from = ((s * CLASSES.length + c) * USER_BUCKETS + user) * BOUNDS
      for (let b = 0; b < BOUNDS; b++) {
        const count = counts.latency[from + b]!
        byClass[c]![b]! += count
        latency[b]! += count
        total += count
      }
    }
    for (let b = 0; b < BOUNDS; b++) {
      latency[b]! -= counts.badLatency[(s * USER_BUCKETS + user) * BOUNDS + b]!
    }
    users.push({
      operations: total,
      failed: counts.failed[s * USER_BUCKETS + user]!,
      fellBack: counts.fellBack[s * USER_BUCKETS + user]!,
      repeatMisses: counts.repeatMisses[s * USER_BUCKETS + user]!,
      latency,
    })
  }
  const origin = Array.from(counts.originLatency.subarray(s * BOUNDS, (s + 1) * BOUNDS))
  return {
    total: users.reduce((sum, user) => sum + user.operations, 0),
    bad,
    operations,
    latency: {
      read: histogram(byClass[0]!, counts.latencySum[s * 2]!),
      write: histogram(byClass[1]!, counts.latencySum[s * 2 + 1]!),
    },
    users,
    distinctUsers: counts.users.totals[s]!,
    events: named(EVENTS, counts.events, s * EVENTS.length),
    origin: { loads: histogram(origin, counts.originSum[s]!), failed: counts.originFailed[s]! },
    bytes: { read: counts.traffic[s * 2]!, written: counts.traffic[s * 2 + 1]! },
  }
}

/** Reads all counters without yielding, so that no operation falls between the two sides. */
export function takeSnapshot(
  counts: Counts,
  identity: { readonly instance: string; readonly startedAt: number },
  takenAt: number,
): TelemetrySnapshot {
  const [off, on] = SIDES.map((_, s) => armSnapshot(counts, s)) as [ArmSnapshot, ArmSnapshot]
  return {
    ...identity,
    takenAt,
    arms: { off, on },
    decisions: counts.decisions.list(),
    comparisons: named(COMPARISONS, counts.comparisons, 0),
    userWindows: counts.users.windows,
  }
}
