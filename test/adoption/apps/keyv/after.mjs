import KeyvRedis from '@keyv/redis'
import { Keyv } from 'keyv'
import { adaptCache, createCacheSwitch, redisCache } from '../../../../src/index.ts'

export function createApp(env) {
  const keyv = new Keyv(new KeyvRedis(env.redisUrl), { namespace: 'profiles' })
  const off = adaptCache(keyv, { values: 'plain', shared: true })
  const on = redisCache({ url: env.newRedisUrl })
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
      await keyv.disconnect()
    },
  }
}
