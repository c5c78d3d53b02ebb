import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import {
  ANY,
  type CacheBackend,
  type Cell,
  type Heard,
  NEVER,
  redisCache,
} from '../../../src/cache/index.ts'
import { keySlot } from '../../../src/cache/redis/servers/key-slot.ts'
import {
  glide,
  type Ioredis,
  ioredis,
  LIKE_IOREDIS,
  type LikeIoredis,
  nodeRedis,
  safeNodeRedis,
} from '../../support/clients.ts'
import { inFull } from '../../support/full.ts'
import { startRedisCluster, type TestCluster } from '../../support/redis-cluster.ts'
import type { TestRedis } from '../../support/redis-server.ts'
import { startRedisSentinel, type TestSentinel } from '../../support/redis-sentinel.ts'
import { withWarnings } from '../../support/with-warnings.ts'

// A failover ends by itself; on a busy machine it takes its time.
vi.setConfig({ testTimeout: 90_000 })

const WITHIN = 5000

async function put(backend: CacheBackend, key: string, payload: string): Promise<void> {
  const options = { expect: ANY, within: WITHIN }
  const { written } = await backend.write(key, { payload, expiresAt: NEVER }, options)
  expect(written).toBe(true)
}

async function again<T>(work: () => T | Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work()
    } catch {
      await delay(20)
    }
  }
}

const readAgain = (backend: CacheBackend, key: string): Promise<Cell> =>
  again(() => backend.read(key))

