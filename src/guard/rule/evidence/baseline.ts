import { sum } from '../count/buckets.ts'
import type { BucketCounts } from '../count/buckets.ts'

const HALF_LIFE_S = 600

export interface BaselineState {
  readonly bad: number
  readonly total: number
  /** The old side's operations so far. */
  readonly seen: number
}

/**
 * The old side's rate as the bets use it: only from earlier polls, so that a bet never sees the
 * data that decides it, with a half-life of ten minutes, so that it follows the day.
 */
export class Baseline {
  #bad: number
  #total: number
  #seen: number

  /** @param gapS seconds that nobody has looked: what is known is older by them */
  constructor({ bad, total, seen }: BaselineState = { bad: 0, total: 0, seen: 0 }, gapS = 0) {
    const keep = 2 ** (-gapS / HALF_LIFE_S)
    this.#bad = bad * keep
    this.#total = total * keep
    this.#seen = seen
  }

  /** The old side's operations so far, old ones counting in full. */
  get seen(): number {
    return this.#seen
  }

  /** Never zero: half an error is added (Jeffreys' prior). */
  get rate(): number {
    return (this.#bad + 0.5) / (this.#total + 1)
  }

  add(control: BucketCounts, elapsedSeconds: number): void {
    const keep = 2 ** (-elapsedSeconds / HALF_LIFE_S)
    this.#bad = this.#bad * keep + sum(control.bad)
    const total = sum(control.total)
    this.#total = this.#total * keep + total
    this.#seen += total
  }

  state(): BaselineState {
    return { bad: this.#bad, total: this.#total, seen: this.#seen }
  }
}
