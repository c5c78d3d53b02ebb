// @needs redis
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { redisCache } from '../../src/cache/index.ts'
import { areLicensed, licensed, makePairActor, type PairActor, storeSix } from '../support/pair.ts'
import { startRedisSentinel, type TestSentinel } from '../support/redis-sentinel.ts'
import { sendCommand, startRedis, type TestRedis } from '../support/redis-server.ts'
import { until } from '../support/until.ts'

vi.setConfig({ testTimeout: 90_000, hookTimeout: 60_000 })

const STATE = 'switchback:cache:#state'

/** The old side. */
let a: TestRedis
/** The new side. */
let b: TestSentinel
const clients: Redis[] = []
const actors: PairActor[] = []
let reader: PairActor
let writer: PairActor

beforeAll(async () => {
  a = await startRedis()
  b = await startRedisSentinel()
  reader = actor()
  writer = actor()
})

afterEach(() => {
  a.thaw()
  b.master.thaw()
  b.replica.thaw()
})

afterAll(async () => {
  await Promise.all(actors.splice(0).map(({ cache }) => cache.close()))
  for (const client of clients.splice(0)) client.disconnect()
  await a.stop()
  await b.stop()
})

function actor(): PairActor {
  const client = new Redis({
    sentinels: [...b.sentinels],
    name: b.name,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    socketTimeout: 1000,
    connectTimeout: 500,
    retryStrategy: () => 100,
    sentinelRetryStrategy: () => 100,
  })
  client.on('error', () => undefined)
  clients.push(client)
  const made = makePairActor(
    redisCache({ url: a.url, name: 'A' }),
    redisCache({ client, name: 'B' }),
  )
  actors.push(made)
  return made
}

/** Users of neither side see it, until the condition holds, and for a while after. */
async function neverV1Until(
  keys: readonly string[],
  what: string,
  condition: () => boolean | Promise<boolean>,
): Promise<void> {
  const look = async (): Promise<void> => {
    for (const key of keys) {
      for (const user of [reader.onUser, reader.offUser]) {
        expect(await user.get(key)).not.toBe('v1')
      }
    }
  }
  await until(what, async () => {
    await look()
    return condition()
  })
  for (let i = 0; i < 10; i += 1) {
    await look()
    await delay(i * 10)
  }
}

const isMaster = async (server: TestRedis): Promise<boolean> =>
  (await server.command('INFO', 'replication').catch(() => '')).includes('role:master')

/** Whether the replica has what its master has taken. */
async function settled(): Promise<void> {
  await until('the replica follows', async () => {
    const offset = async (server: TestRedis): Promise<string | undefined> =>
      /master_repl_offset:(\d+)/u.exec(await server.command('INFO', 'replication'))?.[1]
    return (await offset(b.master)) === (await offset(b.replica))
  })
}

test('the master of the board is demoted in an outage of the other side, and still answers', async () => {
  await licensed([reader, writer])
  const keys = await storeSix(reader, 'off')
  a.freeze()
  await Promise.all(keys.map((key) => writer.onUser.set(key, 'v2')))
  await settled()
  await sendCommand(b.sentinels[0]!.port, ['SENTINEL', 'FAILOVER', b.name])
  a.thaw()
  await neverV1Until(keys, 'it is demoted', async () => !(await isMaster(b.master)))
  await neverV1Until(keys, 'both vouch for each other again', () => areLicensed(reader, writer))
})

test('the master dies with what is pending, and the replica that takes over lacks it', async () => {
  await licensed([reader, writer])
  const [master, replica] = (await isMaster(b.master))
    ? [b.master, b.replica]
    : [b.replica, b.master]
  const keys = await storeSix(reader, 'off')
  a.freeze()
  await Promise.all(keys.map((key) => writer.onUser.set(key, 'v2')))
  await master.kill()
  await until('the replica has taken over', () => isMaster(replica))
  // As if it had been behind.
  const debts = keys.map((key) => `o:${JSON.stringify(key)}`)
  await replica.command('HDEL', STATE, 'n', 'owing', 'noted', ...debts)
  await replica.command('DEL', ...keys.map((key) => `switchback:cache:${key}`))
  a.thaw()
  await neverV1Until(keys, 'both vouch for each other again', () => areLicensed(reader, writer))
})
