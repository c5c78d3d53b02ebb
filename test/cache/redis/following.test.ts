// @needs redis
import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { FOLLOWER_ASK, RedisFollowing } from '../../../src/cache/redis/pair/redis-following.ts'
import type { Server } from '../../../src/cache/redis/servers/server.ts'
import { deferred } from '../../support/deferred.ts'
import { startRedis, type TestRedis } from '../../support/redis-server.ts'

let redis: TestRedis
let client: Redis

beforeAll(async () => {
  redis = await startRedis()
  client = new Redis(redis.port)
})
afterAll(async () => {
  client?.disconnect()
  await redis?.[Symbol.asyncDispose]()
})

test('an era that this process has not heard of yet is no refusal: it is asked for, and followed', async () => {
  await client.hset('state', 'era', 'the new one')
  const outcome = deferred<string>()
  // As in the second between two ticks: it was trusted with what it heard last.
  const server = {
    trusted: true,
    heard: { name: 'the old one' },
    ask: async (): Promise<void> => {
      server.heard = { name: (await client.hget('state', 'era')) ?? '' }
    },
  }
  const following = new RedisFollowing({
    client,
    server: server as unknown as Server,
    watched: ['cell:'],
    toldAs: (name) => [name],
    stateName: 'state',
    namesOf: (key) => [key],
    open: () => {
      throw new Error('no cell is asked for')
    },
    script: FOLLOWER_ASK,
    listener: {
      changed: () => undefined,
      began: () => outcome.resolve('it follows'),
      refused: (reason) => outcome.resolve(`refused: ${reason}`),
    },
  })
  try {
    expect(await outcome.promise).toBe('it follows')
  } finally {
    following.close()
  }
})
