import { oneLine } from '../../errors.ts'
import {
  type EraVerdict,
  FENCE_UNKNOWN,
  type Heard,
  type Ledger,
  type Stand,
} from '../../cache/index.ts'
import { otherSide, type Side } from '../../side.ts'
import type { PinnedOperation } from '../operation.ts'
import type { GuardedSide } from '../sides/guarded-side.ts'
import { ONE_STORE } from './boards.ts'
import { NEVER_TRUSTED, Trust } from './trust.ts'

const RESET_REASON =
  'the store has begun another era, being cleared, replaced or restarted: what is older in it is not trusted'
/** Further ahead of its store's clock than any fence can be. */
const FAR_MS = 120_000
const SETTLE_MS = 1000

const untold = (side: Side): string =>
  `neither store could note that all of the ${side} side is distrusted: only this process knows, until one answers`

/** What is distrusted as a whole: all that a side had before a fence, or before its era. */
export class Fences extends Trust {
  protected ledgerFailed = false

  /** A fence is an era of the store itself, behind which nothing lands that began before it. */
  get fencesByEra(): boolean {
    return this.parts.boards !== undefined
  }

  /**
   * Distrusts everything that the side has.
   * @param covered store clock. @default late enough to cover what may still land on the side
   */
  async fence(side: Side, why: string, covered: number = this.fenceTime(side)): Promise<void> {
    const { ledger, boards } = this.parts
    if (boards !== undefined) {
      this.#tellFenced(side, why)
      const told = await boards.distrust(side)
      // Values have moved meanwhile: until another era lifts it.
      if (!told) this.memory.fence(side, this.fenceTime(side))
      this.changes += 1
      if (!told) this.parts.notify({ type: 'ledger-failed', detail: untold(side) })
      return
    }
    const before = this.aboveLast(side, covered)
    // At once for what this process reads just now, and for good where the ledger does not take it.
    this.memory.fence(side, before)
    this.changes += 1
    try {
      await ledger?.fence(side, before)
      if (ledger !== undefined) this.memory.replaceFence(side, before, 0)
    } catch (error) {
      this.ledgerIsFailing(error)
      if (ledger !== undefined) this.#distrustBoth()
    }
    this.#tellFenced(side, why)
  }

  /**
   * Cells of the side (or of this key there) written before this (store clock) are not to be trusted. A look
   * of its own.
   */
  fencedBefore(side: Side, key?: string): number {
    const { backend } = this.parts.sides[side]
    const since = key === undefined ? 0 : (backend.since?.(key) ?? 0)
    try {
      return Math.max(this.memory.fencedBefore(side), since, this.ledger.fencedBefore(side))
    } catch (error) {
      return this.cannotRead(error)
    }
  }

  /**
   * What a conditional write asks before it is sent, and once more when its turn has come (`WriteOptions.stands`):
   * whether the side's fence is still the one of the miss, which still counts. A later delete may have left a fence
   * or a pending invalidation instead of a tombstone; who raised a fence reckoned with its own deadline.
   */
  stands(op: PinnedOperation, place: GuardedSide, fence: number): () => boolean {
    const { side } = place
    return () => {
      if (!op.isRecent(place) || this.trustedFrom(side, op.key) === NEVER_TRUSTED) return false
      return this.fencedBefore(side, op.key) === fence
    }
  }

  /**
   * The side's store has reported its era. What the machine knew of another era, or of another
   * server, is no longer trusted.
   */
  async heard(side: Side, heard: Heard): Promise<EraVerdict> {
    this.parts.onHeard?.(heard)
    if (heard.server === 0) {
      // One of several servers of a store: each has its own era.
      if (this.parts.boards !== undefined) {
        if (!heard.again) this.changes += 1
        if (heard.changed) this.#tellFenced(side, RESET_REASON)
        return undefined
      }
      // The fence informs the other processes.
      if (heard.begun || heard.changed) await this.fence(side, RESET_REASON, heard.since)
      return undefined
    }
    const ledger = this.ledger
    // A look, so that what follows speaks of this moment.
    const fence = ledger.fencedBefore(side)
    const [era, server] = [ledger.era(side), ledger.server(side)]
    if (era !== heard.era) {
      const sameServer = server === heard.server
      if (!sameServer && heard.again) return 'leave'
      const asked = heard.asked ?? { era, fence, at: 0 }
      // An answer from before the machine adopted its present era would take it back to an older
      // one.
      if (asked.era !== era) return 'again'
      // Which of its cells are older than what this machine acknowledged, nobody can tell.
      const stranger = !sameServer && !heard.begun
      if (stranger && this.parts.renews && heard.others !== 'known') return 'renew'
      const before = stranger && era !== 0 ? heard.now + 1 : heard.since
      // Several servers have clocks of their own: see `CacheBackend.since`.
      const oneClock = this.parts.sides[side].backend.since === undefined
      if (!(await ledger.adopt(side, era, heard, oneClock ? before : 0))) return 'again'
      this.changes += 1
      if (era !== 0) this.#tellFenced(side, RESET_REASON)
      // A fence from before the question has nothing to say of an era that began with it.
      if (heard.begun && asked.fence > heard.now + FAR_MS) {
        const raised =
          asked.fence >= FENCE_UNKNOWN ? asked.fence : Math.max(before, asked.fence + 1)
        await ledger.replaceFence(side, raised, heard.since)
      }
    }
    return undefined
  }

