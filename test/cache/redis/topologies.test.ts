import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { Cluster, Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import {
  ANY,
  type CacheBackend,
  type Cell,
  NEVER,
  redisCache,
  type Heard,
} from '../../../src/cache/index.ts'
import { keySlot } from '../../../src/cache/redis/servers/key-slot.ts'
import { backendConformance } from '../../../src/cache/testing/index.ts'
import { adoptsWarm } from '../../support/adopts-warm.ts'
import { startRedisCluster, type TestCluster } from '../../support/redis-cluster.ts'
import { startRedisSentinel, type TestSentinel } from '../../support/redis-sentinel.ts'
import { withWarnings } from '../../support/with-warnings.ts'

// A failover ends by itself; on a busy machine it takes its time.
vi.setConfig({ testTimeout: 90_000 })

const WITHIN = 5000
const onWarning = (): void => undefined

async function put(backend: CacheBackend, key: string, payload: string): Promise<string> {
  const options = { expect: ANY, within: WITHIN }
  const { written, token } = await backend.write(key, { payload, expiresAt: NEVER }, options)
  expect(written).toBe(true)
  return token
}

describe('Redis Cluster', () => {
  let cluster: TestCluster
  let client: Cluster
  /** Not one that gives a busy machine up. */
  let patient: Cluster

  beforeAll(async () => {
    cluster = await startRedisCluster({ masters: 3, replicas: 1 })
    patient = new Cluster([...cluster.nodes], {
      slotsRefreshTimeout: 20_000,
      redisOptions: { connectTimeout: 20_000 },
    })
    patient.on('error', () => undefined)
    await once(patient, 'ready')
    client = new Cluster([...cluster.nodes], {
      enableOfflineQueue: false,
      lazyConnect: true,
      clusterRetryStrategy: () => 100,
      slotsRefreshTimeout: 500,
      redisOptions: { socketTimeout: 500, connectTimeout: 500, maxRetriesPerRequest: 0 },
    })
    client.on('error', () => undefined)
    await client.connect()
  })

  afterAll(async () => {
    client.disconnect()
    patient.disconnect()
    await cluster.stop()
  })

  describe('conformance', () => {
    const cases = backendConformance(
      ({ namespace, tombstoneTtl }) =>
        withWarnings(redisCache({ client, prefix: `${namespace}:`, tombstoneTtl }), onWarning),
      {
        largestPayload: 10_000,
        outOfReach: () => withWarnings(redisCache({ url: 'redis://127.0.0.1:1' })),
      },
    )
    for (const { name, run } of cases) test.concurrent(name, run)
  })

  describe('conformance of plain values', () => {
    const cases = backendConformance(
      ({ namespace, tombstoneTtl }) =>
        withWarnings(
          redisCache({ client: patient, values: 'plain', prefix: `${namespace}:`, tombstoneTtl }),
          onWarning,
        ),
      {
        largestPayload: 10_000,
        payloads: 'json',
        outOfReach: () => withWarnings(redisCache({ url: 'redis://127.0.0.1:1' })),
      },
    )
    for (const { name, run } of cases) test.concurrent(name, run)
  })

  test('plain values are adopted warm on every master, also under braces', async () => {
    for (const prefix of ['warm:', '{warm}:', 'odd}{:']) {
      const side = withWarnings(redisCache({ client: patient, values: 'plain', prefix }), onWarning)
      await adoptsWarm({ side, prefix, old: patient })
    }
  })

  test('finds the slot of a key as Redis does', async () => {
    const keys = ['', 'k', 'foo', '{a}b', 'x{a}', '{}a', '{a', 'a}{b}', '日本{語}', '{{a}}', 'é']
    for (const key of keys) {
      expect([key, keySlot(key)]).toEqual([key, Number(await client.cluster('KEYSLOT', key))])
    }
  })

  test('clear finds the keys of every master', async () => {
    const backend = withWarnings(redisCache({ client, prefix: 'clear:' }), onWarning)
    const keys = Array.from({ length: 300 }, (_, i) => `key ${i}`)
    await Promise.all(keys.map((key) => put(backend, key, 'v')))
    const masters = new Set(keys.map((key) => client.slots[keySlot(`clear:${key}`)]?.[0]))
    expect(masters.size).toBe(3)
    await backend.clear()
    for (const key of keys) expect((await backend.read(key)).state).toBe('tombstone')
    await backend.close()
  })

  test('slots that name a node which the client does not have are asked for again', async () => {
    const backend = withWarnings(redisCache({ client, prefix: 'unknown:' }), onWarning)
    await put(backend, 'k', 'v')
    // As a MOVED leaves them behind a `natMap`, where no refresh came through after it.
    client.slots[keySlot('unknown:k')]![0] = '192.0.2.1:6379'
    // Nobody reads: what is pending is only written.
    await vi.waitFor(() => put(backend, 'k', 'v2'), { timeout: 20_000 })
    expect(client.slots.flat()).not.toContain('192.0.2.1:6379')
    await backend.close()
  })

  test('a replica that takes over may lack acknowledged deletes, and that is told before it is read', async () => {
    const backend = withWarnings(redisCache({ client, prefix: 'failover:' }), onWarning)
    const heard: Heard[] = []
    backend.onEra?.((one) => void heard.push(one))
    await put(backend, 'k', 'v')
    await put(backend, 'other', 'v')
    const before = heard.length
    const address = client.slots[keySlot('failover:k')]?.[0] ?? ''
    const master = cluster.masters.find(({ port }) => address.endsWith(`:${port}`))!
    await master.kill()
    // What the replica holds was written in the era of its master.
    expect(await readAgain(backend, 'k')).toMatchObject({ state: 'absent', payload: '' })
    expect(heard.slice(before)).toContainEqual(expect.objectContaining({ begun: true }))
    await put(backend, 'k', 'v2')
    await backend.close()
  })

  test('plain values are adopted warm, and a replica that takes over brings nothing old', async () => {
    const prefix = '{plain}:'
    const side = redisCache({ client, values: 'plain', prefix })
    const address = client.slots[keySlot('plain')]?.[0] ?? ''
    const master = cluster.masters.find(({ port }) => address.endsWith(`:${port}`))!
    await adoptsWarm({ side, prefix, old: client, trouble: () => master.kill() })
  })
})

describe('Redis Sentinel', () => {
  let sentinel: TestSentinel
  let client: Redis

  beforeAll(async () => {
    sentinel = await startRedisSentinel()
    client = new Redis({
      sentinels: [...sentinel.sentinels],
      name: sentinel.name,
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      socketTimeout: 1000,
      connectTimeout: 500,
      lazyConnect: true,
      retryStrategy: () => 100,
      sentinelRetryStrategy: () => 100,
    })
    client.on('error', () => undefined)
    await client.connect()
  })

  afterAll(async () => {
    client.disconnect()
    await sentinel.stop()
  })

  describe('conformance', () => {
    const cases = backendConformance(
      ({ namespace, tombstoneTtl }) =>
        withWarnings(redisCache({ client, prefix: `${namespace}:`, tombstoneTtl }), onWarning),
      {
        largestPayload: 10_000,
        outOfReach: () => withWarnings(redisCache({ url: 'redis://127.0.0.1:1' })),
      },
    )
    for (const { name, run } of cases) test.concurrent(name, run)
  })

  test('fails over to the replica, and says so before anything is read from it, of plain values too', async () => {
    const backend = withWarnings(redisCache({ client, prefix: 'failover:' }), onWarning)
    const heard: Heard[] = []
    backend.onEra?.((one) => void heard.push(one))
    await put(backend, 'k', 'v')
    await expect
      .poll(() => sentinel.replica.command('EXISTS', 'failover:k'), { timeout: 60_000 })
      .toBe('1')
    const side = redisCache({ client, values: 'plain', prefix: 'plain:' })
    const trouble = (): Promise<void> => sentinel.master.kill()
    await adoptsWarm({ side, prefix: 'plain:', old: client, trouble })
    expect(await readAgain(backend, 'k')).toMatchObject({ state: 'absent', payload: '' })
    expect(heard).toContainEqual(expect.objectContaining({ begun: true, changed: true }))
    await put(backend, 'k', 'v2')
    await backend.close()
  })
})

/** Reads until the store serves again. */
async function readAgain(backend: CacheBackend, key: string): Promise<Cell> {
  const deadline = Date.now() + 60_000
  for (;;) {
    try {
      return await backend.read(key)
    } catch (error) {
      if (Date.now() > deadline) throw error
      await delay(50)
    }
  }
}
