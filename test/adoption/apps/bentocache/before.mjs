import { BentoCache, bentostore } from 'bentocache'
import { redisDriver } from 'bentocache/drivers/redis'

export function createApp(env) {
  const connection = { host: '127.0.0.1', port: Number(new URL(env.redisUrl).port), db: 0 }
  const stores = { redis: bentostore().useL2Layer(redisDriver({ connection })) }
  const bento = new BentoCache({ default: 'redis', stores })
  return {
    async profile(id) {
      const key = `profile-${id}`
      return bento.getOrSet({ key, ttl: '1h', factory: () => env.origin.load(id) })
    },
    async rename(id) {
      await env.origin.save(id)
      await bento.delete({ key: `profile-${id}` })
    },
    async close() {
      await bento.disconnectAll()
    },
  }
}