  /** Where this machine stands with the side's store; `undefined` when the ledger cannot be read. */
  stand(side: Side): Stand | undefined {
    try {
      const fence = this.ledger.fencedBefore(side)
      return { era: this.ledger.era(side), fence, at: performance.now() }
    } catch {
      return undefined
    }
  }

  /**
   * A fence far ahead of its store's clock would keep the side unused for as long (everything is
   * distrusted, or a clock was set back). A store with eras begins another one, which leaves behind
   * what was written and what may still land; elsewhere a fence of the present time replaces it.
   */
  async mendFence(side: Side): Promise<void> {
    const { backend } = this.parts.sides[side]
    if (this.parts.ledger !== undefined && this.memory.fencedBefore(side) > 0)
      await this.#tellLedger(side, this.parts.ledger)
    const fence = this.ledger.fencedBefore(side)
    if (fence <= backend.now() + FAR_MS) return
    await this.parts.sides[side].meet()
    await backend.ping()
    // Meanwhile it may have said that it is in another era, which lifts the fence.
    if (this.ledger.fencedBefore(side) !== fence) return
    if (this.#hasEra(side)) return backend.renew?.()
    // An older value may bear a later time than a fence of now.
    if (fence < FENCE_UNKNOWN) await backend.clear()
    await this.ledger.replaceFence(side, fence, this.parts.sides[side].mayLandUntil() + 1)
  }

  /** Others, who do not know of a fence, move values that it covers to either side, until they are told. */
  #distrustBoth(): void {
    for (const side of ['off', 'on'] as const) {
      this.memory.fence(side, Math.max(FENCE_UNKNOWN, this.memory.fencedBefore(side) + 1))
    }
    this.changes += 1
  }

  /** What moves before the other side is fenced too is left behind by the second fence. */
  async #tellLedger(side: Side, ledger: Ledger): Promise<void> {
    const also = otherSide(side)
    const own = { off: this.memory.fencedBefore('off'), on: this.memory.fencedBefore('on') }
    for (const each of [side, also, side]) await ledger.fence(each, FENCE_UNKNOWN)
    for (const each of [side, also]) this.memory.replaceFence(each, own[each], 0)
  }

  /**
   * Why nothing from the side is served, although it answers; `''` when there is no such reason.
   */
  whyUnused(side: Side): string {
    const { backend, deadlineMs } = this.parts.sides[side]
    const fence = this.fencedBefore(side)
    if (this.unreadable !== '') return `unused: the ledger cannot be read (${this.unreadable})`
    if (fence >= FENCE_UNKNOWN)
      return 'unused: all that it holds is distrusted until it has been asked'
    const ahead = fence - backend.now()
    // As far as a write under way reaches.
    if (ahead > deadlineMs + SETTLE_MS) {
      return `unused: everything is distrusted that was written before ${new Date(fence).toISOString()}, ${Math.round(ahead / 1000)} s ahead of its clock`
    }
    const { boards, sides } = this.parts
    if (boards?.isOneStore) return ONE_STORE
    const { usable, backend: board } = sides[otherSide(side)]
    if (boards !== undefined && !usable && !boards.licensed(side)) {
      return `unused: only ${board.name} knows which invalidations are pending, and it is out`
    }
    return this.isCurrent(side)
      ? ''
      : 'unused: this process and the other processes of the machine are connected to different servers'
  }

  /**
   * Everything, where another era will lift that: a time would not cover what a clock that was set
   * back, or a process with a longer deadline, puts behind it.
   */
  protected fenceTime(side: Side): number {
    const guarded = this.parts.sides[side]
    return guarded.met && !this.#hasEra(side) ? guarded.mayLandUntil() + 1 : FENCE_UNKNOWN
  }

  /** Above the last fence by any clock: other processes, and loads that missed before, notice that it moved. */
  protected aboveLast(side: Side, covered: number): number {
    const last = this.fencedBefore(side)
    return Number.isFinite(last) ? Math.max(covered, last + 1) : covered
  }

  /** Beside a file store, a cluster has only those of its masters, which their scripts cannot check. */
  #hasEra(side: Side): boolean {
    return (this.parts.sides[side].backend.era?.() ?? 0) !== 0
  }

  protected ledgerIsFailing(error: unknown): void {
    if (this.ledgerFailed) return
    this.ledgerFailed = true
    this.parts.notify({ type: 'ledger-failed', detail: oneLine(error) })
  }
  #tellFenced(side: Side, why: string): void {
    const { sides, recorder, notify } = this.parts
    recorder.event(side, 'fenced')
    notify({ type: 'fenced', side, backend: sides[side].backend.name, detail: why })
  }
}
