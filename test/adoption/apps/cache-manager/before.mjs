import KeyvRedis from '@keyv/redis'
import { createCache } from 'cache-manager'
import { Keyv } from 'keyv'

// As NestJS registers it.
export function createApp(env) {
  const keyv = new Keyv({ store: new KeyvRedis(env.redisUrl), namespace: 'nest' })
  const cache = createCache({ stores: [keyv], ttl: 3_600_000 })
  return {
    async profile(id) {
      return cache.wrap(`profile-${id}`, () => env.origin.load(id))
    },
    async rename(id) {
      await env.origin.save(id)
      await cache.del(`profile-${id}`)
    },
    async close() {
      await keyv.disconnect()
    },
  }
}
