// @needs redis
import { once } from 'node:events'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ANY, type CacheBackend, NEVER, redisCache } from '../../../src/cache/index.ts'
import { startRedis, type TestRedis } from '../../support/redis-server.ts'
import { withWarnings } from '../../support/with-warnings.ts'

let redis: TestRedis
let client: Redis
let backend: CacheBackend

beforeAll(async () => {
  redis = await startRedis()
  client = new Redis(redis.url)
  backend = withWarnings(redisCache({ client, prefix: 'turn:' }))
})

afterAll(async () => {
  await backend.close()
  client.disconnect()
  await redis.stop()
})

async function callsOf(command: string): Promise<number> {
  const stats = await client.info('commandstats')
  return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(stats)?.[1] ?? 0)
}

test('the reads of one turn are one command, up to a bound, and each gets its own cell', async () => {
  const keys = Array.from({ length: 250 }, (_, i) => `k${i}`)
  for (const [i, key] of keys.entries()) {
    if (i % 5 === 1) await client.rpush(`turn:${key}`, 'a list')
    else if (i % 5 === 2) await client.set(`turn:${key}`, `garbage ${i}`)
    else if (i % 5 === 3) await backend.invalidate(key, { within: 10_000 })
    else if (i % 5 === 4) {
      const entry = { payload: `value ${i}`, expiresAt: NEVER }
      await backend.write(key, entry, { expect: ANY, within: 10_000 })
    }
  }
  await client.config('RESETSTAT')
  const cells = await Promise.all(keys.map((key) => backend.read(key)))
  expect(await callsOf('mget')).toBe(3)
  expect(cells.map(({ state, payload }) => `${state} ${payload}`)).toEqual(
    keys.map((_, i) => {
      if (i % 5 === 3) return 'tombstone '
      return i % 5 === 4 ? `value value ${i}` : 'absent '
    }),
  )
})

test('the same key twice in one turn, and again in the next', async () => {
  const [one, two] = await Promise.all([backend.read('k4'), backend.read('k4')])
  expect([one, two]).toMatchObject([{ payload: 'value 4' }, { payload: 'value 4' }])
  const entry = { payload: 'newer', expiresAt: NEVER }
  await backend.write('k4', entry, { expect: ANY, within: 10_000 })
  expect(await backend.read('k4')).toMatchObject({ payload: 'newer' })
})

test('a failure is the failure of each read of the turn, and of no later one', async () => {
  const other = new Redis(redis.url, {
    maxRetriesPerRequest: 0,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
  })
  const cache = withWarnings(redisCache({ client: other, prefix: 'turn:' }))
  await cache.ping()
  const reads = ['k1', 'k4', 'k0'].map((key) => Promise.resolve(cache.read(key)))
  const ended = once(other, 'end')
  other.disconnect()
  const settled = await Promise.allSettled(reads)
  expect(settled.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
  expect(settled.map((one) => (one as PromiseRejectedResult).reason.code)).toEqual(
    Array.from({ length: 3 }, () => 'SB_REDIS_UNREACHABLE'),
  )
  await ended
  await other.connect()
  expect(await cache.read('k4')).toMatchObject({ payload: 'newer' })
  await cache.close()
  other.disconnect()
})

test('large values are asked for with few at once, small ones with many again', async () => {
  const large = Array.from({ length: 8 }, (_, i) => `large ${i}`)
  const entry = { payload: 'x'.repeat(100_000), expiresAt: NEVER }
  for (const key of large) await backend.write(key, entry, { expect: ANY, within: 10_000 })
  const commandsFor = async (keys: readonly string[]): Promise<number> => {
    await client.config('RESETSTAT')
    await Promise.all(keys.map((key) => backend.read(key)))
    return callsOf('mget')
  }
  await backend.read('large 0')
  expect(await commandsFor(large)).toBe(8)
  await backend.read('k0')
  expect(await commandsFor(['k0', 'k1', 'k2', 'k3'])).toBe(1)
})
