import { type Due, FENCE_UNKNOWN, type Heard, type Ledger, type Owed } from '../../cache/index.ts'
import { otherSide, type Side } from '../../side.ts'

function isDue({ notBefore }: Owed, { now, latest }: Due): boolean {
  return notBefore <= now || notBefore > latest
}

/**
 * A ledger that lasts as long as the process: for switches without a file store, and for when the
 * machine's ledger cannot be written.
 */
export class MemoryLedger implements Ledger {
  readonly #owed: Record<Side, Map<string, Remembered>> = { off: new Map(), on: new Map() }
  readonly #fenced: Record<Side, number> = { off: 0, on: 0 }
  readonly #heard: Record<Side, Heard | undefined> = { off: undefined, on: undefined }
  #generation = 0
  /** Whether nothing was ever noted here. */
  blank: boolean = true

  owes(side: Side, key: string): boolean {
    return this.#owed[side].size > 0 && this.#owed[side].has(key)
  }

  /** As {@link owes}, and that waits for nothing. */
  owesFirst(side: Side, key: string): boolean {
    return this.#owed[side].get(key)?.after === false
  }

  owe(side: Side, key: string, notBefore: number): void {
    this.#owe(side, key, notBefore, false)
  }

  /** As {@link owe}; it is not listed while the other side owes the key too. */
  oweAfter(side: Side, key: string): void {
    this.#owe(side, key, 0, true)
  }

  list(side: Side, limit: number, due?: Due): readonly Owed[] {
    const listed = []
    for (const owed of this.#owed[side].values()) {
      if (listed.length === limit) break
      const waits = owed.after && this.owes(otherSide(side), owed.key)
      if (!waits && (due === undefined || isDue(owed, due))) listed.push(owed)
    }
    return listed
  }

  settle(owed: Owed): boolean {
    if (this.#owed[owed.side].get(owed.key)?.generation !== owed.generation) return false
    return this.#owed[owed.side].delete(owed.key)
  }

  count(side: Side): number {
    return this.#owed[side].size
  }

  fence(side: Side, before: number): void {
    this.blank = false
    this.#fenced[side] = Math.max(this.#fenced[side], before)
  }

  replaceFence(side: Side, from: number, before: number): boolean {
    if (this.#fenced[side] !== from) return false
    this.#fenced[side] = before
    return true
  }

  era(side: Side): number {
    return this.#heard[side]?.era ?? 0
  }

  server(side: Side): number {
    return this.#heard[side]?.server ?? 0
  }

  adopt(side: Side, from: number, heard: Heard, before: number): boolean {
    if (this.era(side) !== from) return false
    const fenced = this.#fenced[side]
    this.fence(side, fenced < FENCE_UNKNOWN ? Math.max(before, fenced + 1) : before)
    this.#heard[side] = heard
    return true
  }

  writeOff(side: Side): () => void {
    const owed = [...this.#owed[side].values()]
    return () => owed.forEach((one) => this.settle(one))
  }

  fencedBefore(side: Side): number {
    return this.#fenced[side]
  }

  trustedFrom(side: Side, key: string): number {
    return this.owes(side, key) ? Number.POSITIVE_INFINITY : this.#fenced[side]
  }

  #owe(side: Side, key: string, notBefore: number, after: boolean): void {
    this.blank = false
    const before = this.#owed[side].get(key)?.notBefore ?? 0
    this.#generation += 1
    this.#owed[side].set(key, {
      side,
      key,
      generation: String(this.#generation),
      notBefore: Math.max(before, notBefore),
      after,
    })
  }
}

interface Remembered extends Owed {
  readonly after: boolean
}
