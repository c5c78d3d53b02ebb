import KeyvRedis from '@keyv/redis'
import { Keyv } from 'keyv'

export function createApp(env) {
  const cache = new Keyv(new KeyvRedis(env.redisUrl), { namespace: 'profiles' })
  return {
    async profile(id) {
      const found = await cache.get(id)
      if (found !== undefined) return found
      const profile = await env.origin.load(id)
      await cache.set(id, profile, 3_600_000)
      return profile
    },
    async rename(id) {
      await env.origin.save(id)
      await cache.delete(id)
    },
    async close() {
      await cache.disconnect()
    },
  }
}
