/** The library peers on Redis, each as its own documentation sets it up. */
import { createClient } from '@redis/client'
import KeyvRedis from '@keyv/redis'
import { BentoCache, bentostore } from 'bentocache'
import { memoryDriver } from 'bentocache/drivers/memory'
import { redisDriver } from 'bentocache/drivers/redis'
import { createCache } from 'cache-manager'
import { Redis } from 'ioredis'
import { Keyv } from 'keyv'
import { TTL } from './stage.mjs'

/** A client's own `get` and `set` of texts, with JSON. */
export function withJson({ get, set }) {
  return {
    get: async (key) => {
      const text = await get(key)
      return text === null ? undefined : JSON.parse(text)
    },
    set: (key, value) => set(key, JSON.stringify(value)),
  }
}

/** Bare ioredis + JSON: what a hit costs when nobody looks after anything. */
export function openIoredis({ redisUrl, atEnd }) {
  const redis = new Redis(redisUrl)
  atEnd(() => redis.disconnect())
  return {
    redis,
    ...withJson({
      get: (key) => redis.get(key),
      set: (key, text) => redis.set(key, text, 'PX', TTL),
    }),
  }
}

/** Bare node-redis + JSON: the client under Keyv and cache-manager. */
export async function openNodeRedis({ redisUrl, atEnd }) {
  const redis = await createClient({ url: redisUrl }).connect()
  atEnd(() => redis.destroy())
  return withJson({
    get: (key) => redis.get(key),
    set: (key, text) => redis.set(key, text, { PX: TTL }),
  })
}

/** On the same ioredis as everybody else. */
export function openBentocache({ redisUrl, atEnd }, layers) {
  const connection = new Redis(redisUrl)
  const stores = {
    L2: () => bentostore().useL2Layer(redisDriver({ connection, prefix: 'bento-l2' })),
    'L1 + L2': () =>
      bentostore()
        .useL1Layer(memoryDriver({ maxSize: '64mb' }))
        .useL2Layer(redisDriver({ connection, prefix: 'bento-l1' })),
  }
  const bento = new BentoCache({ default: 'store', ttl: TTL, stores: { store: stores[layers]() } })
  atEnd(() => bento.disconnect())
  return {
    get: (key) => bento.get({ key }),
    set: (key, value) => bento.set({ key, value }),
    getOrSet: (key, factory) => bento.getOrSet({ key, factory }),
  }
}

export function openKeyv({ redisUrl, atEnd }) {
  const keyv = new Keyv(new KeyvRedis(redisUrl), { namespace: 'keyv', ttl: TTL })
  atEnd(() => keyv.disconnect())
  return { get: (key) => keyv.get(key), set: (key, value) => keyv.set(key, value) }
}

export function openCacheManager({ redisUrl, atEnd }) {
  const store = new Keyv(new KeyvRedis(redisUrl), { namespace: 'cache-manager' })
  const cache = createCache({ stores: [store], ttl: TTL })
  atEnd(() => cache.disconnect())
  return {
    get: (key) => cache.get(key),
    set: (key, value) => cache.set(key, value),
    getOrSet: (key, load) => cache.wrap(key, load),
  }
}
