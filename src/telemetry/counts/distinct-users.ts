/**
 * Marks a user by 31 bits of a salted hash: FNV-1a over the UTF-16 units, then `lowbias32` (Chris
 * Wellons, hash-prospector). Not flagd's hash, so these buckets are independent of the split and
 * both sides fill all of them. All replicas use the same salt, so that a user stays in one bucket.
 *
 * @param key the targeting key; users without one share a mark
 */
export function userMark(key: string | undefined): number {
  let hash = 0x5bd1_7c39
  if (key !== undefined) {
    for (let i = 0; i < key.length; i++) {
      hash = Math.imul(hash ^ key.charCodeAt(i), 0x0100_0193)
    }
  }
  hash ^= hash >>> 16
  hash = Math.imul(hash, 0x7feb_352d)
  hash ^= hash >>> 15
  hash = Math.imul(hash, 0x846c_a68b)
  hash ^= hash >>> 16
  return hash >>> 1
}

/** Cells of a window; at {@link WINDOW_CAP} users collisions hide fewer than 1 % of them. */
const CELLS = 1 << 19
const WINDOW_CAP = 8192

/**
 * Counts distinct users per side in windows, for the check that the share seen is the share set.
 * Each user counts once per side and window. When one side reaches the cap both stop until the next
 * window, which keeps their ratio unbiased.
 */
export class DistinctUsers {
  /** Totals over all windows, by side index. */
  readonly totals: Float64Array = new Float64Array(2)
  /** Windows begun so far. */
  windows = 1
  #seen: readonly [Int32Array, Int32Array] = [
    new Int32Array(CELLS / 32),
    new Int32Array(CELLS / 32),
  ]
  #inWindow = new Int32Array(2)
  #full = false
  #startedAt: number
  readonly #windowMs: number

  constructor(now: number, windowMs: number) {
    this.#startedAt = now
    this.#windowMs = windowMs
  }

  see(side: number, mark: number): void {
    if (this.#full) return
    const cell = (mark >>> 5) & (CELLS - 1)
    const seen = this.#seen[side as 0 | 1]
    const word = seen[cell >>> 5]!
    const bit = 1 << (cell & 31)
    if ((word & bit) !== 0) return
    seen[cell >>> 5] = word | bit
    this.totals[side]!++
    if (++this.#inWindow[side]! >= WINDOW_CAP) this.#full = true
  }

  /** Begins a new window when the current one is over. Called when it is read: no timer. */
  turn(now: number): void {
    if (now - this.#startedAt < this.#windowMs) return
    this.#startedAt = now
    this.windows++
    this.#seen[0].fill(0)
    this.#seen[1].fill(0)
    this.#inWindow.fill(0)
    this.#full = false
  }
}
