import { createStorage } from 'unstorage'
import redisDriver from 'unstorage/drivers/redis'

export function createApp(env) {
  const driver = redisDriver({ url: env.redisUrl, base: 'nitro', ttl: 3600 })
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
    },
  }
}
