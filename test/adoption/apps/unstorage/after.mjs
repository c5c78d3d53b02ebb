import { createStorage } from 'unstorage'
import { createCacheSwitch, redisCache, unstorageDriver } from '../../../../src/index.ts'

export function createApp(env) {
  const off = redisCache({ url: env.redisUrl, values: 'plain', prefix: 'nitro:' })
  const on = redisCache({ url: env.newRedisUrl })
  const both = createCacheSwitch({ off, on, defaultTtl: '1h', ...env.switch })
  const driver = unstorageDriver(both)
  const storage = createStorage({ driver })
  return {
    async profile(id) {
      const found = await storage.getItem(`profile:${id}`)
      if (found !== null) return found
      const profile = await env.origin.load(id)
      await storage.setItem(`profile:${id}`, profile)
      return profile
    },
    async rename(id) {
      await env.origin.save(id)
      await storage.removeItem(`profile:${id}`)
    },
    async close() {
      await storage.dispose()
      await both.close()
    },
  }
}
