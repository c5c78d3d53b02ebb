import { Redis } from 'ioredis'

export function createApp(env) {
  const redis = new Redis(env.redisUrl)
  redis.on('error', () => undefined)
  return {
    async profile(id) {
      const found = await redis.get(`profile:${id}`)
      if (found !== null) return JSON.parse(found)
      const profile = await env.origin.load(id)
      await redis.set(`profile:${id}`, JSON.stringify(profile), 'EX', 3600)
      return profile
    },
    async rename(id) {
      await env.origin.save(id)
      await redis.del(`profile:${id}`)
    },
    async close() {
      redis.disconnect()
    },
  }
}
