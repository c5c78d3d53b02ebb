import { Keyv } from 'keyv'
import { describe, test } from 'vitest'
import { adaptCache, type PlainStore } from '../../../src/cache/index.ts'
import { backendConformance } from '../../../src/cache/testing/index.ts'

class GoneStore {
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

const STORES: readonly (readonly [string, boolean, () => PlainStore])[] = [
  ['Keyv 5', false, () => new Keyv()],
  ['Keyv 5 that throws', false, () => new Keyv({ throwOnErrors: true, namespace: 'app' })],
  ['a Map', false, () => new Map<string, unknown>()],
  ['a Keyv that others use too', true, () => new Keyv()],
]

describe.each(STORES)('conformance of adaptCache with plain values: %s', (_, shared, make) => {
  const stores = new Map<string, PlainStore>()
  const options = { values: 'plain', shared, maxEntries: 100_000 } as const
  const cases = backendConformance(
    ({ namespace, tombstoneTtl }) => {
      const store = stores.get(namespace) ?? make()
      stores.set(namespace, store)
      return adaptCache(store, { ...options, tombstoneTtl })
    },
    {
      shared: false,
      largestPayload: 100_000,
      payloads: 'json',
      outOfReach: () => adaptCache(new GoneStore(), options),
    },
  )
  for (const { name, run } of cases) test.concurrent(name, run)
})
