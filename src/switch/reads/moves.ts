import {
  type Cell,
  EXPIRY_UNKNOWN,
  isNamed,
  type MaybePromise,
  type WriteResult,
} from '../../cache/index.ts'
import type { Recorder } from '../../telemetry/index.ts'
import type { Debts } from '../truth/debts.ts'
import type { Follower } from '../truth/follower.ts'
import type { GuardedSide } from '../sides/guarded-side.ts'
import type { PinnedOperation } from '../operation.ts'
import { NEVER_TRUSTED } from '../truth/trust.ts'

/** A write may take so much longer than its deadlines from one side to the other: its process was busy. */
const LEGS_MS = 1000

/** After `moved` the active side has the value too, as the latest. */
type Taken = 'nothing' | 'served' | 'moved'

interface Moved extends WriteResult {
  /** It may be used without asking; `undefined`: as it was written. */
  readonly known?: boolean | undefined
}

const NOT_WRITTEN: Moved = { written: false, token: '' }

export interface MovesParts {
  readonly debts: Debts
  readonly recorder: Recorder
  readonly follower?: Follower | undefined
}

/** Values that change sides with their users, so that a flip costs the origin nothing. */
export class Moves {
  readonly #debts: Debts
  readonly #recorder: Recorder
  readonly #follower: Follower | undefined

  constructor(parts: MovesParts) {
    this.#debts = parts.debts
    this.#recorder = parts.recorder
    this.#follower = parts.follower
  }

  /**
   * On a miss: takes the value over from the standby, with its expiry. Unless the result is `nothing`,
   * `op.cell` is alive.
   */
  takeOver(op: PinnedOperation, readAnyway: boolean): MaybePromise<Taken> {
    const { active, standby, key, cell } = op
    if (op.retired || op.place !== active) return 'nothing'
    const blank = this.#isBlank(op)
    const named = cell.state === 'tombstone' && cell.successor !== ''
    if (!blank && !named && !readAnyway) return 'nothing'
    const trusted = this.#debts.trustedFrom(standby.side, key)
    if (trusted === NEVER_TRUSTED) return 'nothing'
    op.standbyFence = trusted
    op.standbyMissedOn = standby.backend.now()
    const { changes } = this.#debts
    const saw = (found: Cell | undefined): MaybePromise<Taken> => {
      op.standbyCell = found
      if (found === undefined) return 'nothing'
      const since = this.#debts.trustedSince(standby.side, key, trusted, changes)
      const alive = found.state === 'value' && found.writtenAt >= since
      if (!alive) return 'nothing'
      const latest = isNamed(cell, found) || (blank && this.mayMove(op, found))
      return latest ? this.#take(op, cell, found) : 'nothing'
    }
    let read: MaybePromise<Cell | undefined>
    try {
      read = this.#debts.read(standby.side, key)
    } catch {
      return 'nothing'
    }
    return read instanceof Promise ? read.then(saw, () => 'nothing') : saw(read)
  }

  async #take(op: PinnedOperation, missed: Cell, found: Cell): Promise<Taken> {
    op.cell = found
    op.servedBy = op.standby.side
    const { written, foreign, known = written } = await this.#fillFrom(op, missed, found)
    if (written) return known ? 'moved' : 'served'
    const follower = this.#follower?.side === op.standby.side ? this.#follower : undefined
    const named = isNamed(missed, found)
    // Of a side that other machines do not see: the shared one may have lost what they wrote there, which only its
    // script knows, or they could leave no tombstone there. Nothing says that it is the latest.
    if (follower?.others === true && (foreign === true || !named)) {
      op.cell = missed
      op.servedBy = 'none'
      return 'nothing'
    }
    return 'served'
  }

  /**
   * Whether the side knows nothing of the key: it has nothing, or what it has is distrusted. What another program
   * wrote there may be newer than all that the other side has.
   */
  #isBlank({ cell, fence }: PinnedOperation): boolean {
    if (cell.state === 'absent') return true
    return cell.state === 'value' && cell.writtenAt < fence && cell.expiresAt !== EXPIRY_UNKNOWN
  }

  /**
   * Whether a value may replace what was missed. A recent distrusted value may be a set that has
   * not reached the standby yet: a move would undo it, so the standby's value may only be served.
   */
  #mayReplace(active: GuardedSide, missed: Cell): boolean {
    if (missed.state !== 'value') return true
    const { backend } = active
    return missed.writtenAt < backend.now() - backend.tombstoneTtl
  }

  /**
   * A shared store that began its era while a write was between its legs may have lost that write's value, and
   * its writer need not have heard of it: the other store's value is only served until no such write is left.
   */
  isYoung(
    { active, standby, fence }: Pick<PinnedOperation, 'active' | 'standby' | 'fence'>,
    missed: Cell,
  ): boolean {
    if (!this.#debts.fencesByEra || missed.state === 'tombstone') return false
    return fence > active.backend.now() - active.deadlineMs - standby.deadlineMs - LEGS_MS
  }

  /**
   * A side that other machines do not see need not know what they wrote to the shared one, where its value
   * moves only if it is confirmed by there being nothing.
   */
  mayMove({ standby, key }: Pick<PinnedOperation, 'standby' | 'key'>, found: Cell): boolean {
    const follower = this.#follower
    return follower?.side !== standby.side || follower.mayMove(key, found)
  }

  /** With the expiry that only its store knows; `undefined`: the store has something else by now. */
  async #dated({ standby, key }: PinnedOperation, found: Cell): Promise<Cell | undefined> {
    try {
      const expiresAt = await standby.hold(Promise.resolve(standby.backend.claim?.(key, found)))
      return expiresAt === undefined ? undefined : { ...found, expiresAt }
    } catch {
      // Its store is out: the value is served all the same.
      return undefined
    }
  }

  async #fillFrom(op: PinnedOperation, missed: Cell, found: Cell): Promise<Moved> {
    const { active, standby, key } = op
    let entry: Cell | undefined = found
    // Asked first: what is checked here must hold at the write.
    if (found.expiresAt === EXPIRY_UNKNOWN) entry = await this.#dated(op, found)
    if (entry === undefined) return NOT_WRITTEN
    if (!this.#mayReplace(active, missed) || this.isYoung(op, missed)) return NOT_WRITTEN
    if (!this.#debts.vouchedFor(standby.side)) return NOT_WRITTEN
    const follower = active.side === this.#follower?.side ? this.#follower : undefined
    if (follower?.changedSince(key, op.heardUntil) === true) return NOT_WRITTEN
    try {
      const stands = this.#debts.stands(op, active, op.fence)
      const result = await active.write(key, entry, missed.token, missed.era, stands)
      const known = follower?.filled(op, result.token)
      this.#recorder.event(active.side, result.written ? 'backfill' : 'fill_refused')
      return { ...result, known }
    } catch {
      // The value is served all the same; the next miss tries again.
      return NOT_WRITTEN
    }
  }
}
