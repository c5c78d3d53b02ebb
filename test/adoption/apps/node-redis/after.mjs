import { createClient } from 'redis'
import { createCacheSwitch, redisCache } from '../../../../src/index.ts'

export async function createApp(env) {
  const redis = createClient({ url: env.redisUrl, disableOfflineQueue: true })
  redis.on('error', () => undefined)
  await redis.connect()
  const off = redisCache({ client: redis, values: 'plain' })
  const on = redisCache({ url: env.newRedisUrl })
  const cache = createCacheSwitch({ off, on, ...env.switch })
  return {
    async profile(id) {
      return cache.getOrSet(`user:{${id}}:profile`, () => env.origin.load(id), { ttl: '1h' })
    },
    async rename(id) {
      await env.origin.save(id)
      await cache.delete(`user:{${id}}:profile`)
    },
    async close() {
      await cache.close()
      redis.destroy()
    },
  }
}
