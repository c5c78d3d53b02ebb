// @needs redis
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Cluster, Redis } from 'ioredis'
import { afterAll, describe, expect, test } from 'vitest'
import { fileCache, redisCache, type RedisClient } from '../../src/cache/index.ts'
import { type CacheSwitch, createCacheSwitch } from '../../src/switch/index.ts'
import { FixedDecider } from '../support/fixed-decider.ts'
import { startRedisCluster } from '../support/redis-cluster.ts'
import { startRedisSentinel } from '../support/redis-sentinel.ts'
import { until } from '../support/world.ts'

const directory = mkdtempSync(join(tmpdir(), 'switchback-topologies-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const FAST = { maxRetriesPerRequest: 0, autoResendUnfulfilledCommands: false, connectTimeout: 500 }

function switchOver(name: string, client: RedisClient): CacheSwitch {
  return createCacheSwitch({
    flag: 'use-redis',
    decider: new FixedDecider({ on: 'on' }),
    off: fileCache({ directory: join(directory, name) }),
    on: redisCache({ client }),
    deadlineMs: 250,
  })
}

/**
 * Users of both sides write, delete and read through whatever happens meanwhile; each read is compared
 * with the last write that was acknowledged before it.
 */
async function useWhile(cache: CacheSwitch, happening: () => Promise<void>): Promise<number> {
  const latest = new Map<string, string | undefined>()
  const meanwhile = { over: false }
  let operations = 0
  const user = async (id: number): Promise<void> => {
    for (let i = 0; !meanwhile.over; i += 1) {
      // One writer a key, so that the last acknowledged write is known.
      const key = `key ${id} ${i % 7}`
      const writer = cache.for({ targetingKey: i % 3 === 0 ? 'off' : 'on' })
      const value = i % 4 === 3 ? undefined : `${id}.${i}`
      if (value === undefined) await writer.delete(key)
      else await writer.set(key, value)
      latest.set(key, value)
      for (const side of ['on', 'off']) {
        const seen = await cache.for({ targetingKey: side }).get(key)
        expect([undefined, latest.get(key)]).toContain(seen)
      }
      operations += 3
      // A file is read at once: without a pause, nobody else would have a turn.
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  const users = Array.from({ length: 8 }, (_, id) => user(id))
  try {
    await happening()
  } finally {
    meanwhile.over = true
    await Promise.all(users)
  }
  return operations
}

describe('Redis Cluster', () => {
  test('a master freezes, then dies and its replica takes over: nothing stale, nothing failed', async () => {
    await using cluster = await startRedisCluster({ masters: 3, replicas: 1 })
    const client = new Cluster(
      cluster.nodes.map((node) => ({ ...node })),
      {
        enableOfflineQueue: false,
        clusterRetryStrategy: () => 100,
        redisOptions: { maxRetriesPerRequest: 0, connectTimeout: 500 },
      },
    )
    client.on('error', () => {})
    const cache = switchOver('cluster', client)
    try {
      await until('the cluster answers', async () => {
        await cache.for({ targetingKey: 'on' }).get('x')
        return client.status === 'ready'
      })
      const victim = cluster.masters[0]!
      const operations = await useWhile(cache, async () => {
        victim.freeze()
        await new Promise((resolve) => setTimeout(resolve, 400))
        victim.thaw()
        await new Promise((resolve) => setTimeout(resolve, 300))
        await victim.kill()
        await until('the replica has taken over', async () => {
          const info = await cluster.masters[1]!.command('CLUSTER', 'NODES')
          return (
            info.includes('fail') &&
            (await cluster.masters[1]!.command('CLUSTER', 'INFO')).includes('cluster_state:ok')
          )
        })
        await new Promise((resolve) => setTimeout(resolve, 500))
      })
      expect(operations).toBeGreaterThan(100)
      await until('all is repaid', () => cache.health().on.owed === 0)
    } finally {
      await cache.close()
      client.disconnect()
    }
  }, 60_000)
})

describe('Redis behind Sentinel', () => {
  test('the master dies and the replica is promoted: nothing stale, nothing failed', async () => {
    await using sentinel = await startRedisSentinel()
    const client = new Redis({
      sentinels: sentinel.sentinels.map((one) => ({ ...one })),
      name: sentinel.name,
      enableOfflineQueue: false,
      retryStrategy: () => 100,
      sentinelRetryStrategy: () => 100,
      ...FAST,
    })
    client.on('error', () => {})
    const cache = switchOver('sentinel', client)
    try {
      await until('Redis is reached', () => client.status === 'ready')
      const operations = await useWhile(cache, async () => {
        await sentinel.master.kill()
        await until(
          'the replica is promoted',
          // A promotion ends the connections of all clients, this question's too.
          async () =>
            (await sentinel.replica.command('INFO', 'replication').catch(() => '')).includes(
              'role:master',
            ),
          15_000,
        )
        await until('the side is back', () => cache.health().on.outSince === 0)
      })
      expect(operations).toBeGreaterThan(100)
      await until('all is repaid', () => cache.health().on.owed === 0)
    } finally {
      await cache.close()
      client.disconnect()
    }
  }, 60_000)
})
