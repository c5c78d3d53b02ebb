// @needs redis
import { setTimeout as delay } from 'node:timers/promises'
import { Cluster } from 'ioredis'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { redisCache } from '../../src/cache/index.ts'
import { clusterMasters, moveSlot } from '../chaos/cluster-slots.ts'
import { licensed, makePairActor, type PairActor, storeSix } from '../support/pair.ts'
import { startRedisCluster, type TestCluster } from '../support/redis-cluster.ts'
import { startRedis, type TestRedis } from '../support/redis-server.ts'
import { until } from '../support/until.ts'

vi.setConfig({ testTimeout: 90_000, hookTimeout: 60_000 })

const STATE = 'switchback:cache:#state'

/** The old side. */
let a: TestRedis
/** The new side. */
let b: TestCluster
const clients: Cluster[] = []
const actors: PairActor[] = []
/** Goes through all of it. */
let reader: PairActor

beforeAll(async () => {
  a = await startRedis()
  b = await startRedisCluster({ masters: 3, replicas: 1 })
  reader = await actor()
})

afterEach(async () => {
  vi.restoreAllMocks()
  a.thaw()
  for (const server of [...b.masters, ...b.replicas]) server.thaw()
  await Promise.all(actors.splice(1).map(({ cache }) => cache.close()))
})

afterAll(async () => {
  await Promise.all(actors.splice(0).map(({ cache }) => cache.close()))
  for (const client of clients.splice(0)) client.disconnect()
  await a.stop()
  await b.stop()
})

function connect(): Cluster {
  const client = new Cluster([...b.nodes], {
    enableOfflineQueue: false,
    clusterRetryStrategy: () => 100,
    slotsRefreshTimeout: 500,
    redisOptions: { maxRetriesPerRequest: 0, connectTimeout: 500 },
  })
  client.on('error', () => undefined)
  clients.push(client)
  return client
}

async function actor(): Promise<PairActor> {
  const made = makePairActor(
    redisCache({ url: a.url, name: 'A' }),
    redisCache({ client: connect(), name: 'B' }),
  )
  actors.push(made)
  await licensed([made])
  return made
}

/** On all masters, one of them beside the state of the pair. */
async function storeV1(side: 'on' | 'off' = 'on'): Promise<readonly string[]> {
  await licensed([reader])
  return storeSix(reader, side)
}

async function neverV1(
  keys: readonly string[],
  times = 12,
  side: 'on' | 'off' = 'on',
): Promise<void> {
  const user = side === 'on' ? reader.onUser : reader.offUser
  for (let i = 0; i < times; i += 1) {
    for (const key of keys) expect(await user.get(key)).not.toBe('v1')
    await delay(i * 5)
  }
}

/** The master that has the name's slot. */
async function masterOf(name: string): Promise<TestRedis> {
  const servers = [...b.masters, ...b.replicas]
  const asked = servers.find(({ alive }) => alive)!
  const slot = Number(await asked.command('CLUSTER', 'KEYSLOT', name))
  const nodes = await clusterMasters(servers)
  const owner = nodes.find(({ slots }) => slots.some(([from, to]) => from <= slot && slot <= to))
  return owner!.server
}

