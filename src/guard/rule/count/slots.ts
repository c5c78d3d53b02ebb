/** Slots that behaved like control, put in front: a watch that opens amid an incident must not take it for the usual. */
const VIRTUAL_SLOTS = 12
/** How many slots with errors are remembered by their time, to be told. */
const REMEMBERED = 12

/** Sums over slots of treatment's bad (x) and all (n) operations. */
export interface SlotSums {
  readonly x: number
  readonly n: number
  readonly xx: number
  readonly xn: number
  readonly nn: number
  /** Number of slots. */
  readonly k: number
}

type Mutable = { -readonly [Key in keyof SlotSums]: SlotSums[Key] }

const NONE: SlotSums = { x: 0, n: 0, xx: 0, xn: 0, nn: 0, k: 0 }

export interface SlotsState {
  readonly sums: SlotSums
  readonly bad: readonly number[]
}

/**
 * By how much errors cluster in time, at least 1 (independent): the variance of treatment's error count
 * over slots, divided by the Poisson variance. An incident fails everything that was under way: its errors
 * fall into one slot and are one witness, however many they are. With the effect over users it makes the
 * two-way cluster variance of Cameron, Gelbach & Miller 2011.
 */
export function timeEffect({ x, n, xx, xn, nn, k }: SlotSums, control: number): number {
  if (x <= 0 || n <= 0 || k <= 0) return 1
  const mean = n / k
  const usual = Math.min(control, x / n)
  const p = (x + VIRTUAL_SLOTS * mean * usual) / (n + VIRTUAL_SLOTS * mean)
  const variance =
    xx - 2 * p * xn + p * p * nn + VIRTUAL_SLOTS * mean * mean * (usual - p) * (usual - p)
  return Math.max(1, ((variance / x) * (k + VIRTUAL_SLOTS)) / (k + VIRTUAL_SLOTS - 1))
}

/** Treatment's operations by slots of the clock. */
export class Slots {
  readonly #lengthS: number
  #sums: Mutable
  /** Ends of the latest slots with errors, the open one not among them. */
  #bad: number[]
  #open: { readonly until: number; at: number; x: number; n: number } | undefined

  constructor(lengthS: number, { sums, bad }: SlotsState = { sums: NONE, bad: [] }) {
    this.#lengthS = lengthS
    this.#sums = { ...sums }
    this.#bad = [...bad]
  }

  /**
   * @param elapsedS over which the operations are spread: no slot is shorter, since what one look brought
   * may have happened at once
   */
  add(at: number, x: number, n: number, elapsedS: number): void {
    if (this.#open !== undefined && at >= this.#open.until) this.close()
    if (this.#open === undefined) {
      const lengthS = Math.max(this.#lengthS, elapsedS)
      const until = (Math.floor(at / lengthS) + 1) * lengthS
      this.#open = { until, at, x: 0, n: 0 }
    }
    this.#open.at = at
    this.#open.x += x
    this.#open.n += n
  }

  /** What comes is of another slot. */
  close(): void {
    if (this.#open === undefined) return
    const { x, at } = this.#open
    this.#sums = this.#withOpen()
    if (x > 0) this.#bad = [...this.#bad, at].slice(-REMEMBERED)
    this.#open = undefined
  }

  /** Sums of the closed slots. */
  get sums(): SlotSums {
    return this.#sums
  }

  /** Since these were the sums, the open slot included. */
  since(before: SlotSums): SlotSums {
    const now = this.#withOpen()
    return {
      x: now.x - before.x,
      n: now.n - before.n,
      xx: now.xx - before.xx,
      xn: now.xn - before.xn,
      nn: now.nn - before.nn,
      k: now.k - before.k,
    }
  }

  /** When slots with errors ended, of the latest twelve, from `at` on. */
  badSince(at: number): readonly number[] {
    const open = this.#open !== undefined && this.#open.x > 0 ? [this.#open.at] : []
    return [...this.#bad, ...open].filter((time) => time >= at)
  }

  /** The open slot counts as ended. */
  state(): SlotsState {
    return { sums: this.#withOpen(), bad: this.badSince(-Infinity) }
  }

  #withOpen(): Mutable {
    const sums = { ...this.#sums }
    if (this.#open === undefined) return sums
    const { x, n } = this.#open
    sums.x += x
    sums.n += n
    sums.xx += x * x
    sums.xn += x * n
    sums.nn += n * n
    sums.k++
    return sums
  }
}
