import type { Cell, Heard, Ledger, MaybePromise } from '../../cache/index.ts'
import { oneLine } from '../../errors.ts'
import type { Side } from '../../side.ts'
import type { Recorder } from '../../telemetry/index.ts'
import type { Boards } from './boards.ts'
import type { Notify } from '../events.ts'
import type { GuardedSide } from '../sides/guarded-side.ts'
import { MemoryLedger } from './memory-ledger.ts'

/** Nothing that the side has under the key may be used. */
export const NEVER_TRUSTED: number = Number.POSITIVE_INFINITY

export interface TrustParts {
  /** The machine's ledger, when one of the backends keeps one. */
  readonly ledger: Ledger | undefined
  /** The boards of two shared stores, in place of a ledger. */
  readonly boards?: Boards | undefined
  readonly sides: Readonly<Record<Side, GuardedSide>>
  /**
   * A store that this machine has not met before begins a new era, unless others use it: the ledger outlives
   * the process.
   */
  readonly renews: boolean
  /** Called first, with whatever a store reports. */
  readonly onHeard?: (heard: Heard) => void
  /** More pending on a side than this: one fence replaces them. */
  readonly maxOwed: number
  readonly recorder: Recorder
  readonly notify: Notify
}

/** Whether a side may be used for a key: what each read asks before it, and again after it. */
export class Trust {
  protected readonly parts: TrustParts
  /** What only this process knows. */
  protected readonly memory: MemoryLedger = new MemoryLedger()
  /** The machine's, or else this process's. */
  protected readonly ledger: Ledger
  /** Why the ledger could not be read, in one line; `''` when it could. */
  unreadable = ''
  /** Incremented by each fence and era that this process itself has adopted. */
  changes = 0

  constructor(parts: TrustParts) {
    this.parts = parts
    this.ledger = parts.ledger ?? this.memory
  }

  /**
   * The side's cells of the key may be trusted if they were written at this time (store clock) or
   * later. {@link NEVER_TRUSTED} while the side is out or has an invalidation of the key pending,
   * and while the ledger cannot be read: what cannot be checked is not trusted. One look at the
   * ledger.
   */
  trustedFrom(side: Side, key: string): number {
    const { usable, backend } = this.parts.sides[side]
    if (!usable) return NEVER_TRUSTED
    const own = this.memory.blank ? 0 : this.memory.trustedFrom(side, key)
    const remembered = backend.since === undefined ? own : Math.max(own, backend.since(key))
    try {
      const fence = this.parts.ledger?.trustedFrom(side, key) ?? 0
      this.unreadable = ''
      return this.isCurrent(side) ? Math.max(remembered, fence) : NEVER_TRUSTED
    } catch (error) {
      return this.cannotRead(error)
    }
  }

  /**
   * Reads the side, whose cells of the key this process trusts. `undefined`: another process does not.
   * A hit under a licence costs nothing more.
   */
  read(side: Side, key: string): MaybePromise<Cell | undefined> {
    const { boards, sides } = this.parts
    return boards === undefined || boards.licensed(side)
      ? sides[side].read(key)
      : boards.read(side, key)
  }

  /**
   * What was read of the side may still be moved to the other one. Without a licence nobody waits for
   * it: an era may have begun since, and a process that stood still would not know.
   */
  vouchedFor(side: Side): boolean {
    return this.parts.boards?.licensed(side) ?? true
  }

  /** As {@link trustedFrom}, after a read; `asked` and `changes` are from before it. */
  trustedSince(side: Side, key: string, asked: number, changes: number): number {
    // A store that restarted meanwhile has reported it before it answered.
    return this.changes === changes ? asked : Math.max(asked, this.trustedFrom(side, key))
  }

  /** Whether other processes move values between the two sides, who do not know what this one alone knows. */
  protected get othersMove(): boolean {
    return this.parts.ledger !== undefined || this.parts.boards !== undefined
  }

  /** Whether this process and its machine are in the same era of the side's store. */
  protected isCurrent(side: Side): boolean {
    const { backend } = this.parts.sides[side]
    const era = backend.era?.() ?? 0
    // It will be heard before the store is read.
    if (era === 0 || era === this.ledger.era(side)) return true
    backend.recheck?.()
    return false
  }

  protected cannotRead(error: unknown): number {
    if (this.unreadable === '') {
      this.unreadable = oneLine(error)
      this.parts.notify({ type: 'ledger-failed', detail: this.unreadable })
    }
    return NEVER_TRUSTED
  }
}
