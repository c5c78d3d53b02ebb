import type { Ledger, Owed } from '../cache/index.ts'
import type { Side } from '../side.ts'
import type { Recorder } from '../telemetry/index.ts'
import type { Notify } from './events.ts'
import type { GuardedSide } from './guarded-side.ts'
import { oneLine } from './guarded-side.ts'
import { MemoryLedger } from './memory-ledger.ts'

export interface DebtsParts {
  /** The machine's ledger, when one of the backends keeps one. */
  readonly ledger: Ledger | undefined
  readonly sides: Readonly<Record<Side, GuardedSide>>
  /** More than this many owed on a side: one fence replaces them. */
  readonly maxOwed: number
  readonly recorder: Recorder
  readonly notify: Notify
}

/**
 * What the two sides owe: invalidations that were not acknowledged. Written to the machine's ledger,
 * where every process consults them; when that fails, the ledger distrusts the whole side; when even
 * that fails, this process remembers.
 */
export class Debts {
  readonly #parts: DebtsParts
  readonly #memory = new MemoryLedger()
  #ledgerFailed = false
  /** Why the ledger could not be asked, in one line; `''` when it answered last. */
  unreadable = ''
  /** The latest fence of each side that this process made or has acted upon. */
  readonly #seen: Record<Side, number> = { off: 0, on: 0 }

  constructor(parts: DebtsParts) {
    this.#parts = parts
  }

  /**
   * The side's cells of the key are to be trusted if they were written at this time (store clock) or
   * later; `Infinity` while the side owes the key, and while the ledger cannot be asked: what cannot be
   * asked is not trusted. One look at the ledger.
   */
  trustedFrom(side: Side, key: string): number {
    const remembered = this.#memory.trustedFrom(side, key)
    const { ledger } = this.#parts
    if (ledger === undefined) return remembered
    try {
      const fence = ledger.trustedFrom(side, key)
      if (fence > this.#seen[side] && fence !== Number.POSITIVE_INFINITY) {
        this.#seen[side] = fence
        this.#parts.sides[side].backend.recheck?.()
      }
      this.unreadable = ''
      return Math.max(remembered, fence)
    } catch (error) {
      return this.#cannotRead(error)
    }
  }

  owes(side: Side, key: string): boolean {
    return this.trustedFrom(side, key) === Number.POSITIVE_INFINITY
  }

  /** The fence as far as this process raised it itself: no look at the ledger. */
  ownFence(side: Side): number {
    return this.#memory.fencedBefore(side)
  }

  /** Must be awaited before the caller is answered. Never rejects. */
  async owe(side: Side, key: string, notBefore: number): Promise<void> {
    const { ledger, recorder, maxOwed } = this.#parts
    recorder.event(side, 'owed')
    if (ledger === undefined) {
      this.#memory.owe(side, key, notBefore)
    } else {
      try {
        await ledger.owe(side, key, notBefore, this.#patienceMs())
        this.#ledgerFailed = false
      } catch (error) {
        this.#ledgerIsFailing(error)
        await this.#distrust(side, key, notBefore)
      }
    }
    if (this.count(side) > maxOwed) await this.writeOff(side, 'too much is owed')
  }

  /**
   * Distrusts everything that the side holds.
   * @param covered store clock. @default late enough to cover what may still land on the side
   */
  async fence(side: Side, why: string, covered: number = this.#fenceTime(side)): Promise<void> {
    const { ledger, sides, recorder, notify } = this.#parts
    // Above the last one by any clock: that it moved is how other processes learn of it.
    const before = Math.max(covered, this.fencedBefore(side) + 1)
    this.#memory.fence(side, before)
    this.#seen[side] = Math.max(this.#seen[side], before)
    try {
      await ledger?.fence(side, before)
    } catch (error) {
      this.#ledgerIsFailing(error)
    }
    recorder.event(side, 'fenced')
    notify({ type: 'fenced', side, backend: sides[side].backend.name, detail: why })
  }

  /** Distrusts everything that the side holds, in place of all that it owes. */
  async writeOff(side: Side, why: string): Promise<void> {
    await this.fence(side, why)
    this.#memory.writeOff(side)
    try {
      await this.#parts.ledger?.writeOff(side)
    } catch (error) {
      this.#ledgerIsFailing(error)
    }
  }

  /** Cells of the side written before this (store clock) are not to be trusted. A look of its own. */
  fencedBefore(side: Side): number {
    const remembered = this.#memory.fencedBefore(side)
    try {
      return Math.max(remembered, this.#parts.ledger?.fencedBefore(side) ?? 0)
    } catch (error) {
      return this.#cannotRead(error)
    }
  }

  /** How many invalidations the side has not received yet. */
  count(side: Side): number {
    const remembered = this.#memory.count(side)
    try {
      return remembered + (this.#parts.ledger?.count(side) ?? 0)
    } catch {
      return remembered
    }
  }

  list(side: Side, limit: number): readonly Debt[] {
    const { ledger } = this.#parts
    const debts = this.#memory.list(side, limit).map((owed) => ({ owed, ledger: this.#memory }))
    if (ledger === undefined || debts.length === limit) return debts
    try {
      const written = ledger.list(side, limit - debts.length)
      return [...debts, ...written.map((owed) => ({ owed, ledger }))]
    } catch (error) {
      this.#cannotRead(error)
      return debts
    }
  }

  /** Only this process will honour what is distrusted here; the ledger's fence is for all of them. */
  async #distrust(side: Side, key: string, notBefore: number): Promise<void> {
    const before = this.#fenceTime(side)
    this.#seen[side] = Math.max(this.#seen[side], before)
    try {
      await this.#parts.ledger?.fence(side, before)
    } catch {
      this.#memory.owe(side, key, notBefore)
    }
  }

  /** How long a write may wait for the ledger: as for the side that keeps it. */
  #patienceMs(): number {
    const { ledger, sides } = this.#parts
    return sides[sides.off.backend.ledger === ledger ? 'off' : 'on'].deadlineMs
  }

  #fenceTime(side: Side): number {
    return this.#parts.sides[side].mayLandUntil() + 1
  }

  #cannotRead(error: unknown): number {
    if (this.unreadable === '') {
      this.unreadable = oneLine(error)
      this.#parts.notify({ type: 'ledger-failed', detail: this.unreadable })
    }
    return Number.POSITIVE_INFINITY
  }

  #ledgerIsFailing(error: unknown): void {
    if (this.#ledgerFailed) return
    this.#ledgerFailed = true
    this.#parts.notify({ type: 'ledger-failed', detail: oneLine(error) })
  }
}

/** An owed invalidation and the ledger that it stands in. */
export interface Debt {
  readonly owed: Owed
  readonly ledger: Ledger
}
