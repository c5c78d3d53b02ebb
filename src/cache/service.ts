/** A time to live: milliseconds, or a string such as `'500ms'`, `'30s'`, `'10m'`, `'2h'`, `'7d'`. */
export type Ttl = number | Duration

/** A text that is not known before the program runs goes through `parseTtl`. */
export type Duration = `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`

export interface SetOptions {
  /** How long the value lives. @default the cache's `defaultTtl`, else it does not expire */
  readonly ttl?: Ttl
}

export interface GetOrSetOptions extends SetOptions {
  /** Stops this caller's wait; the load continues for the others who wait for it. */
  readonly signal?: AbortSignal
}

/** Loads a value from where it comes from. May return `undefined`: nothing is then stored. */
export type Loader<T> = () => T | Promise<T>

/**
 * The cache as business code sees it. It does not reveal which side serves it, and none of its
 * methods rejects because a cache backend failed: a failing read is a miss, a failing write is
 * recorded as a pending invalidation. Only bad arguments and the loader's own errors reject.
 *
 * A miss is `undefined`; `null`, `0`, `''` and `false` are values; caching `undefined` is an error
 * (`SB_VALUE_UNDEFINED`).
 */
export interface CacheService {
  get<T = unknown>(key: string): Promise<T | undefined>
  set<T>(key: string, value: T, options?: SetOptions): Promise<void>
  /**
   * The cached value, or the loader's, stored for the next caller. However many callers miss the same
   * key at once, the loader runs once.
   */
  getOrSet<T>(key: string, load: Loader<T>, options?: GetOrSetOptions): Promise<T>
  has(key: string): Promise<boolean>
  /** Resolves to whether a value was there. */
  delete(key: string): Promise<boolean>
  /** Resolves to how many of the keys held a value. */
  deleteMany(keys: Iterable<string>): Promise<number>
  clear(): Promise<void>
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}