describe('a Redis Cluster', () => {
  let cluster: TestCluster

  beforeAll(async () => {
    cluster = await startRedisCluster({ masters: 3, replicas: 1 })
  })
  afterAll(() => cluster.stop())

  function clusterClient(major: 5 | 6, options: object = {}): Promise<never> {
    return nodeRedis(major).then(async ({ createCluster }) => {
      const client = createCluster({
        rootNodes: cluster.nodes.map(({ host, port }) => ({ socket: { host, port } })),
        defaults: safeNodeRedis(1500),
        ...options,
      })
      client.on('error', () => undefined)
      await client.connect()
      return client as never
    })
  }

  const destroy = (client: unknown): void => (client as { destroy(): void }).destroy()

  async function likeIoredis(kind: LikeIoredis): Promise<Ioredis> {
    const { Cluster } = await ioredis(kind)
    const client = new Cluster([...cluster.nodes], {
      enableOfflineQueue: false,
      lazyConnect: true,
      clusterRetryStrategy: () => 100,
      slotsRefreshTimeout: 1000,
      redisOptions: { socketTimeout: 1000, connectTimeout: 1000, maxRetriesPerRequest: 0 },
    })
    client.on('error', () => undefined)
    await client.connect()
    return client
  }

  const nodeRedisSlots = (client: unknown): ((slot: number) => string) => {
    const { slots } = client as { readonly slots: { readonly master: { address: string } }[] }
    return (slot) => slots[slot]?.master.address ?? ''
  }
  const ioredisSlots =
    (client: Ioredis) =>
    (slot: number): string =>
      client.slots[slot]?.[0] ?? ''

  async function keysOfEveryMaster(
    client: object,
    prefix: string,
    masterOf: (slot: number) => string,
  ): Promise<void> {
    const backend = withWarnings(redisCache({ client: client as never, prefix }))
    const keys = Array.from({ length: 60 }, (_, i) => `key ${i}`)
    await Promise.all(keys.map((key) => put(backend, key, key)))
    const cells = await Promise.all(keys.map((key) => backend.read(key)))
    expect(cells.map(({ payload }) => payload)).toEqual(keys)
    expect(new Set(keys.map((key) => masterOf(keySlot(prefix + key)))).size).toBe(3)
    await backend.clear()
    const cleared = await Promise.all(keys.map((key) => backend.read(key)))
    expect(new Set(cleared.map(({ state }) => state))).toEqual(new Set(['tombstone']))
    await backend.ping()
    await backend.close()
  }

  test.each([5, 6] as const)('node-redis %i: keys of every master, and clear', async (major) => {
    const client = await clusterClient(major, { useReplicas: true })
    await keysOfEveryMaster(client, `clear ${major}:`, nodeRedisSlots(client))
    destroy(client)
  })

  test.each(LIKE_IOREDIS)('%s: keys of every master, and clear', async (kind) => {
    const client = await likeIoredis(kind)
    await keysOfEveryMaster(client, `clear ${kind}:`, ioredisSlots(client))
    client.disconnect()
  })

  test('node-redis 6, whose nodes are connected to when they are needed', async () => {
    const client = await clusterClient(6, { minimizeConnections: true })
    const backend = withWarnings(redisCache({ client, prefix: 'minimal:' }))
    await again(() => put(backend, 'k', 'v'))
    expect(await readAgain(backend, 'k')).toMatchObject({ payload: 'v' })
    await backend.close()
    destroy(client)
  })

  test('a node of it is refused as a single server over GLIDE', async () => {
    const { GlideClient } = await glide()
    const { port } = cluster.masters[0]!
    const client = await GlideClient.createClient({ addresses: [{ host: '127.0.0.1', port }] })
    const backend = withWarnings(redisCache({ client }))
    await expect(backend.ping()).rejects.toMatchObject({ code: 'SB_REDIS_CLUSTER' })
    await backend.close()
    client.close()
  })

  /** Of a key whose master lives yet: each client takes another one's away. */
  async function failOver(
    client: object,
    name: string,
    masterOf: (slot: number) => string,
  ): Promise<void> {
    const prefix = `failover ${name}:`
    const backend = withWarnings(redisCache({ client: client as never, prefix }))
    const serverOf = (key: string): TestRedis | undefined => {
      const address = masterOf(keySlot(prefix + key))
      return cluster.masters.find(({ alive, port }) => alive && address.endsWith(`:${port}`))
    }
    const key = Array.from({ length: 60 }, (_, i) => `k${i}`).find((one) => serverOf(one))!
    const heard: Heard[] = []
    backend.onEra?.((one) => void heard.push(one))
    await again(() => put(backend, key, 'v'))
    const before = heard.length
    await serverOf(key)!.kill()
    expect(await readAgain(backend, key)).toMatchObject({ state: 'absent', payload: '' })
    expect(heard.slice(before)).toContainEqual(expect.objectContaining({ begun: true }))
    await again(() => put(backend, key, 'v2'))
    expect(await readAgain(backend, key)).toMatchObject({ payload: 'v2' })
    await backend.close()
  }

  test('node-redis 6: a replica that takes over is asked for its era before it is read', async () => {
    const client = await clusterClient(6)
    await failOver(client, 'node-redis', nodeRedisSlots(client))
    destroy(client)
  })

  test.each(inFull<readonly LikeIoredis[]>(['iovalkey'], LIKE_IOREDIS))(
    'the same over %s',
    async (kind) => {
      const client = await likeIoredis(kind)
      await failOver(client, kind, ioredisSlots(client))
      client.disconnect()
    },
  )
})

describe('what a Sentinel watches', () => {
  let sentinel: TestSentinel

  beforeAll(async () => {
    sentinel = await startRedisSentinel()
  })
  afterAll(() => sentinel.stop())

  test('node-redis 6 fails over to the replica, which is asked before it is read', async () => {
    const { createSentinel } = await nodeRedis(6)
    const client = createSentinel({
      name: sentinel.name,
      sentinelRootNodes: [...sentinel.sentinels],
      nodeClientOptions: safeNodeRedis(1500),
      scanInterval: 500,
    })
    client.on('error', () => undefined)
    await client.connect()
    const backend = withWarnings(redisCache({ client, prefix: 'sentinel:' }))
    const heard: Heard[] = []
    backend.onEra?.((one) => void heard.push(one))
    await put(backend, 'k', 'v')
    expect(await backend.read('k')).toMatchObject({ payload: 'v' })
    await sentinel.master.kill()
    expect(await readAgain(backend, 'k')).toMatchObject({ state: 'absent' })
    expect(new Set(heard.map(({ era }) => era)).size).toBe(2)
    await again(() => put(backend, 'k', 'v2'))
    expect(await readAgain(backend, 'k')).toMatchObject({ payload: 'v2' })
    await backend.close()
    await (client as unknown as { destroy(): Promise<void> }).destroy()
  })
})
