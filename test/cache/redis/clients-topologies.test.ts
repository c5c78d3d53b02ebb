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
import { glide, nodeRedis, safeNodeRedis } from '../../support/clients.ts'
import { startRedisCluster, type TestCluster } from '../../support/redis-cluster.ts'
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

  test.each([5, 6] as const)('node-redis %i: keys of every master, and clear', async (major) => {
    const client = await clusterClient(major, { useReplicas: true })
    const backend = withWarnings(redisCache({ client, prefix: `clear ${major}:` }))
    const keys = Array.from({ length: 60 }, (_, i) => `key ${i}`)
    await Promise.all(keys.map((key) => put(backend, key, key)))
    const cells = await Promise.all(keys.map((key) => backend.read(key)))
    expect(cells.map(({ payload }) => payload)).toEqual(keys)
    const { slots } = client as { readonly slots: { readonly master: { address: string } }[] }
    const masters = keys.map((key) => slots[keySlot(`clear ${major}:${key}`)]?.master.address)
    expect(new Set(masters).size).toBe(3)
    await backend.clear()
    const cleared = await Promise.all(keys.map((key) => backend.read(key)))
    expect(new Set(cleared.map(({ state }) => state))).toEqual(new Set(['tombstone']))
    await backend.ping()
    await backend.close()
    destroy(client)
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

  test('node-redis 6: a replica that takes over is asked for its era before it is read', async () => {
    const client = await clusterClient(6)
    const backend = withWarnings(redisCache({ client, prefix: 'failover:' }))
    const heard: Heard[] = []
    backend.onEra?.((one) => void heard.push(one))
    await put(backend, 'k', 'v')
    const before = heard.length
    const { slots } = client as { readonly slots: { readonly master: { address: string } }[] }
    const address = slots[keySlot('failover:k')]?.master.address ?? ''
    const master = cluster.masters.find(({ port }) => address.endsWith(`:${port}`))!
    await master.kill()
    expect(await readAgain(backend, 'k')).toMatchObject({ state: 'absent', payload: '' })
    expect(heard.slice(before)).toContainEqual(expect.objectContaining({ begun: true }))
    await again(() => put(backend, 'k', 'v2'))
    expect(await readAgain(backend, 'k')).toMatchObject({ payload: 'v2' })
    await backend.close()
    destroy(client)
  })
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
