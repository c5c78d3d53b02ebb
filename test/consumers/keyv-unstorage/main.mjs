import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { createCache } from 'cache-manager'
import { Keyv } from 'keyv'
import { createCacheSwitch, keyvStore, memoryCache, unstorageDriver } from 'openfeature-switchback'
import { createStorage } from 'unstorage'

const decider = {
  decide: () => ({
    side: 'off',
    variant: 'off',
    reason: 'STATIC',
    errorCode: '',
    source: 'default',
  }),
  targetingKeyOf: () => 'user',
  health: () => ({ ok: true, status: 'READY', since: 0, detail: '' }),
  close: async () => {},
}
const cache = createCacheSwitch({ off: memoryCache(), on: memoryCache(), decider, onEvent() {} })

// cache-manager, over two Keyvs in one cache
const keyv = (namespace) =>
  new Keyv({ store: keyvStore(cache), serialize: undefined, deserialize: undefined, namespace })
const [manager, other] = ['one', 'two'].map((name) => createCache({ stores: [keyv(name)] }))
await manager.set('k', { a: 1 }, 60_000)
await other.set('k', 'other')
assert.deepEqual(await manager.get('k'), { a: 1 })
assert.deepEqual(await manager.mget(['k', 'none']), [{ a: 1 }, undefined])
await manager.mset([
  { key: 'm', value: 1 },
  { key: 'n', value: 2, ttl: 60_000 },
])
assert.deepEqual(await manager.mget(['m', 'n']), [1, 2])
await manager.mdel(['m', 'n'])
assert.deepEqual(await manager.mget(['m', 'n']), [undefined, undefined])
assert.ok((await manager.ttl('k')) > Date.now())
let loads = 0
const wrapped = () => manager.wrap('w', async () => (loads += 1), { ttl: 60_000 })
assert.deepEqual([await wrapped(), await wrapped()], [1, 1])
await manager.set('short', 1, 20)
await sleep(60)
assert.equal(await manager.get('short'), undefined)
assert.equal(await manager.del('k'), true)
await manager.clear()
assert.equal(await manager.get('w'), undefined)
assert.equal(await other.get('k'), 'other')

// unstorage, mounted beside another driver
const storage = createStorage().mount('cache', unstorageDriver(cache.namespace('nitro')))
await storage.setItem('cache:o', { a: [1, null] })
assert.deepEqual(await storage.getItem('cache:o'), { a: [1, null] })
for (const value of ['text', 5, true, '']) {
  await storage.setItem('cache:v', value)
  assert.equal(await storage.getItem('cache:v'), value)
}
assert.equal(await storage.hasItem('cache:none'), false)
assert.equal(await storage.getItem('cache:none'), null)
assert.deepEqual(await storage.getItems(['cache:o', 'cache:none']), [
  { key: 'cache:o', value: { a: [1, null] } },
  { key: 'cache:none', value: null },
])
await storage.removeItem('cache:o')
assert.equal(await storage.hasItem('cache:o'), false)
await storage.clear('cache')
assert.equal(await storage.hasItem('cache:v'), false)
await assert.rejects(storage.getKeys('cache'), { code: 'SB_NOT_LISTABLE' })
assert.equal(await other.get('k'), 'other')

await cache.close()
console.log('keyv, cache-manager and unstorage ok')
