/** A time to live: milliseconds, or a string such as `'500ms'`, `'30s'`, `'10m'`, `'2h'`, `'7d'`. */
export type Ttl = number | Duration

/** A text that is not known before the program runs goes through `parseTtl`. */
export type Duration = `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`

export interface SetOptions {
  /** How long the value lives. @default the cache's `defaultTtl`, else it does not expire */
  readonly ttl?: Ttl
  /**
   * The share of the ttl, from 0 to 1, by which a lifetime is shortened at random at most, so that what was
   * stored together does not expire together. @default the cache's `ttlJitter`, else 0
   */
  readonly jitter?: number
}

export interface GetOrSetOptions extends SetOptions {
  /**
   * How long after its expiry a value is still served when the loader fails. Never what was replaced or deleted,
   * and not longer than the side's `tombstoneTtl`: so long it keeps an expired value. @default not at all
   */
  readonly grace?: Ttl
  /**
   * With `grace`: after so long the caller gets the expired value, if there is one, while the loader goes on for
   * the next. @default the caller waits
   */
  readonly softTimeout?: Ttl
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
  /** The values that are there. Each key is read as `get` reads it, all in one round trip. */
  getMany<T = unknown>(keys: Iterable<string>): Promise<Map<string, T>>
  /**
   * Sets each key as `set` does, all in one round trip: entries of an array, a `Map` or `Object.entries()`. Of
   * two for one key the last counts. A bad key or value rejects before anything is written.
   */
  setMany<T>(entries: Iterable<readonly [string, T]>, options?: SetOptions): Promise<void>
  has(key: string): Promise<boolean>
  /** Resolves to whether a value was there. */
  delete(key: string): Promise<boolean>
  /** Resolves to how many of the keys held a value. */
  deleteMany(keys: Iterable<string>): Promise<number>
  clear(): Promise<void>
  /**
   * A part of this cache with keys of its own, whose `clear` leaves the rest alone. Each operation reads one
   * key more, that of its generation; what was cleared leaves the stores when it expires, so give its values
   * a ttl. Keep the object: two of one name are the same part.
   */
  namespace(name: string): CacheNamespace
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** A part of a cache: see {@link CacheService.namespace}. */
export type CacheNamespace = Omit<CacheService, 'namespace' | 'close' | typeof Symbol.asyncDispose>
