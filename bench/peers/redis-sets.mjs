/**
 * What the promise costs beside the bare clients: hits through node-redis 6 and ioredis, a set beside one
 * bare write of each side, and a miss that loads, beside GET, loader and SET.
 */
import { once } from 'node:events'
import { join } from 'node:path'
import { createClient } from 'redis'
import { Redis } from 'ioredis'
import { ANY, fileCache } from '../../build/cache/index.js'
import { createCacheSwitch, redisCache } from '../../dist/index.mjs'
import { compare, throughputShare } from '../measure.mjs'
import { openIoredis, withJson } from './redis-peers.mjs'
import { aim, costTable, named, percent, timesAim } from './report.mjs'
import { FLAG, knownUsers, TTL, VALUE, withStage } from './stage.mjs'

const USERS = 1000
const BARE = { ioredis: 'ioredis + JSON', 'node-redis 6': 'node-redis 6 + JSON' }
const CLIENTS = Object.keys(BARE)
const on = (client) => `Switchback on ${client}`
const FILE = 'one write to files'
const load = () => Promise.resolve(VALUE)

export const measure = ({ rounds }) =>
  withStage(async (stage) => {
    const { decider, user, key } = await knownUsers(stage, USERS)

    const nodeRedis = async () => {
      const client = await createClient({ url: stage.redisUrl }).connect()
      stage.atEnd(() => client.destroy())
      return client
    }
    const ioredis = () => {
      const client = new Redis(stage.redisUrl)
      stage.atEnd(() => client.disconnect())
      return client
    }
    const own = { ioredis: ioredis(), 'node-redis 6': await nodeRedis() }
    if (own.ioredis.status !== 'ready') await once(own.ioredis, 'ready')
    const second = await nodeRedis()
    const bare = {
      ioredis: openIoredis(stage),
      'node-redis 6': withJson({
        get: (name) => second.get(name),
        set: (name, text) => second.set(name, text, { PX: TTL }),
      }),
    }
    const caches = Object.fromEntries(
      CLIENTS.map((client) => {
        const name = client.replace(' ', '-')
        const off = fileCache({ directory: join(stage.directory, name) })
        const side = redisCache({ client: own[client], prefix: `${name}:` })
        // Costs are compared, not outages: on a busy machine a bare client waits as long.
        const cache = createCacheSwitch({
          flag: FLAG,
          decider,
          off,
          on: side,
          name,
          deadlineMs: 10_000,
          // Clients as they come, as the bare ones are: that they would prolong an outage is known.
          onEvent: () => {},
        })
        stage.atEnd(() => cache.close())
        return [client, cache]
      }),
    )
    const files = fileCache({ directory: join(stage.directory, 'bare') })
    stage.atEnd(() => files.close())
    const write = (i) =>
      files.write(
        key(i),
        { payload: JSON.stringify(VALUE), expiresAt: Date.now() + TTL },
        { expect: ANY, within: 1000 },
      )
    for (let i = 0; i < USERS; i += 1) {
      for (const client of CLIENTS) {
        await bare[client].set(key(i), VALUE)
        await caches[client].for(user(i)).set(key(i), VALUE)
      }
    }

    const each = (ours, theirs) =>
      CLIENTS.flatMap((client) => [
        { name: BARE[client], run: (i) => theirs(bare[client], i) },
        { name: on(client), run: (i) => ours(caches[client].for(user(i)), i) },
      ])
    const gets = each(
      (cache, i) => cache.get(key(i)),
      (client, i) => client.get(key(i)),
    )
    const sets = [
      ...each(
        (cache, i) => cache.set(key(i), VALUE),
        (client, i) => client.set(key(i), VALUE),
      ),
      { name: FILE, run: write },
    ]
    let missed = 0
    const misses = each(
      (cache) => cache.getOrSet(`new:${(missed += 1)}`, load, { ttl: TTL }),
      async (client) => {
        const name = `new:${(missed += 1)}`
        const known = await client.get(name)
        if (known !== undefined) return known
        const value = await load()
        await client.set(name, value)
        return value
      },
    )
    const run = (contenders, count, inFlight) => compare(contenders, { rounds, count, inFlight })
    const many = await run(gets, 6000, 64)
    const alone = await run(gets, 600, 1)
    const setMany = await run(sets, 1500, 64)
    const setAlone = await run(sets, 300, 1)
    const missMany = await run(misses, 1500, 64)

    const beside = (measure, most, results, client, ...more) =>
      timesAim(
        `${measure}, ${client}`,
        most,
        named(results, on(client)),
        named(results, BARE[client]),
        ...more.map((name) => named(results, name)),
      )
    const slowest = (client) => {
      const one = named(setAlone, on(client))
      const two = [BARE[client], FILE].map((name) => named(setAlone, name))
      const slower = two.sort((a, b) => b.wallUs - a.wallUs)[0]
      const times = 1 / throughputShare(one, slower)
      return aim(
        `set, 1 in flight, wall time, ${client}`,
        `<= 1.3 x (${slower.name})`,
        `${times.toFixed(2)} x`,
        times <= 1.3,
      )
    }
    const kept = (client) => {
      const share = throughputShare(named(alone, on(client)), named(alone, BARE[client]))
      return aim(
        `hit on Redis, 1 in flight, throughput, ${client}`,
        `>= 97 % of ${BARE[client]}`,
        percent(share),
        share >= 0.97,
      )
    }
    return {
      tables: [
        costTable('Hit on Redis (`get`, 1 KiB of JSON), 64 in flight', many, BARE.ioredis),
        costTable('The same, one at a time', alone, BARE.ioredis),
        costTable('`set`, 64 in flight', setMany, BARE.ioredis),
        costTable('`set`, one at a time', setAlone, BARE.ioredis),
        costTable('`getOrSet` that misses, 64 in flight', missMany, BARE.ioredis),
      ],
      aims: CLIENTS.flatMap((client) => [
        beside('hit on Redis, 64 in flight, CPU', 1, many, client),
        beside('hit on Redis, 1 in flight, CPU', 1.05, alone, client),
        kept(client),
        beside('set, 64 in flight, CPU', 1.5, setMany, client, FILE),
        slowest(client),
        beside('getOrSet that misses, CPU, GET + loader + SET', 1.3, missMany, client),
      ]),
    }
  })
