import {
  type Cell,
  type Due,
  type EraVerdict,
  FENCE_UNKNOWN,
  type Heard,
  type Ledger,
  type MaybePromise,
  type Stand,
  type Owed,
} from '../cache/index.ts'
import { otherSide, type Side } from '../side.ts'
import type { Recorder } from '../telemetry/index.ts'
import { type Boards, ONE_STORE } from './boards.ts'
import type { Notify } from './events.ts'
import { type GuardedSide, oneLine } from './guarded-side.ts'
import { MemoryLedger } from './memory-ledger.ts'
import type { Reach } from './operation.ts'

const RESET_REASON = 'the store was replaced or restarted and may have lost acknowledged deletes'
/** Further ahead of its store's clock than any fence can be. */
const FAR_MS = 120_000
const SETTLE_MS = 1000
/** As many in one round. */
const HANDED_OVER = 128

/** Nothing that the side has under the key may be used. */
export const NEVER_TRUSTED: number = Number.POSITIVE_INFINITY

export interface DebtsParts {
  /** The machine's ledger, when one of the backends keeps one. */
  readonly ledger: Ledger | undefined
  /** The boards of two shared stores, in place of a ledger. */
  readonly boards?: Boards | undefined
  readonly sides: Readonly<Record<Side, GuardedSide>>
  /**
   * A store that this machine has not met before begins a new era: its ledger outlives the process, and no
   * other machine uses the store.
   */
  readonly renews: boolean
  /** More pending on a side than this: one fence replaces them. */
  readonly maxOwed: number
  readonly recorder: Recorder
  readonly notify: Notify
}

/**
 * What the two sides owe: invalidations that were not acknowledged. Written to the machine's ledger,
 * where every process consults them; when that fails, the ledger distrusts the whole side; when even
 * that fails, this process remembers. In a pair of shared stores each is the board of the other.
 */
export class Debts {
  readonly #parts: DebtsParts
  readonly #memory = new MemoryLedger()
  /** Keys of {@link #memory} that are delivered after the other side's. */
  readonly #afterwards: Record<Side, Set<string>> = { off: new Set(), on: new Set() }
  /** The machine's, or else this process's. */
  readonly #ledger: Ledger
  #ledgerFailed = false
  /** Why the ledger could not be read, in one line; `''` when it could. */
  unreadable = ''
  /** Incremented by each fence and era that this process itself has adopted. */
  changes = 0

  constructor(parts: DebtsParts) {
    this.#parts = parts
    this.#ledger = parts.ledger ?? this.#memory
  }

  /**
   * The side's cells of the key may be trusted if they were written at this time (store clock) or
   * later. {@link NEVER_TRUSTED} while the side is out or has an invalidation of the key pending,
   * and while the ledger cannot be read: what cannot be checked is not trusted. One look at the
   * ledger.
   */
  trustedFrom(side: Side, key: string): number {
    const { usable, backend } = this.#parts.sides[side]
    if (!usable) return NEVER_TRUSTED
    const own = this.#memory.trustedFrom(side, key)
    const remembered = backend.since === undefined ? own : Math.max(own, backend.since(key))
    try {
      const fence = this.#ledger.trustedFrom(side, key)
      this.unreadable = ''
      return this.#isCurrent(side) ? Math.max(remembered, fence) : NEVER_TRUSTED
    } catch (error) {
      return this.#cannotRead(error)
    }
  }

  /**
   * Reads the side, whose cells of the key this process trusts. `undefined`: another process does not.
   * A hit under a licence costs nothing more.
   */
  read(side: Side, key: string): MaybePromise<Cell | undefined> {
    const { boards, sides } = this.#parts
    return boards === undefined || boards.licensed(side)
      ? sides[side].read(key)
      : boards.read(side, key)
  }

  /**
   * What was read of the side may still be moved to the other one. Without a licence nobody waits for
   * it: an era may have begun since, and a process that stood still would not know.
   */
  vouchedFor(side: Side): boolean {
    return this.#parts.boards?.licensed(side) ?? true
  }

  /** As {@link trustedFrom}, after a read; `asked` and `changes` are from before it. */
  trustedSince(side: Side, key: string, asked: number, changes: number): number {
    // A store that restarted meanwhile has reported it before it answered.
    return this.changes === changes ? asked : Math.max(asked, this.trustedFrom(side, key))
  }

