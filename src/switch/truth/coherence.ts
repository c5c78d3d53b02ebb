import { ANY, type Entry } from '../../cache/index.ts'
import type { Outcome } from '../../telemetry/index.ts'
import { CoherentReads, failure } from '../reads/coherent-reads.ts'
import type { GuardedSide } from '../sides/guarded-side.ts'
import { nearerReach, type PinnedOperation } from '../operation.ts'
import { NEVER_TRUSTED } from './trust.ts'

/** What a write or an erasure left on the two sides. */
export interface Written {
  /** Token of the value on the active side; `''` when it did not take it. */
  readonly activeToken: string
  /** Token of the tombstone on the standby; `''` when there is none. */
  readonly standbyToken: string
}

/** What a fill left in the place of the miss. */
export interface Filled {
  /** `''`: nothing. */
  readonly token: string
  /** Nothing was written or deleted until then, as far as a hit could know. */
  readonly known: boolean
}

const NOT_FILLED: Filled = { token: '', known: false }

/**
 * The protocol that keeps two caches telling one truth: a read that starts after a write or delete
 * was acknowledged never returns anything older, whichever side either of them used. Its rules and
 * their reasons are in docs/adr/0001-ledger-and-fence.md.
 */
export class Coherence extends CoherentReads {
  /**
   * Writes the value; resolves when the write may be acknowledged. Never rejects.
   *
   * @param instead for the standby, where the active side does not take it. @default the same
   */
  async store(op: PinnedOperation, entry: Entry, instead: Entry = entry): Promise<Written> {
    const { active, standby, key } = op
    let pendingUntil = 0
    op.reach = this.follower?.reach ?? 'all'
    let isForeign = false
    const meeting = active.meet()
    if (meeting !== undefined) await meeting
    const trusted = this.debts.trustedFrom(active.side, key)
    const onActive = { side: active, fence: trusted, on: active.backend.now() }
    if (op.mirrored) {
      await standby.meet()
      op.standbyFence = this.debts.fencedBefore(standby.side, key)
      op.standbyMissedOn = standby.backend.now()
    }
    if (trusted !== NEVER_TRUSTED) {
      try {
        const { written, token, foreign } = await active.write(key, entry, ANY)
        if (written) {
          op.outcome = 'stored'
          op.servedBy = active.side
          this.#put(op, active, token)
          const standbyToken = await this.#supersede(op, token)
          const lost = await this.#oweIfLost(op, onActive)
          return lost ? NOTHING_WRITTEN : { activeToken: token, standbyToken }
        }
        op.outcome = refusal(foreign)
        isForeign = foreign === true
        pendingUntil = active.pendingUntil(foreign)
      } catch (error) {
        op.outcome = failure(error)
        pendingUntil = active.mayLandUntil()
      }
    } else {
      op.outcome = 'fell_back'
    }
    // The value first, then what is pending: a process that delivers it does so after the value is
    // in place.
    const onStandby = this.#before(op, standby)
    let successor = ''
    if (op.retired) await this.#supersede(op, '')
    else successor = await this.#storeOnStandby(op, instead)
    if (isForeign) await this.#passBy(op, active, successor)
    else await this.#owe(op, active, pendingUntil)
    await this.#oweIfLost(op, onStandby)
    return NOTHING_WRITTEN
  }

  /** Deletes the key on both sides; resolves to whether a value was there. Never rejects. */
  async erase(op: PinnedOperation): Promise<boolean> {
    const { active, standby } = op
    op.reach = this.follower?.reach ?? 'all'
    const onActive = this.#before(op, active)
    const onStandby = this.#before(op, standby)
    const erasing = this.#eraseOn(op, active)
    const alsoErasing = this.#eraseOn(op, standby)
    const erased = await erasing
    const alsoErased = await alsoErasing
    if (erased.foreign === true) await this.#passBy(op, active, '')
    if (alsoErased.foreign === true) await this.#passBy(op, standby, '')
    await this.#oweIfLost(op, onActive)
    await this.#oweIfLost(op, onStandby)
    op.outcome = erased.outcome
    if (erased.outcome === 'deleted') op.servedBy = active.side
    else op.servedBy = alsoErased.outcome === 'deleted' ? standby.side : 'none'
    return erased.existed || alsoErased.existed
  }

  /**
   * Stores a loaded value where the miss was seen, unless the cell was written or deleted since.
   */
  async fill(op: PinnedOperation, entry: Entry): Promise<Filled> {
    const { place, key, cell } = op
    if (place === undefined) return NOT_FILLED
    const follower = place.side === this.follower?.side ? this.follower : undefined
    if (follower?.changedSince(key, op.heardUntil) === true) {
      this.recorder.event(place.side, 'fill_refused')
      return NOT_FILLED
    }
    try {
      const stands = this.debts.stands(op, place, op.fence)
      const { written, token, foreign } = await place.write(
        key,
        entry,
        cell.token,
        cell.era,
        stands,
      )
      this.recorder.event(place.side, written ? 'fill' : 'fill_refused')
      const known = follower?.filled(op, token) ?? token !== ''
      if (foreign === true) await this.#fillOther(op, entry)
      return { token, known }
    } catch {
      return NOT_FILLED
    }
  }

