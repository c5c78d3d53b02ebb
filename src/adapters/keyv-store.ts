import type { CacheNamespace, CacheService, SetOptions } from '../cache/index.ts'

/** A store for Keyv 5, and so for what is built on it (cache-manager 7, NestJS). */
export interface KeyvStore {
  readonly opts: { readonly dialect: 'switchback' }
  /** Set by Keyv. */
  namespace?: string | undefined
  get<Value>(key: string): Promise<Value | undefined>
  getMany<Value>(keys: string[]): Promise<(Value | undefined)[]>
  set(key: string, value: unknown, ttl?: number): Promise<boolean>
  setMany(entries: readonly KeyvEntry[]): Promise<void>
  has(key: string): Promise<boolean>
  hasMany(keys: string[]): Promise<boolean[]>
  delete(key: string): Promise<boolean>
  deleteMany(keys: string[]): Promise<boolean>
  clear(): Promise<void>
  disconnect(): Promise<void>
  on(event: string, listener: (...args: unknown[]) => void): KeyvStore
}

export interface KeyvEntry {
  readonly key: string
  readonly value: unknown
  /** Milliseconds. */
  readonly ttl?: number | undefined
}

export type KeyvCache = Omit<CacheService, 'close' | typeof Symbol.asyncDispose>

/**
 * Puts a cache behind Keyv: `new Keyv({ store: keyvStore(cache), serialize: undefined, deserialize: undefined })`,
 * without the two its values would be JSON in JSON. Keyv's namespace is one of the cache, which costs a read more
 * for each operation; `namespace: ''` saves it, and then `clear()` empties the whole cache.
 *
 * It serves the users of the context in which it is called; `keyvStore(cache.for(user))` always the same one. A
 * Keyv has no conditional fill: what loads through `wrap` of cache-manager may be older than a write meanwhile,
 * which `cache.getOrSet` prevents.
 */
export function keyvStore(cache: KeyvCache): KeyvStore {
  return new Store(cache)
}

class Store implements KeyvStore {
  readonly opts = { dialect: 'switchback' } as const
  namespace?: string | undefined
  readonly #cache: KeyvCache
  #part: { readonly name: string; readonly cache: CacheNamespace } | undefined

  constructor(cache: KeyvCache) {
    this.#cache = cache
  }

  get<Value>(key: string): Promise<Value | undefined> {
    return this.#at().get<Value>(this.#name(key))
  }

  async getMany<Value>(keys: string[]): Promise<(Value | undefined)[]> {
    const names = keys.map((key) => this.#name(key))
    const found = await this.#at().getMany<Value>(names)
    return names.map((name) => found.get(name))
  }

  async set(key: string, value: unknown, ttl?: number): Promise<boolean> {
    await this.#at().set(this.#name(key), value, optionsOf(ttl))
    return true
  }

  async setMany(entries: readonly KeyvEntry[]): Promise<void> {
    const lives = new Map<number | undefined, KeyvEntry[]>()
    for (const entry of entries) {
      const some = lives.get(entry.ttl)
      if (some === undefined) lives.set(entry.ttl, [entry])
      else some.push(entry)
    }
    await Promise.all(
      [...lives].map(([ttl, some]) =>
        this.#at().setMany(
          some.map(({ key, value }) => [this.#name(key), value] as const),
          optionsOf(ttl),
        ),
      ),
    )
  }

  has(key: string): Promise<boolean> {
    return this.#at().has(this.#name(key))
  }

  async hasMany(keys: string[]): Promise<boolean[]> {
    return (await this.getMany(keys)).map((value) => value !== undefined)
  }

  delete(key: string): Promise<boolean> {
    return this.#at().delete(this.#name(key))
  }

  async deleteMany(keys: string[]): Promise<boolean> {
    return (await this.#at().deleteMany(keys.map((key) => this.#name(key)))) > 0
  }

  clear(): Promise<void> {
    return this.#at().clear()
  }

  /** The cache is closed by whoever made it. */
  async disconnect(): Promise<void> {}

  /** It has no errors to tell: a cache that fails is a miss. */
  on(): KeyvStore {
    return this
  }

  #at(): CacheNamespace {
    const { namespace: name } = this
    if (name === undefined || name === '') return this.#cache
    if (this.#part?.name !== name) this.#part = { name, cache: this.#cache.namespace(name) }
    return this.#part.cache
  }

  /** Keyv puts its namespace, if it has one, before each key, as the cache's does. */
  #name(key: string): string {
    const { namespace } = this
    if (namespace === undefined || namespace === '') return key
    const prefix = `${namespace}:`
    return key.length > prefix.length && key.startsWith(prefix) ? key.slice(prefix.length) : key
  }
}

function optionsOf(ttl: number | undefined): SetOptions {
  return ttl === undefined ? {} : { ttl }
}
