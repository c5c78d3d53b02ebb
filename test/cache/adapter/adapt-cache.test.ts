import { setImmediate } from 'node:timers/promises'
import { Keyv } from 'keyv'
import { describe, expect, test } from 'vitest'
import { adaptCache, ANY, type KeyValueStore, NEVER } from '../../../src/cache/index.ts'
import { backendConformance } from '../../../src/cache/testing/index.ts'

/** Slow and out of order, as a store across a network is: the worst case for read-then-write. */
class AsyncStore implements KeyValueStore {
  readonly map = new Map<string, string>()

  async get(key: string): Promise<string | undefined> {
    await this.#pause()
    return this.map.get(key)
  }

  async set(key: string, value: string): Promise<void> {
    await this.#pause()
    this.map.set(key, value)
  }

  async delete(key: string): Promise<boolean> {
    return this.map.delete(key)
  }

  async clear(): Promise<void> {
    this.map.clear()
  }

  async #pause(): Promise<void> {
    for (let turns = Math.floor(Math.random() * 3); turns >= 0; turns--) await setImmediate()
  }
}

const STORES: readonly (readonly [string, () => KeyValueStore])[] = [
  ['Keyv 5', () => new Keyv()],
  ['Keyv 5 that throws', () => new Keyv({ throwOnErrors: true, namespace: 'app' })],
  ['a Map', () => new Map<string, string>()],
  ['a slow asynchronous store', () => new AsyncStore()],
]

class GoneStore implements KeyValueStore {
  get(): never {
    throw new Error('gone')
  }
  set(): boolean {
    return false
  }
  delete(): never {
    throw new Error('gone')
  }
  clear(): never {
    throw new Error('gone')
  }
}

describe.each(STORES)('conformance of adaptCache over %s', (_, makeStore) => {
  const stores = new Map<string, KeyValueStore>()
  const cases = backendConformance(
    ({ namespace, tombstoneTtl }) => {
      const store = stores.get(namespace) ?? makeStore()
      stores.set(namespace, store)
      return adaptCache(store, { tombstoneTtl })
    },
    { shared: false, largestPayload: 100_000, outOfReach: () => adaptCache(new GoneStore()) },
  )
  for (const { name, run } of cases) test.concurrent(name, run)
})

describe('adaptCache', () => {
  test('answers synchronously over a synchronous store', () => {
    const backend = adaptCache(new Map<string, string>())
    const entry = { payload: 'v', expiresAt: NEVER }
    expect(backend.write('k', entry, { expect: '', within: 100 })).toMatchObject({ written: true })
    expect(backend.read('k')).toMatchObject({ state: 'value', payload: 'v' })
    expect(backend.invalidate('k', { within: 100 })).toMatchObject({ done: true, existed: true })
  })

  test('gives the store the life of the value and of its token', async () => {
    const ttls: (number | undefined)[] = []
    const map = new Map<string, string>()
    const store: KeyValueStore = {
      get: (key) => map.get(key),
      set: (key, value, ttl) => {
        ttls.push(ttl)
        map.set(key, value)
      },
      delete: (key) => map.delete(key),
      clear: () => map.clear(),
    }
    const backend = adaptCache(store, { tombstoneTtl: 5000 })
    const write = (expiresAt: number): unknown =>
      backend.write('k', { payload: 'v', expiresAt }, { expect: ANY, within: 100 })
    await write(Date.now() + 10_000)
    await write(NEVER)
    await backend.invalidate('k', { within: 100 })
    expect(ttls[0]).toBeGreaterThan(14_900)
    expect(ttls[0]).toBeLessThanOrEqual(15_000)
    expect(ttls.slice(1)).toEqual([undefined, 5000])
  })

  test('what somebody else put there is a miss that can be replaced', async () => {
    const keyv = new Keyv()
    const backend = adaptCache(keyv)
    for (const foreign of ['text', 42, { a: 1 }, null]) {
      await keyv.set('k', foreign)
      const cell = await backend.read('k')
      expect(cell.state).toBe('absent')
      const entry = { payload: 'v', expiresAt: NEVER }
      const options = { expect: cell.token, within: 100 }
      expect(await backend.write('k', entry, options)).toMatchObject({ written: true })
    }
  })

  test('a store that fails is told, and does not block the key', async () => {
    const keyv = new Keyv({ throwOnErrors: true })
    const backend = adaptCache(keyv)
    const { set } = keyv
    const entry = { payload: 'v', expiresAt: NEVER }
    const write = async (): Promise<unknown> =>
      backend.write('k', entry, { expect: ANY, within: 100 })
    keyv.set = async () => {
      throw new Error('disk full')
    }
    await expect(write()).rejects.toThrow('disk full')
    keyv.set = async () => false
    await expect(write()).rejects.toMatchObject({ code: 'SB_STORE_FAILED' })
    keyv.set = set
    expect(await write()).toMatchObject({ written: true })
  })

  test('clear comes after the writes before it and before those after it', async () => {
    const store = new AsyncStore()
    const backend = adaptCache(store)
    const entry = { payload: 'v', expiresAt: NEVER }
    const write = (key: string): unknown => backend.write(key, entry, { expect: ANY, within: 1000 })
    const before = Array.from({ length: 20 }, (_, i) => write(`before ${i % 4}`))
    const cleared = backend.clear()
    const later = Array.from({ length: 20 }, (_, i) => write(`after ${i % 4}`))
    await Promise.all([...before, cleared, ...later])
    expect([...store.map.keys()].toSorted()).toEqual(['after 0', 'after 1', 'after 2', 'after 3'])
  })

  test('refuses what is no store', () => {
    for (const store of [{}, null, { get() {}, set() {}, delete() {} }]) {
      expect(() => adaptCache(store as never)).toThrow(
        expect.objectContaining({ code: 'SB_STORE_INVALID' }) as Error,
      )
    }
  })
})
