/**
 * A hit on Redis beside the newest majors of clients and cache libraries: each bare client with JSON, the switch on
 * that same client, and the libraries as their own documentation sets them up. Keyv 6 asks for Node 22.
 */
import KeyvRedis from '@keyv/redis'
import { GlideClient, TimeUnit } from '@valkey/valkey-glide'
import { Cacheable } from 'cacheable'
import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { createCacheSwitch, memoryCache, redisCache } from '../../dist/index.mjs'
import { compare } from '../measure.mjs'
import { openBentocache, openCacheManager, withJson } from './redis-peers.mjs'
import { costTable } from './report.mjs'
import { FLAG, knownUsers, TTL, VALUE, withStage } from './stage.mjs'

const USERS = 1000
const [NODE] = process.versions.node.split('.').map(Number)

export const measure = ({ rounds }) =>
  withStage(async (stage) => {
    const { decider, user, key } = await knownUsers(stage, USERS)

    const clients = { 'ioredis 6': ioredis, 'node-redis 6': nodeRedis, 'GLIDE 2': glide }
    const contenders = {}
    for (const [name, open] of Object.entries(clients)) {
      contenders[`${name} + JSON`] = withJson(await open(stage))
      contenders[`Switchback on ${name}`] = await switched(stage, decider, name, open)
    }
    contenders['bentocache 1, Redis'] = byKey(openBentocache(stage, 'L2'))
    contenders['cache-manager 7 on Keyv 5, Redis'] = byKey(openCacheManager(stage))
    if (NODE >= 22) contenders['Keyv 6, Redis'] = byKey(await openKeyv6(stage))
    contenders['cacheable 2, memory + Redis'] = byKey(openCacheable(stage))

    const gets = []
    for (const [name, { get, set }] of Object.entries(contenders)) {
      for (let i = 0; i < USERS; i += 1) await set(key(i), VALUE, user(i))
      const value = await get(key(1), user(1))
      if (value?.text !== VALUE.text) throw new Error(`${name}: not a hit`)
      gets.push({ name, run: (i) => get(key(i), user(i)) })
    }
    const many = await compare(gets, { rounds, count: 20_000, inFlight: 64 })
    const alone = await compare(gets, { rounds, count: 2000, inFlight: 1 })
    const on = `Node ${process.versions.node}`
    return {
      tables: [
        costTable(`${on}: hit on Redis, newest majors, 64 in flight`, many, 'ioredis 6 + JSON'),
        costTable(`${on}: the same, one at a time`, alone, 'ioredis 6 + JSON'),
      ],
      aims: [],
    }
  })

/** Clients as they come: what they would do in an outage is not what is measured. */
async function ioredis({ redisUrl, atEnd }) {
  const client = new Redis(redisUrl)
  atEnd(() => client.disconnect())
  await client.ping()
  return {
    client,
    get: (key) => client.get(key),
    set: (key, text) => client.set(key, text, 'PX', TTL),
  }
}

async function nodeRedis({ redisUrl, atEnd }) {
  const client = await createClient({ url: redisUrl }).connect()
  atEnd(() => client.destroy())
  return {
    client,
    get: (key) => client.get(key),
    set: (key, text) => client.set(key, text, { PX: TTL }),
  }
}

async function glide({ redisUrl, atEnd }) {
  const { hostname, port } = new URL(redisUrl)
  const client = await GlideClient.createClient({
    addresses: [{ host: hostname, port: Number(port) }],
    requestTimeout: 1000,
  })
  atEnd(() => client.close())
  return {
    client,
    get: (key) => client.get(key),
    set: (key, text) =>
      client.set(key, text, { expiry: { type: TimeUnit.Milliseconds, count: TTL } }),
  }
}

async function switched(stage, decider, name, open) {
  const { client } = await open(stage)
  const side = redisCache({ client, prefix: `${name.replace(' ', '-')}:` })
  const parts = { flag: FLAG, decider, off: memoryCache(), on: side, name: name.replace(' ', '-') }
  // Costs are compared, not outages: on a busy machine a bare client waits as long.
  const cache = createCacheSwitch({ ...parts, deadlineMs: 10_000, onEvent: () => {} })
  stage.atEnd(() => cache.close())
  return {
    get: (key, user) => cache.for(user).get(key),
    set: (key, value, user) => cache.for(user).set(key, value),
  }
}

async function openKeyv6({ redisUrl, atEnd }) {
  const { Keyv } = await import('keyv-6')
  const keyv = new Keyv({ store: new KeyvRedis(redisUrl), namespace: 'keyv-6', ttl: TTL })
  atEnd(() => keyv.disconnect())
  return keyv
}

/** A hit is one of its memory: it has no way without. */
function openCacheable({ redisUrl, atEnd }) {
  const cache = new Cacheable({ secondary: new KeyvRedis(redisUrl), ttl: TTL })
  atEnd(() => cache.disconnect())
  return cache
}

function byKey(cache) {
  return { get: (key) => cache.get(key), set: (key, value) => cache.set(key, value) }
}
