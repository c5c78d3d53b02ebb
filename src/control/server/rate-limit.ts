/** A token bucket for each address: a burst, then a rate per second. */
export interface RateLimitOptions {
  readonly burst: number
  readonly perSecond: number
  /** Milliseconds. @default performance.now */
  readonly now?: () => number
}

interface Bucket {
  tokens: number
  at: number
}

/** More addresses than this are not kept: the oldest are forgotten. */
const MOST_ADDRESSES = 1024

export class RateLimit {
  readonly #options: Required<RateLimitOptions>
  readonly #buckets = new Map<string, Bucket>()

  constructor(options: RateLimitOptions) {
    this.#options = { now: () => performance.now(), ...options }
  }

  /** Whether there is one left for this address, without taking it. */
  has(address: string): boolean {
    return this.#refilled(address).tokens >= 1
  }

  /** Takes one; `false` when there is none left. */
  take(address: string): boolean {
    const bucket = this.#refilled(address)
    if (bucket.tokens < 1) return false
    bucket.tokens -= 1
    return true
  }

  #refilled(address: string): Bucket {
    const { burst, perSecond, now } = this.#options
    const at = now()
    const known = this.#buckets.get(address)
    const tokens =
      known === undefined
        ? burst
        : Math.min(burst, known.tokens + ((at - known.at) / 1000) * perSecond)
    const bucket = { tokens, at }
    // Moved to the end, so that the first is the one unused for longest.
    this.#buckets.delete(address)
    this.#buckets.set(address, bucket)
    const [oldest] = this.#buckets.keys()
    if (this.#buckets.size > MOST_ADDRESSES && oldest !== undefined) this.#buckets.delete(oldest)
    return bucket
  }
}
