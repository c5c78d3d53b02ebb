import { createClient } from 'redis'

export async function createApp(env) {
  const redis = createClient({ url: env.redisUrl })
  redis.on('error', () => undefined)
  await redis.connect()
  return {
    async profile(id) {
      const found = await redis.get(`user:{${id}}:profile`)
      if (found !== null) return JSON.parse(found)
      const profile = await env.origin.load(id)
      await redis.set(`user:{${id}}:profile`, JSON.stringify(profile), { EX: 3600 })
      return profile
    },
    async rename(id) {
      await env.origin.save(id)
      await redis.del(`user:{${id}}:profile`)
    },
    async close() {
      redis.destroy()
    },
  }
}
