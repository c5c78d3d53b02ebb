import { type Due, FENCE_UNKNOWN, type Heard, type Ledger, type Owed } from '../cache/index.ts'
import type { Side } from '../side.ts'

function isDue({ notBefore }: Owed, { now, latest }: Due): boolean {
  return notBefore <= now || notBefore > latest
}

/**
 * A ledger that lasts as long as the process: for switches without a file store, and for when the
 * machine's ledger cannot be written.
 */
export class MemoryLedger implements Ledger {
  readonly #owed: Record<Side, Map<string, Owed>> = { off: new Map(), on: new Map() }
  readonly #fenced: Record<Side, number> = { off: 0, on: 0 }
  readonly #heard: Record<Side, Heard | undefined> = { off: undefined, on: undefined }
  #generation = 0

  owes(side: Side, key: string): boolean {
    return this.#owed[side].size > 0 && this.#owed[side].has(key)
  }

  owe(side: Side, key: string, notBefore: number): void {
    const before = this.#owed[side].get(key)?.notBefore ?? 0
    this.#generation += 1
    this.#owed[side].set(key, {
      side,
      key,
      generation: String(this.#generation),
      notBefore: Math.max(before, notBefore),
    })
  }

  list(side: Side, limit: number, due?: Due): readonly Owed[] {
    const all = [...this.#owed[side].values()]
    return (due === undefined ? all : all.filter((owed) => isDue(owed, due))).slice(0, limit)
  }

  settle(owed: Owed): boolean {
    if (this.#owed[owed.side].get(owed.key)?.generation !== owed.generation) return false
    return this.#owed[owed.side].delete(owed.key)
  }

  count(side: Side): number {
    return this.#owed[side].size
  }

  fence(side: Side, before: number): void {
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

  writeOff(side: Side): void {
    this.#owed[side].clear()
  }

  fencedBefore(side: Side): number {
    return this.#fenced[side]
  }

  trustedFrom(side: Side, key: string): number {
    return this.owes(side, key) ? Number.POSITIVE_INFINITY : this.#fenced[side]
  }
}
