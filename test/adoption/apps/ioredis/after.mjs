import { Redis } from 'ioredis'
import { createCacheSwitch, redisCache } from '../../../../src/index.ts'

export function createApp(env) {
  const redis = new Redis(env.redisUrl)
  redis.on('error', () => undefined)
  const off = redisCache({ client: redis, values: 'plain' })
  const on = redisCache({ url: env.newRedisUrl })
  const cache = createCacheSwitch({ off, on, ...env.switch })
  return {
    async profile(id) {
      return cache.getOrSet(`profile:${id}`, () => env.origin.load(id), { ttl: '1h' })
    },
    async rename(id) {
      await env.origin.save(id)
      await cache.delete(`profile:${id}`)
    },
    async close() {
      await cache.close()
      redis.disconnect()
    },
  }
}