  /** Must be awaited before the caller is answered. Tells who knows of it. Never rejects. */
  async owe(side: Side, key: string, notBefore: number): Promise<Reach> {
    const reach = await this.#note(side, key, notBefore)
    if (this.#parts.boards === undefined && this.count(side) > this.#parts.maxOwed) {
      await this.writeOff(side, 'too many invalidations are pending')
    }
    return reach
  }

  async #note(side: Side, key: string, notBefore: number): Promise<Reach> {
    const { ledger, boards, recorder } = this.#parts
    recorder.event(side, 'owed')
    if (boards !== undefined && (await boards.owe(side, key, notBefore))) return 'all'
    if (ledger === undefined) {
      this.#remember(side, key, notBefore)
      return 'process'
    }
    try {
      await ledger.owe(side, key, notBefore, this.#patienceMs())
      this.#ledgerFailed = false
      return 'machine'
    } catch (error) {
      this.#ledgerIsFailing(error)
      return this.#distrust(side, key, notBefore)
    }
  }

  /**
   * Nobody else knows. Of two shared stores the other one may have lost the write as well, and the old
   * value may move there before this process hears of it: the key is pending there too, until after.
   */
  #remember(side: Side, key: string, notBefore: number): void {
    const also = otherSide(side)
    this.#memory.owe(side, key, notBefore)
    this.#afterwards[side].delete(key)
    if (this.#parts.boards === undefined || this.#memory.owes(also, key)) return
    this.#memory.owe(also, key, 0)
    this.#afterwards[also].add(key)
  }

