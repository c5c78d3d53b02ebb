import type { Cell, MaybePromise } from '../../cache/index.ts'
import type { Outcome, Recorder } from '../../telemetry/index.ts'
import type { Debts } from '../truth/debts.ts'
import type { Follower } from '../truth/follower.ts'
import { type GuardedSide, isTimeout } from '../sides/guarded-side.ts'
import type { PinnedOperation } from '../operation.ts'
import { NEVER_TRUSTED } from '../truth/trust.ts'

export interface CoherenceParts {
  readonly debts: Debts
  readonly recorder: Recorder
  /** Of the side that other machines do not see, where there is one. */
  readonly follower?: Follower | undefined
}

/** How a key is read: on its own side where that can be trusted, else on the other one. */
export class CoherentReads {
  protected readonly debts: Debts
  protected readonly recorder: Recorder
  protected readonly follower: Follower | undefined

  constructor(parts: CoherenceParts) {
    this.debts = parts.debts
    this.recorder = parts.recorder
    this.follower = parts.follower
  }

  /** Reads the key where it can be trusted. True: `op.cell` is alive. Never rejects. */
  async read(op: PinnedOperation): Promise<boolean> {
    const { active, standby, key } = op
    op.place = undefined
    if (this.follower !== undefined) op.heardUntil = this.follower.now
    const meeting = active.meet()
    if (meeting !== undefined) await meeting
    // Asked before the read: what is acknowledged from here on need not be seen.
    const trusted = this.debts.trustedFrom(active.side, key)
    if (trusted === NEVER_TRUSTED) {
      op.outcome = 'fell_back'
    } else {
      try {
        const { changes } = this.debts
        const read = this.debts.read(active.side, key)
        const cell = read instanceof Promise ? await read : read
        if (cell !== undefined) {
          return this.#saw(op, active, cell, trusted, changes) && this.#mayUse(op, active)
        }
        op.outcome = 'fell_back'
      } catch (error) {
        op.outcome = failure(error)
      }
    }
    if (op.retired) return false
    const standbyTrusted = this.debts.trustedFrom(standby.side, key)
    if (standbyTrusted === NEVER_TRUSTED) return false
    try {
      const { changes } = this.debts
      const cell = await this.debts.read(standby.side, key)
      if (cell === undefined || !this.#saw(op, standby, cell, standbyTrusted, changes)) return false
      return await this.#mayUse(op, standby)
    } catch {
      return false
    }
  }

  /**
   * After a miss whose loader failed: a look of its own at the key, which trusts an expired value as {@link read}
   * trusts one that is alive. Nothing was replaced or deleted then, as far as a hit could know. `undefined`: there
   * is none. Its cell may be alive, since others load too. Never rejects.
   */
  async readStale(op: PinnedOperation, graceMs: number): Promise<PinnedOperation | undefined> {
    const look = op.again()
    if (await this.read(look)) return look
    const { place, cell, fence } = look
    if (place === undefined || cell.stale === undefined || cell.writtenAt < fence) return undefined
    if (Date.now() >= cell.expiresAt + graceMs || !(await this.#mayUse(look, place)))
      return undefined
    if (look.cell === cell) {
      look.cell = { ...cell, payload: cell.stale }
      look.servedBy = place.side
      if (look.outcome === 'miss') look.outcome = 'stale'
    }
    return look
  }

  /** Whether the cell that was just seen may be used: a side that other machines do not see may be behind. */
  #mayUse(op: PinnedOperation, { side }: GuardedSide): MaybePromise<boolean> {
    const { follower } = this
    if (follower === undefined || follower.side !== side) return true
    return follower.knows(op.key, op.cell) || follower.confirm(op)
  }

  #saw(
    op: PinnedOperation,
    place: GuardedSide,
    cell: Cell,
    trusted: number,
    changes: number,
  ): boolean {
    op.fence = this.debts.trustedSince(place.side, op.key, trusted, changes)
    if (op.fence === NEVER_TRUSTED) return false
    op.place = place
    op.cell = cell
    const alive = cell.state === 'value' && cell.writtenAt >= op.fence
    op.missedOn = alive ? 0 : place.backend.now()
    if (alive) {
      op.servedBy = place.side
      if (op.outcome === 'miss') op.outcome = 'hit'
    }
    return alive
  }
}

export function failure(error: unknown): Outcome {
  return isTimeout(error) ? 'timed_out' : 'failed'
}