describe('a Redis and a Cluster', () => {
  test('nothing is promised less, and a hit asks nobody', async () => {
    const keys = await storeV1()
    const asked = [reader.off, reader.on].flatMap(({ board }) => [
      vi.spyOn(board, 'ask'),
      vi.spyOn(board, 'read'),
    ])
    for (const key of keys) {
      await licensed([reader])
      expect(await reader.onUser.get(key)).toBe('v1')
    }
    for (const one of asked) expect(one).not.toHaveBeenCalled()
    expect(reader.events.filter(({ type }) => type === 'promises-less')).toEqual([])
  })

  test('the Cluster hangs, deletes are acknowledged by a process that ends, it goes on', async () => {
    const writer = await actor()
    const keys = await storeV1()
    for (const master of b.masters) master.freeze()
    await Promise.all(keys.map((key) => writer.offUser.delete(key)))
    await writer.cache.close()
    expect(writer.events.filter(({ type }) => type === 'debts-left')).toEqual([])
    for (const master of b.masters) master.thaw()
    await neverV1(keys)
  })

  test('the old side hangs, writes are acknowledged on the Cluster, it goes on', async () => {
    const writer = await actor()
    const keys = await storeV1('off')
    a.freeze()
    await Promise.all(keys.map((key) => writer.onUser.set(key, 'v2')))
    await writer.cache.close()
    a.thaw()
    await neverV1(keys, 12, 'off')
  })

  test('clear() ends for every process at once', async () => {
    const other = await actor()
    const keys = await storeV1()
    // What it says counts, not what it deletes.
    vi.spyOn(other.on, 'clear').mockResolvedValue(undefined)
    await other.cache.clear()
    for (const key of keys) expect(await reader.onUser.get(key)).toBeUndefined()
  })

  test('who has no licence hears the era with the cell, and whether that board vouched', async () => {
    const [key = ''] = await storeV1()
    const other = await actor()
    const { board } = reader.on
    const { stamp } = await reader.off.board.tick(undefined)
    expect(await board.read(key, stamp)).toMatchObject({ payload: '"v1"' })
    expect(await board.read(key, '1800000000000.000000000000')).toBeUndefined()
    vi.spyOn(board, 'tick').mockRejectedValue(new Error('late'))
    await other.on.renew!()
    await until('the licence ends', () => !board.licensed)
    expect(await reader.onUser.get(key)).toBeUndefined()
  })

  test('a master that has just taken over says nothing of what is pending', async () => {
    await licensed([reader])
    const { board } = reader.on
    expect(await board.ask('k')).toMatchObject({ owes: false })
    vi.spyOn(board, 'tick').mockRejectedValue(new Error('late'))
    const head = await masterOf(STATE)
    await head.command('HSET', STATE, 'id', '0'.repeat(40))
    expect(await board.ask('k')).toMatchObject({ owes: true })
  })

  test('the board loses acknowledged debts: the Cluster is cold once, and never older', async () => {
    const keys = await storeV1()
    for (const master of b.masters) master.freeze()
    await Promise.all(keys.map((key) => reader.offUser.set(key, 'v2')))
    await a.command('DEL', STATE)
    for (const master of b.masters) master.thaw()
    await neverV1(keys)
  })

  test('two prefixes of one Cluster are a pair as well', async () => {
    const client = connect()
    const made = makePairActor(
      redisCache({ client, name: 'A', prefix: 'a:' }),
      redisCache({ client, name: 'B', prefix: 'b:' }),
    )
    actors.push(made)
    await licensed([made])
    await made.onUser.set('k', 'v1')
    expect(await made.onUser.get('k')).toBe('v1')
    await made.offUser.set('k', 'v2')
    expect(await made.onUser.get('k')).toBe('v2')
    expect(made.cache.health()).toMatchObject({ off: { ok: true }, on: { ok: true } })
  })

  test('the slots of the state and of cells move, with debts: never older', async () => {
    const writer = await actor()
    const off = await storeV1('off')
    const on = await storeV1()
    a.freeze()
    await Promise.all(off.map((key) => writer.onUser.set(key, 'v2')))
    const servers = [...b.masters, ...b.replicas]
    const nodes = await clusterMasters(servers)
    for (const name of [STATE, ...on.slice(0, 3).map((key) => `switchback:cache:${key}`)]) {
      const slot = Number(await b.masters[0]!.command('CLUSTER', 'KEYSLOT', name))
      const from = nodes.find(({ slots }) => slots.some(([x, y]) => x <= slot && slot <= y))!
      const to = nodes.find((node) => node !== from)!
      await moveSlot({ slot, from, to, nodes, pauseMs: 0 })
    }
    a.thaw()
    await Promise.all(on.map((key) => writer.offUser.set(key, 'v2')))
    await neverV1(off, 8, 'off')
    await neverV1(on, 8)
    await licensed([reader])
  })

  test('a master dies in an outage of the old side and its replica takes over: never older', async () => {
    const writer = await actor()
    const off = await storeV1('off')
    const on = await storeV1()
    a.freeze()
    await Promise.all(off.map((key) => writer.onUser.set(key, 'v2')))
    const head = await masterOf(STATE)
    await head.kill()
    // Whatever the replica has of it.
    a.thaw()
    await Promise.all(on.map((key) => writer.offUser.set(key, 'v2')))
    await neverV1(off, 20, 'off')
    await until('a replica has taken over', async () => (await masterOf(STATE)) !== head)
    await neverV1(on, 12)
    await neverV1(off, 12, 'off')
    await licensed([reader])
    await until('all is repaid', () => {
      const { off: old, on: young } = reader.cache.health()
      return old.owed === 0 && young.owed === 0
    })
  })
})
