import { ABSENT, type Cell } from '../cache/index.ts'
import type { Decision } from '../flags/index.ts'
import type { Side } from '../side.ts'
import type { Operation, Outcome, Recorder } from '../telemetry/index.ts'
import type { GuardedSide } from './sides/guarded-side.ts'
import type { StandbyPolicy } from './options.ts'

/** What one operation did, for response headers, traces and tests. Holds no key. */
export interface OperationInfo {
  readonly operation: Operation
  /** The side that the flag picked. */
  readonly side: Side
  readonly outcome: Outcome
  /** Who gave the value or took the write: a side, the origin, or none. */
  readonly servedBy: Side | 'origin' | 'none'
  readonly decision: Decision
  /** Of a write: who sees nothing older once it has resolved. `all` for other operations. */
  readonly reach: Reach
}

/** What `diagnostics_channel.tracingChannel('switchback:operation')` passes around for one operation. */
export interface OperationTrace extends Partial<Omit<OperationInfo, 'operation'>> {
  /** The method that was called: `get`, `set`, `clear` and so on. */
  readonly operation: string
  /** The cache's name. */
  readonly cache: string
}

/**
 * - `all`: every process that uses the two sides;
 * - `later`: those of this machine; users of an old side that another machine has to itself at most 1 s later;
 * - `machine`: those of this machine, and the others as soon as the side is told, which the ledger sees to;
 * - `process`: this one, and the others as soon as it has told the side, or anybody.
 */
export type Reach = 'all' | 'later' | 'machine' | 'process'

const REACHED = {
  later: 'reach_later',
  machine: 'reach_machine',
  process: 'reach_process',
} as const

const FROM_FAR: readonly Reach[] = ['all', 'later', 'machine', 'process']

export function nearerReach(one: Reach, other: Reach): Reach {
  return FROM_FAR.indexOf(one) > FROM_FAR.indexOf(other) ? one : other
}

export type OnOperation = (info: OperationInfo) => void

/**
 * The decision holds for the whole operation: a flip in its middle cannot make it use both sides.
 */
export class PinnedOperation {
  readonly key: string
  readonly operation: Operation
  readonly decision: Decision
  readonly active: GuardedSide
  readonly standby: GuardedSide
  readonly policy: StandbyPolicy
  /** The standby is retired: it receives writes and is never read. */
  readonly retired: boolean
  /** The user, as far as the counters may know. */
  readonly bucket: number
  readonly startedAt: number = performance.now()
  /** Time spent in the loader, which does not count as the cache's. */
  loadMs = 0
  /** Latest time at which the missed cell was requested: a much later fill is not stored. */
  missedAt: number = this.startedAt
  /** Then, by the clock of the place; 0: it was alive, and its token, which never comes back, tells by itself. */
  missedOn = 0
  /** Before the standby was read on a miss, or told of a set: by its own clock. */
  standbyMissedOn = 0
  /** What was heard of the shared store then, where the other side follows it. */
  heardUntil = 0
  /** The side whose cell was read and to which a fill goes; none when neither can be trusted. */
  place: GuardedSide | undefined
  /** The content of the place. Its token is the condition of a fill. */
  cell: Cell = ABSENT
  /** What the standby held, once it was read on a miss. */
  standbyCell: Cell | undefined
  /** The standby's fence before the cell that a mirror leg would replace: as `fence`, for that leg. */
  standbyFence = 0
  /** The place's fence when the cell was read: a fill is refused when it has moved. */
  fence = 0
  outcome: Outcome = 'miss'
  servedBy: Side | 'origin' | 'none' = 'none'
  reach: Reach = 'all'

  constructor(
    operation: Operation,
    key: string,
    decision: Decision,
    active: GuardedSide,
    standby: GuardedSide,
    policy: StandbyPolicy,
    retired: boolean,
    bucket: number,
  ) {
    this.operation = operation
    this.key = key
    this.decision = decision
    this.active = active
    this.standby = standby
    this.policy = policy
    this.retired = retired
    this.bucket = bucket
  }

  /** The same operation, which looks once more. */
  again(): PinnedOperation {
    const { operation, key, decision, active, standby, policy, retired, bucket } = this
    return new PinnedOperation(operation, key, decision, active, standby, policy, retired, bucket)
  }

  /**
   * Whether what was written on the side since the miss shows: if it was removed again, its tombstone still stands.
   * A conditional write compares with the cell of the miss, and would not see more.
   */
  isRecent(side: GuardedSide): boolean {
    return !side.outlived(this.missedAt, side === this.place ? this.missedOn : this.standbyMissedOn)
  }

  /** Whether the standby is kept written too. */
  get mirrored(): boolean {
    return !this.retired && this.policy !== 'invalidate'
  }

  finish(recorder: Recorder, onOperation: OnOperation | undefined): void {
    const durationMs = performance.now() - this.startedAt - this.loadMs
    const { side } = this.active
    // The standby answered the read, be it that it holds nothing, or it took the write.
    const elsewhere = this.place === this.standby || this.servedBy === this.standby.side
    recorder.operation(side, this.operation, this.outcome, durationMs, this.bucket, elsewhere)
    if (this.reach !== 'all') recorder.event(side, REACHED[this.reach])
    if (onOperation !== undefined) {
      const { operation, outcome, servedBy, decision, reach } = this
      onOperation({ operation, side, outcome, servedBy, decision, reach })
    }
  }
}
