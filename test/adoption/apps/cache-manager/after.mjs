import { createCache } from 'cache-manager'
import { Keyv } from 'keyv'
import { createCacheSwitch, keyvStore, redisCache } from '../../../../src/index.ts'

// As NestJS registers it.
export function createApp(env) {
  const off = redisCache({ url: env.redisUrl, values: 'plain', prefix: 'nest::nest:' })
  const on = redisCache({ url: env.newRedisUrl })
  const both = createCacheSwitch({ off, on, ...env.switch })
  const asItIs = { namespace: '', serialize: undefined, deserialize: undefined }
  const keyv = new Keyv({ store: keyvStore(both), ...asItIs })
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
      await both.close()
    },
  }
}
