/**
 * Remembers which keys this process stored on a side and for how long they should be found, to tell
 * a backend that loses values ("repeat miss") from a cache that is merely cold. A fixed table of
 * hashes: a collision drops the older key, which can only hide a repeat miss.
 */
export class RepeatMisses {
  readonly #hashes = new Uint32Array(SLOTS)
  readonly #until = new Float64Array(SLOTS)

  /** The key was stored and lives for `ttlMs` more milliseconds. */
  stored(key: string, ttlMs: number, now: number): void {
    const hash = hashOf(key)
    this.#hashes[hash & MASK] = hash
    this.#until[hash & MASK] = now + Math.min(ttlMs, MAX_MS) * TRUSTED_SHARE
  }

  /** The key was deleted or replaced: a miss is right. */
  dropped(key: string): void {
    const hash = hashOf(key)
    if (this.#hashes[hash & MASK] === hash) this.#until[hash & MASK] = 0
  }

  /** Whether missing the key now means that the backend lost it. Each loss counts once. */
  isRepeat(key: string, now: number): boolean {
    const hash = hashOf(key)
    const slot = hash & MASK
    if (this.#hashes[slot] !== hash || this.#until[slot]! <= now) return false
    this.#until[slot] = 0
    return true
  }
}

/** 768 KiB a side. */
const SLOTS = 65_536
const MASK = SLOTS - 1
/** Only within this share of the TTL should a value still be there. */
const TRUSTED_SHARE = 0.8
/** A value that has not been read for this long may have been evicted. */
const MAX_MS = 600_000

/** FNV-1a over UTF-16 units; it need not resist attacks. */
function hashOf(key: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < key.length; i += 1) {
    hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193)
  }
  return hash >>> 0
}
