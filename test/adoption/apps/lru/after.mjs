import { LRUCache } from 'lru-cache'
import { adaptCache, createCacheSwitch, redisCache } from '../../../../src/index.ts'

export function createApp(env) {
  const lru = new LRUCache({ max: 10_000, ttl: 3_600_000 })
  const set = (key, value, ttl) => lru.set(key, value, { ttl })
  const expiresAt = (key) => Date.now() + lru.getRemainingTTL(key)
  const [get, del] = [(key) => lru.get(key), (key) => lru.delete(key)]
  const store = { get, set, delete: del, clear: () => lru.clear(), expiresAt }
  const [off, on] = [adaptCache(store, { values: 'plain' }), redisCache({ url: env.newRedisUrl })]
  const cache = createCacheSwitch({ off, on, ...env.switch })
  return {
    async profile(id) {
      return cache.getOrSet(id, () => env.origin.load(id), { ttl: '1h' })
    },
    async rename(id) {
      await env.origin.save(id)
      await cache.delete(id)
    },
    async close() {
      await cache.close()
      lru.clear()
    },
  }
}
