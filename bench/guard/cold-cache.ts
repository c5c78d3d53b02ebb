import type { ArmPair } from '../../src/guard/rule/index.ts'
import { emptyPair } from '../../src/guard/rule/index.ts'
import { Random } from './random.ts'
import { Traffic } from './traffic.ts'
import { BASELINE_S, guardWatcher, REPEATED } from './trial.ts'

export interface NewCache {
  readonly name: string
  readonly ttlS?: number
  /** Keys it holds; the oldest go first. */
  readonly capacity?: number
  /** Share of writes that are lost. */
  readonly lost?: number
}

export const CACHES: readonly NewCache[] = [
  { name: 'healthy, cold start' },
  { name: 'never stores', lost: 1 },
  { name: 'TTL 30 s instead of 600', ttlS: 30 },
  { name: 'holds 200 keys', capacity: 200 },
  { name: 'half of the writes lost', lost: 0.5 },
]

const TTL_S = 600
const KEYS = 5000
const USERS = 2000
const BUCKETS = 32
/** The guard looks at buckets only. */
const NO_TRAFFIC = new Traffic({ seed: 1, users: 1 })

/** A cache as its clients see it; it does not say why a key is gone. */
class SimulatedCache {
  readonly #options: NewCache
  readonly #random: Random
  /** By key: when it was stored, and whether it is still there. */
  readonly #stored = new Map<number, { readonly at: number; readonly kept: boolean }>()

  constructor(options: NewCache, random: Random) {
    this.#options = options
    this.#random = random
  }

  read(key: number, now: number): 'hit' | 'miss' | 'repeat miss' {
    const { ttlS = TTL_S, capacity = Infinity, lost = 0 } = this.#options
    const entry = this.#stored.get(key)
    if (entry?.kept === true && now - entry.at < ttlS) return 'hit'
    const repeat = entry !== undefined && now - entry.at < 0.8 * TTL_S
    this.#stored.delete(key)
    this.#stored.set(key, { at: now, kept: this.#random.next() >= lost })
    if (this.#stored.size > capacity) this.#evict(capacity)
    return repeat ? 'repeat miss' : 'miss'
  }

  /** The client still remembers what it stored. */
  #evict(capacity: number): void {
    let kept = 0
    for (const [key, entry] of [...this.#stored].toReversed()) {
      if (entry.kept && ++kept > capacity) this.#stored.set(key, { ...entry, kept: false })
    }
  }
}

export interface CacheRun {
  /** Seconds until the guard went back; `Infinity` when it did not. */
  readonly back: number
  readonly missesOn: number
  readonly missesOff: number
}

/** Users of a warm old cache are moved to a new, empty one: misses, and what the guard makes of them. */
export function coldCache(cache: NewCache, share: number, seed: number, seconds: number): CacheRun {
  const random = new Random(seed)
  // Zipf: the key of rank r is asked for 1/r as often as the first.
  const weights = Float64Array.from({ length: KEYS }, (_, i) => 1 / (i + 1))
  for (let i = 1; i < KEYS; i++) weights[i]! += weights[i - 1]!
  const pick = (): number => {
    const x = random.next() * weights[KEYS - 1]!
    let [low, high] = [0, KEYS - 1]
    while (low < high) {
      const middle = (low + high) >> 1
      if (weights[middle]! < x) low = middle + 1
      else high = middle
    }
    return low
  }
  const sides = {
    off: { cache: new SimulatedCache({ name: 'old' }, random), misses: 0, reads: 0 },
    on: { cache: new SimulatedCache(cache, random), misses: 0, reads: 0 },
  }
  const watcher = guardWatcher(REPEATED)
  let back = Infinity
  for (let second = -TTL_S; second < seconds && back === Infinity; second++) {
    const pair: ArmPair = emptyPair(BUCKETS)
    for (let i = 0; i < 100; i++) {
      const user = random.below(USERS)
      const side = second >= 0 && user < share * USERS ? 'on' : 'off'
      const counts = side === 'on' ? pair.treatment : pair.control
      const arm = sides[side]
      const found = arm.cache.read(pick(), second)
      counts.total[user % BUCKETS]!++
      if (found === 'repeat miss') counts.bad[user % BUCKETS]!++
      if (second < 0) continue
      arm.reads++
      if (found !== 'hit') arm.misses++
    }
    if (second >= -BASELINE_S && watcher.look(second + TTL_S, pair, NO_TRAFFIC)) back = second + 1
  }
  const rate = ({ misses, reads }: { misses: number; reads: number }): number => misses / reads
  return { back, missesOn: rate(sides.on), missesOff: rate(sides.off) }
}
