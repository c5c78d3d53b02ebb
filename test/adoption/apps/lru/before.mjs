import { LRUCache } from 'lru-cache'

export function createApp(env) {
  const lru = new LRUCache({ max: 10_000, ttl: 3_600_000 })
  return {
    async profile(id) {
      const found = lru.get(id)
      if (found !== undefined) return found
      const profile = await env.origin.load(id)
      lru.set(id, profile)
      return profile
    },
    async rename(id) {
      await env.origin.save(id)
      lru.delete(id)
    },
    async close() {
      lru.clear()
    },
  }
}