  /** Known to be the latest before the other side is told, whose change is told to this process too. */
  #put({ key, startedAt }: PinnedOperation, { side }: GuardedSide, token: string): void {
    if (this.follower?.side === side) this.follower.put(key, token, startedAt)
  }

  /**
   * The active side keeps another program's data under the key: the loaded value goes where its users find
   * it, under the conditions of a miss there. Not beside other machines, which do not see that side: no change
   * of theirs would be told.
   */
  async #fillOther(op: PinnedOperation, entry: Entry): Promise<void> {
    const { standby, standbyCell: seen, key } = op
    if (op.place !== op.active || seen === undefined || this.follower?.others === true) return
    const stands = this.debts.stands(op, standby, op.standbyFence)
    const { written } = await standby.write(key, entry, seen.token, seen.era, stands)
    this.recorder.event(standby.side, written ? 'fill' : 'fill_refused')
  }

  /**
   * Checked before a write is acknowledged: a side that was fenced since may have lost what it took (its store
   * restarted), and a tombstone that has ended before the other side was told, whose writer was stopped or its
   * clock set, is lost too. The old value of the other side may have been moved there.
   */
  async #oweIfLost(op: PinnedOperation, { side, fence, on }: Before): Promise<boolean> {
    const fenced = this.debts.fencedBefore(side.side, op.key) !== fence
    if (!fenced && !side.outlived(op.startedAt, on)) return false
    await this.#owe(op, side, 0)
    return true
  }

  #before({ key }: PinnedOperation, side: GuardedSide): Before {
    return { side, fence: this.debts.fencedBefore(side.side, key), on: side.backend.now() }
  }

  async #owe(op: PinnedOperation, side: GuardedSide, notBefore: number): Promise<void> {
    const reach = await this.debts.owe(side.side, op.key, notBefore)
    // A process that has left the switch already asks nobody what is pending on the side that stays.
    const alone = op.retired && side === op.active
    op.reach = nearerReach(op.reach, alone ? 'process' : reach)
  }

  /**
   * The side keeps another program's data under the key, and the other one has been told by now. A store that can
   * note so much beside it needs nothing pending; of others it is, until the slowest fill has ended.
   */
  async #passBy(op: PinnedOperation, side: GuardedSide, successor: string): Promise<void> {
    let pendingUntil = side.pendingUntil(true)
    try {
      if (side.usable && (await side.invalidate(op.key, successor)).done) return
    } catch {
      pendingUntil = Math.max(pendingUntil, side.mayLandUntil())
    }
    await this.#owe(op, side, pendingUntil)
  }

  /** The token of what it has now; `''`: it is pending there. */
  async #storeOnStandby(op: PinnedOperation, entry: Entry): Promise<string> {
    const { standby, key } = op
    let pendingUntil = 0
    if (standby.usable) {
      try {
        const { written, token, foreign } = await standby.write(key, entry, ANY)
        if (written) {
          op.servedBy = standby.side
          this.#put(op, standby, token)
          return token
        }
        pendingUntil = standby.pendingUntil(foreign)
      } catch {
        // Noted as pending below, like a write that came too late.
        pendingUntil = standby.mayLandUntil()
      }
    }
    await this.#owe(op, standby, pendingUntil)
    return ''
  }

  async #supersede(op: PinnedOperation, successor: string): Promise<string> {
    const { standby, key } = op
    let pendingUntil = 0
    if (standby.usable) {
      try {
        const { done, token, foreign } = await standby.invalidate(key, successor)
        if (done) return token
        pendingUntil = standby.pendingUntil(foreign)
      } catch {
        // Noted as pending below, like an invalidation that came too late.
        pendingUntil = standby.mayLandUntil()
      }
    }
    await this.#owe(op, standby, pendingUntil)
    return ''
  }

  async #eraseOn(op: PinnedOperation, side: GuardedSide): Promise<Erased> {
    let outcome: Outcome = 'fell_back'
    let pendingUntil = 0
    if (side.usable) {
      try {
        const { done, existed, foreign } = await side.invalidate(op.key)
        if (foreign === true) return { existed: false, outcome: 'failed', foreign }
        if (done) return { existed, outcome: 'deleted' }
        outcome = refusal(foreign)
        pendingUntil = side.pendingUntil(foreign)
      } catch (error) {
        outcome = failure(error)
        pendingUntil = side.mayLandUntil()
      }
    }
    await this.#owe(op, side, pendingUntil)
    return { existed: false, outcome }
  }
}

/** How a side was before a write. */
interface Before {
  readonly side: GuardedSide
  readonly fence: number
  /** By the side's clock. */
  readonly on: number
}

interface Erased {
  readonly existed: boolean
  readonly outcome: Outcome
  /** As `InvalidateResult.foreign`: nothing is pending yet. */
  readonly foreign?: boolean
}

const NOTHING_WRITTEN: Written = { activeToken: '', standbyToken: '' }

/** What the store did not take came too late, unless another program's data is in its place. */
function refusal(foreign: boolean | undefined): Outcome {
  return foreign === true ? 'failed' : 'timed_out'
}
