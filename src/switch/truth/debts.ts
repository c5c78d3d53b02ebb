import type { Due, MaybePromise, Owed } from '../../cache/index.ts'
import { otherSide, type Side } from '../../side.ts'
import { Fences } from './fences.ts'
import type { Reach } from '../operation.ts'

/** As many in one round. */
const HANDED_OVER = 128

/**
 * What the two sides owe: invalidations that were not acknowledged. Written to the machine's ledger,
 * where every process consults them; when that fails, the ledger distrusts the whole side; when even
 * that fails, this process remembers. In a pair of shared stores each is the board of the other.
 */
export class Debts extends Fences {
  /** Must be awaited before the caller is answered. Tells who knows of it. Never rejects. */
  async owe(side: Side, key: string, notBefore: number): Promise<Reach> {
    const reach = await this.#note(side, key, notBefore)
    if (this.parts.boards === undefined && this.count(side) > this.parts.maxOwed) {
      await this.writeOff(side, 'too many invalidations are pending')
    }
    return reach
  }

  async #note(side: Side, key: string, notBefore: number): Promise<Reach> {
    const { ledger, boards, recorder } = this.parts
    recorder.event(side, 'owed')
    if (boards !== undefined && (await boards.owe(side, key, notBefore))) return 'all'
    if (ledger === undefined) return this.#remember(side, key, notBefore)
    try {
      await ledger.owe(side, key, notBefore, this.#patienceMs())
      this.ledgerFailed = false
      return 'machine'
    } catch (error) {
      this.ledgerIsFailing(error)
      return this.#distrust(side, key, notBefore)
    }
  }

  /**
   * Nobody else knows. The other side may lose the write as well, and others may move the old value there
   * before they are told: the key is pending there too, until after.
   */
  #remember(side: Side, key: string, notBefore: number): Reach {
    const also = otherSide(side)
    this.memory.owe(side, key, notBefore)
    if (this.othersMove && !this.memory.owes(also, key)) this.memory.oweAfter(also, key)
    return 'process'
  }

  /** Distrusts everything that the side has, in place of all that is pending. */
  async writeOff(side: Side, why: string): Promise<void> {
    const { ledger } = this.parts
    // Without what waits for the other side: a fence on this one does not stand for that.
    const own = this.memory.list(side, Number.POSITIVE_INFINITY)
    const forget = ledger?.writeOff(side)
    await this.fence(side, why)
    for (const owed of own) this.#forget(owed)
    // While this process alone knows of the fence, the others go by what is owed.
    if (ledger !== undefined && this.memory.fencedBefore(side) > 0) return
    try {
      await forget?.()
    } catch (error) {
      this.ledgerIsFailing(error)
    }
  }

  /** How many invalidations the side has not received yet. */
  count(side: Side): number {
    const { ledger, boards } = this.parts
    const remembered = this.memory.count(side)
    try {
      return remembered + (ledger?.count(side) ?? boards?.count(side) ?? 0)
    } catch {
      return remembered
    }
  }

  /** How many of them are forgotten with this process, though others use the side. */
  remembered(side: Side): number {
    const { shared = false, ledger } = this.parts.sides[side].backend
    return shared || ledger !== undefined ? this.memory.count(side) : 0
  }

  /** What may be delivered now; of what is on a board perhaps what may not. */
  async list(side: Side, limit: number, due: Due): Promise<readonly Debt[]> {
    const { ledger, boards } = this.parts
    const debts: Debt[] = this.memory.list(side, limit, due).map((owed) => ({
      ...owed,
      settle: () => this.#forget(owed),
    }))
    if (debts.length === limit) return debts
    const rest = limit - debts.length
    try {
      for (const owed of ledger?.list(side, rest, due) ?? []) {
        debts.push({ ...owed, settle: () => ledger!.settle(owed) })
      }
    } catch (error) {
      this.cannotRead(error)
    }
    // What this process alone knows does not wait for a board that is out.
    const listed = boards?.list(side, rest)
    const noted = debts.length === 0 ? await listed : await listed?.catch(() => undefined)
    for (const owed of noted ?? []) {
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
    const { boards } = this.parts
    if (boards === undefined) return
    for (const owed of this.memory.list(side, HANDED_OVER)) {
      if (!(await boards.owe(side, owed.key, owed.notBefore))) return
      this.#forget(owed)
    }
  }

  /**
   * Of two sides that both owe a key, as this process alone knows, the one that is told first may get the old
   * value from the other one: it is told again, after that.
   */
  #forget(owed: Owed): boolean {
    const { memory } = this
    if (!memory.settle(owed)) return false
    if (this.othersMove && memory.owesFirst(otherSide(owed.side), owed.key))
      memory.oweAfter(owed.side, owed.key)
    return true
  }

  /** Only this process knows what is distrusted here; the ledger's fence is for all of them. */
  async #distrust(side: Side, key: string, notBefore: number): Promise<Reach> {
    const before = this.aboveLast(side, this.fenceTime(side))
    try {
      await this.parts.ledger?.fence(side, before)
      return 'machine'
    } catch {
      return this.#remember(side, key, notBefore)
    }
  }

  /** How long a write may wait for the ledger: as long as for the side that keeps it. */
  #patienceMs(): number {
    const { ledger, sides } = this.parts
    return sides[sides.off.backend.ledger === ledger ? 'off' : 'on'].deadlineMs
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
