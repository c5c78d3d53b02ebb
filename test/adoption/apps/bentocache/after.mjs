import { BentoCache, bentostore } from 'bentocache'
import { redisDriver } from 'bentocache/drivers/redis'
import { adaptCache, createCacheSwitch, redisCache } from '../../../../src/index.ts'

export function createApp(env) {
  const connection = { host: '127.0.0.1', port: Number(new URL(env.redisUrl).port), db: 0 }
  const stores = { redis: bentostore().useL2Layer(redisDriver({ connection })) }
  const bento = new BentoCache({ default: 'redis', stores })
  const set = (key, value, ttl) => bento.set({ key, value, ttl })
  const [get, del] = [(key) => bento.get({ key }), (key) => bento.delete({ key })]
  const store = { get, set, delete: del, clear: () => bento.clear() }
  const off = adaptCache(store, { values: 'plain', shared: true })
  const on = redisCache({ url: env.newRedisUrl })
  const cache = createCacheSwitch({ off, on, ...env.switch })
  return {
    async profile(id) {
      const key = `profile-${id}`
      return cache.getOrSet(key, () => env.origin.load(id), { ttl: '1h' })
    },
    async rename(id) {
      await env.origin.save(id)
      await cache.delete(`profile-${id}`)
    },
    async close() {
      await cache.close()
      await bento.disconnectAll()
    },
  }
}