  /** What only this process knows and may deliver now. */
  #remembered(side: Side, limit: number, due?: Due): readonly Owed[] {
    const afterwards = this.#afterwards[side]
    if (afterwards.size === 0) return this.#memory.list(side, limit, due)
    const all = this.#memory.list(side, Number.POSITIVE_INFINITY, due)
    const waits = ({ key }: Owed): boolean =>
      afterwards.has(key) && this.#memory.owes(otherSide(side), key)
    return all.filter((owed) => !waits(owed)).slice(0, limit)
  }

  #settleRemembered(owed: Owed): boolean {
    const settled = this.#memory.settle(owed)
    if (settled) this.#afterwards[owed.side].delete(owed.key)
    return settled
  }

  /** A fence is an era of the store itself, behind which nothing lands that began before it. */
  get fencesByEra(): boolean {
    return this.#parts.boards !== undefined
  }

  /**
   * Distrusts everything that the side has.
   * @param covered store clock. @default late enough to cover what may still land on the side
   */
  async fence(side: Side, why: string, covered: number = this.#fenceTime(side)): Promise<void> {
    const { ledger, boards } = this.#parts
    if (boards !== undefined) {
      this.#tellFenced(side, why)
      if (!(await boards.distrust(side))) this.#memory.fence(side, covered)
      this.changes += 1
      return
    }
    // Above the last one by any clock: other processes notice that it moved.
    const last = this.fencedBefore(side)
    const before = Number.isFinite(last) ? Math.max(covered, last + 1) : covered
    // At once for what this process reads just now, and for good where the ledger does not take it.
    this.#memory.fence(side, before)
    this.changes += 1
    try {
      await ledger?.fence(side, before)
      if (ledger !== undefined) this.#memory.replaceFence(side, before, 0)
    } catch (error) {
      this.#ledgerIsFailing(error)
    }
    this.#tellFenced(side, why)
  }

  /** Distrusts everything that the side has, in place of all that is pending. */
  async writeOff(side: Side, why: string): Promise<void> {
    await this.fence(side, why)
    this.#memory.writeOff(side)
    this.#afterwards[side].clear()
    try {
      await this.#parts.ledger?.writeOff(side)
    } catch (error) {
      this.#ledgerIsFailing(error)
    }
  }

  /**
   * Cells of the side (or of this key there) written before this (store clock) are not to be trusted. A look
   * of its own.
   */
  fencedBefore(side: Side, key?: string): number {
    const since = key === undefined ? 0 : (this.#parts.sides[side].backend.since?.(key) ?? 0)
    const remembered = Math.max(this.#memory.fencedBefore(side), since)
    try {
      return Math.max(remembered, this.#ledger.fencedBefore(side))
    } catch (error) {
      return this.#cannotRead(error)
    }
  }

  /** How many invalidations the side has not received yet. */
  count(side: Side): number {
    const { ledger, boards } = this.#parts
    const remembered = this.#memory.count(side)
    try {
      return remembered + (ledger?.count(side) ?? boards?.count(side) ?? 0)
    } catch {
      return remembered
    }
  }

  /** How many of them are forgotten with this process, though others use the side. */
  remembered(side: Side): number {
    const { shared = false, ledger } = this.#parts.sides[side].backend
    return shared || ledger !== undefined ? this.#memory.count(side) : 0
  }

  /** What may be delivered now; of what is on a board perhaps what may not. */
  async list(side: Side, limit: number, due: Due): Promise<readonly Debt[]> {
    const { ledger, boards } = this.#parts
    const debts: Debt[] = this.#remembered(side, limit, due).map((owed) => ({
      ...owed,
      settle: () => this.#settleRemembered(owed),
    }))
    if (debts.length === limit) return debts
    const rest = limit - debts.length
    try {
      for (const owed of ledger?.list(side, rest, due) ?? []) {
        debts.push({ ...owed, settle: () => ledger!.settle(owed) })
      }
    } catch (error) {
      this.#cannotRead(error)
    }
    for (const owed of (await boards?.list(side, rest)) ?? []) {
      const notBefore = Number(owed.value.split('|')[1])
      const settle = async (): Promise<boolean> => {
        // A new era leaves everything behind.
        if (owed.key === undefined) await boards!.renew(side)
        return boards!.settle(side, owed)
      }
      debts.push({ key: owed.key, notBefore, settle })
    }
    return debts
  }

  /** Has what only this process knows noted for all, once it can be. */
  async handOver(side: Side): Promise<void> {
    const { boards } = this.#parts
    if (boards === undefined) return
    for (const owed of this.#remembered(side, HANDED_OVER)) {
      if (!(await boards.owe(side, owed.key, owed.notBefore))) return
      this.#settleRemembered(owed)
    }
  }

  /**
   * The side's store has reported its era. What the machine knew of another era, or of another
   * server, is no longer trusted.
   */
  async heard(side: Side, heard: Heard): Promise<EraVerdict> {
    if (heard.server === 0) {
      // One of several servers of a store: each has its own era.
      if (this.#parts.boards !== undefined) {
        if (!heard.again) this.changes += 1
        if (heard.changed) this.#tellFenced(side, RESET_REASON)
        return undefined
      }
      // The fence informs the other processes.
      if (heard.begun || heard.changed) await this.fence(side, RESET_REASON, heard.since)
      return undefined
    }
    const ledger = this.#ledger
    // A look, so that what follows speaks of this moment.
    const fence = ledger.fencedBefore(side)
    const [era, server] = [ledger.era(side), ledger.server(side)]
    if (era !== heard.era) {
      const sameServer = server === heard.server
      if (!sameServer && heard.again) return 'leave'
      const asked = heard.asked ?? { era, fence }
      // An answer from before the machine adopted its present era would take it back to an older
      // one.
      if (asked.era !== era) return 'again'
      // Which of its cells are older than what this machine acknowledged, nobody can tell.
      const stranger = !sameServer && !heard.begun
      if (stranger && this.#parts.renews) return 'renew'
      // Several servers have clocks of their own: see `CacheBackend.since`.
      const oneClock = this.#parts.sides[side].backend.since === undefined
      const before = stranger && era !== 0 ? heard.now + 1 : heard.since
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
      const fence = this.#ledger.fencedBefore(side)
      return { era: this.#ledger.era(side), fence }
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
    const { backend } = this.#parts.sides[side]
    const own = this.#memory.fencedBefore(side)
    if (own > 0 && this.#parts.ledger !== undefined) {
      // The ledger did not take it then.
      await this.#parts.ledger.fence(side, own)
      this.#memory.replaceFence(side, own, 0)
    }
    const fence = this.#ledger.fencedBefore(side)
    if (fence <= backend.now() + FAR_MS) return
    await this.#parts.sides[side].meet()
    await backend.ping()
    // Meanwhile it may have said that it is in another era, which lifts the fence.
    if (this.#ledger.fencedBefore(side) !== fence) return
    if (this.#hasEra(side)) return backend.renew?.()
    // An older value may bear a later time than a fence of now.
    if (fence < FENCE_UNKNOWN) await backend.clear()
    await this.#ledger.replaceFence(side, fence, this.#parts.sides[side].mayLandUntil() + 1)
  }

  /**
   * Why nothing from the side is served, although it answers; `''` when there is no such reason.
   */
  whyUnused(side: Side): string {
    const { backend, deadlineMs } = this.#parts.sides[side]
    const fence = this.fencedBefore(side)
    if (this.unreadable !== '') return `unused: the ledger cannot be read (${this.unreadable})`
    if (fence >= FENCE_UNKNOWN)
      return 'unused: all that it holds is distrusted until it has been asked'
    const ahead = fence - backend.now()
    // As far as a write under way reaches.
    if (ahead > deadlineMs + SETTLE_MS) {
      return `unused: everything is distrusted that was written before ${new Date(fence).toISOString()}, ${Math.round(ahead / 1000)} s ahead of its clock`
    }
    const { boards, sides } = this.#parts
    if (boards?.isOneStore) return ONE_STORE
    const { usable, backend: board } = sides[otherSide(side)]
    if (boards !== undefined && !usable && !boards.licensed(side)) {
      return `unused: only ${board.name} knows which invalidations are pending, and it is out`
    }
    return this.#isCurrent(side)
      ? ''
      : 'unused: this process and the other processes of the machine are connected to different servers'
  }

  /** Whether this process and its machine are in the same era of the side's store. */
  #isCurrent(side: Side): boolean {
    const { backend } = this.#parts.sides[side]
    const era = backend.era?.() ?? 0
    // It will be heard before the store is read.
    if (era === 0 || era === this.#ledger.era(side)) return true
    backend.recheck?.()
    return false
  }

  #tellFenced(side: Side, why: string): void {
    const { sides, recorder, notify } = this.#parts
    recorder.event(side, 'fenced')
    notify({ type: 'fenced', side, backend: sides[side].backend.name, detail: why })
  }

  /** Only this process knows what is distrusted here; the ledger's fence is for all of them. */
  async #distrust(side: Side, key: string, notBefore: number): Promise<Reach> {
    const before = this.#fenceTime(side)
    try {
      await this.#parts.ledger?.fence(side, before)
      return 'machine'
    } catch {
      this.#memory.owe(side, key, notBefore)
      return 'process'
    }
  }

  /** How long a write may wait for the ledger: as long as for the side that keeps it. */
  #patienceMs(): number {
    const { ledger, sides } = this.#parts
    return sides[sides.off.backend.ledger === ledger ? 'off' : 'on'].deadlineMs
  }

  /**
   * Everything, where another era will lift that: a time would not cover what a clock that was set
   * back, or a process with a longer deadline, puts behind it.
   */
  #fenceTime(side: Side): number {
    const guarded = this.#parts.sides[side]
    return guarded.met && !this.#hasEra(side) ? guarded.mayLandUntil() + 1 : FENCE_UNKNOWN
  }

  /** Beside a file store, a cluster has only those of its masters, which their scripts cannot check. */
  #hasEra(side: Side): boolean {
    return (this.#parts.sides[side].backend.era?.() ?? 0) !== 0
  }

  #cannotRead(error: unknown): number {
    if (this.unreadable === '') {
      this.unreadable = oneLine(error)
      this.#parts.notify({ type: 'ledger-failed', detail: this.unreadable })
    }
    return NEVER_TRUSTED
  }

  #ledgerIsFailing(error: unknown): void {
    if (this.#ledgerFailed) return
    this.#ledgerFailed = true
    this.#parts.notify({ type: 'ledger-failed', detail: oneLine(error) })
  }
}

/** An owed invalidation, wherever it stands. */
export interface Debt {
  /** `undefined`: everything, which settling it repays. */
  readonly key: string | undefined
  readonly notBefore: number
  /** Forgets it, unless it was owed again since (false). */
  readonly settle: () => MaybePromise<boolean>
}
