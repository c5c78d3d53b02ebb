import type { CacheService } from '../cache/index.ts'
import { SwitchbackError } from '../errors.ts'

/** A driver for unstorage 1, and so for Nitro and Nuxt. */
export interface UnstorageDriver {
  readonly name: string
  hasItem(key: string): Promise<boolean>
  getItem(key: string): Promise<unknown>
  getItems(items: readonly { readonly key: string }[]): Promise<{ key: string; value: unknown }[]>
  /** @param options `ttl` in seconds, as unstorage's Redis driver takes it */
  setItem(key: string, value: string, options?: { readonly ttl?: number }): Promise<void>
  removeItem(key: string): Promise<void>
  getKeys(base: string): Promise<string[]>
  /** @param base none, or empty: the whole mount */
  clear(base?: string): Promise<void>
  dispose(): Promise<void>
}

/**
 * Puts a cache behind unstorage: `createStorage({ driver: unstorageDriver(cache) })`. `clear()` empties the whole
 * cache: mount `unstorageDriver(cache.namespace('x'))` to keep others out of it. A cache cannot list its keys, so
 * `getKeys` and the `clear` of a part of a mount reject (`SB_NOT_LISTABLE`).
 */
export function unstorageDriver(cache: Pick<CacheService, UnstorageCalls>): UnstorageDriver {
  return {
    name: 'switchback',
    hasItem: (key) => cache.has(key),
    getItem: async (key) => (await cache.get(key)) ?? null,
    getItems: async (items) => {
      const found = await cache.getMany(items.map(({ key }) => key))
      return items.map(({ key }) => ({ key, value: found.get(key) ?? null }))
    },
    setItem: (key, value, { ttl } = {}) =>
      cache.set(key, plain(value), ttl === undefined ? {} : { ttl: ttl * 1000 }),
    removeItem: async (key) => {
      await cache.delete(key)
    },
    getKeys: () => Promise.reject(notListable()),
    clear: (base = '') => (base === '' ? cache.clear() : Promise.reject(notListable())),
    dispose: async () => {},
  }
}

export type UnstorageCalls = 'has' | 'get' | 'getMany' | 'set' | 'delete' | 'clear'

/** Unstorage gives JSON, and reads it again from whatever it gets: the cache need not put JSON into JSON. */
function plain(value: string): unknown {
  if (!/^[{[]/u.test(value)) return value
  try {
    return JSON.parse(value) as unknown
  } catch {
    // A text that only begins like JSON.
    return value
  }
}

function notListable(): SwitchbackError {
  return new SwitchbackError('SB_NOT_LISTABLE', 'A cache cannot list its keys.', {
    hint: 'Keep the keys that you need to list elsewhere; clear a whole mount, or a namespace of the cache.',
  })
}
