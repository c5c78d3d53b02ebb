import { LATENCY_BOUNDS, USER_BUCKETS } from '../../metrics.ts'
import type { Side } from '../../side.ts'
import { DecisionCounts } from './decisions.ts'
import { COMPARISONS, EVENTS, FIRST_BAD, OPERATIONS, OUTCOMES } from './labels.ts'
import { LossCounts } from './losses.ts'
import type { Comparison, Losses, Operation, Outcome, Recorder, SideEvent } from '../recorder.ts'
import { DistinctUsers, userMark } from './distinct-users.ts'

const BOUNDS = LATENCY_BOUNDS.length
const BOUNDS_MS = Float64Array.from(LATENCY_BOUNDS, (seconds) => seconds * 1000)

function sideIndex(side: Side): number {
  return side === 'on' ? 1 : 0
}

export function latencyIndex(durationMs: number): number {
  let index = 0
  while (index < BOUNDS - 1 && durationMs > BOUNDS_MS[index]!) index++
  return index
}

const REPEAT_MISS = EVENTS.indexOf('repeat_miss')

/**
 * The counters of one process, all preallocated. The latency histogram is kept per user bucket:
 * that costs one increment either way, and the guard can later count the slow operations of every
 * bucket above any boundary.
 */
export class Counts implements Recorder {
  /** side x operation x outcome */
  readonly operations: Float64Array = new Float64Array(2 * OPERATIONS.length * OUTCOMES.length)
  /** side x read or write x user bucket x latency bound */
  readonly latency: Float64Array = new Float64Array(2 * 2 * USER_BUCKETS * BOUNDS)
  /** side x read or write, milliseconds */
  readonly latencySum: Float64Array = new Float64Array(2 * 2)
  /** side x user bucket; the other side served nobody of these */
  readonly failed: Float64Array = new Float64Array(2 * USER_BUCKETS)
  /** side x user bucket; the other side served */
  readonly fellBack: Float64Array = new Float64Array(2 * USER_BUCKETS)
  /** side x user bucket x latency bound, of both of these */
  readonly badLatency: Float64Array = new Float64Array(2 * USER_BUCKETS * BOUNDS)
  /** side x user bucket */
  readonly repeatMisses: Float64Array = new Float64Array(2 * USER_BUCKETS)
  /** side x event */
  readonly events: Float64Array = new Float64Array(2 * EVENTS.length)
  /** side x latency bound */
  readonly originLatency: Float64Array = new Float64Array(2 * BOUNDS)
  /** side, milliseconds */
  readonly originSum: Float64Array = new Float64Array(2)
  /** side */
  readonly originFailed: Float64Array = new Float64Array(2)
  /** side x read or written */
  readonly traffic: Float64Array = new Float64Array(2 * 2)
  readonly comparisons: Float64Array = new Float64Array(COMPARISONS.length)
  readonly decisions: DecisionCounts = new DecisionCounts()
  readonly users: DistinctUsers

  constructor(now: number, userWindowMs: number) {
    this.users = new DistinctUsers(now, userWindowMs)
  }

  operation(
    side: Side,
    operation: Operation,
    outcome: Outcome,
    durationMs: number,
    bucket: number,
    elsewhere = false,
  ): void {
    const s = sideIndex(side)
    const op = OPERATIONS.indexOf(operation)
    const result = OUTCOMES.indexOf(outcome)
    const write = op === 1 || op >= 4 ? 1 : 0
    const user = bucket & (USER_BUCKETS - 1)
    // A clock that stepped back must not poison the sums.
    const duration = durationMs > 0 ? durationMs : 0
    this.operations[(s * OPERATIONS.length + op) * OUTCOMES.length + result]!++
    const bound = latencyIndex(duration)
    this.latency[((s * 2 + write) * USER_BUCKETS + user) * BOUNDS + bound]!++
    this.latencySum[s * 2 + write]! += duration
    if (result >= FIRST_BAD) {
      const ended = elsewhere ? this.fellBack : this.failed
      ended[s * USER_BUCKETS + user]!++
      this.badLatency[(s * USER_BUCKETS + user) * BOUNDS + bound]!++
    }
    this.users.see(s, bucket)
  }

  bucketOf(targetingKey: string | undefined): number {
    return userMark(targetingKey)
  }

  decision(side: Side, variant: string, reason: string, source: string): void {
    this.decisions.add(sideIndex(side), variant, reason, source)
  }

  event(side: Side, event: SideEvent, bucket = 0): void {
    const index = EVENTS.indexOf(event)
    const s = sideIndex(side)
    this.events[s * EVENTS.length + index]!++
    if (index === REPEAT_MISS) this.repeatMisses[s * USER_BUCKETS + (bucket & 31)]!++
  }

  originLoad(side: Side, durationMs: number, ok: boolean): void {
    const s = sideIndex(side)
    const duration = durationMs > 0 ? durationMs : 0
    this.originLatency[s * BOUNDS + latencyIndex(duration)]!++
    this.originSum[s]! += duration
    if (!ok) this.originFailed[s]!++
  }

  bytes(side: Side, direction: 'read' | 'written', count: number): void {
    if (count > 0) this.traffic[sideIndex(side) * 2 + (direction === 'written' ? 1 : 0)]! += count
  }

  comparison(result: Comparison): void {
    this.comparisons[COMPARISONS.indexOf(result)]!++
  }

  losses(): Losses {
    return new LossCounts(this)
  }
}
