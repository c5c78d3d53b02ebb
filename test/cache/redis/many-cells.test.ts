// @needs redis
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ANY, type CacheBackend, NEVER, redisCache } from '../../../src/cache/index.ts'
import { startRedis, type TestRedis } from '../../support/redis-server.ts'
import { withWarnings } from '../../support/with-warnings.ts'

let redis: TestRedis
let client: Redis

beforeAll(async () => {
  redis = await startRedis()
  client = new Redis(redis.url)
})

afterAll(async () => {
  client.disconnect()
  await redis.stop()
})

const keysFrom = (from: number, count: number): string[] =>
  Array.from({ length: count }, (_, i) => `k${from + i}`)

describe.each([
  ['cells', {}],
  ['plain values', { values: 'plain' } as const],
])('%s', (kind, options) => {
  const open = async (): Promise<CacheBackend> => {
    const cache = withWarnings(redisCache({ client, prefix: `${kind}:`, ...options }))
    await cache.ping()
    return cache
  }

  test('several who read many in one turn are each given their own', async () => {
    const cache = await open()
    for (const key of keysFrom(0, 130)) {
      const entry = { payload: JSON.stringify(key), expiresAt: NEVER }
      await cache.write(key, entry, { expect: ANY, within: 10_000 })
    }
    const asked = [keysFrom(0, 7), keysFrom(40, 90), keysFrom(3, 30)]
    const read = await Promise.all(asked.map((keys) => cache.many!.read(keys)))
    const payloads = read.map((cells) => cells.map(({ payload }) => JSON.parse(payload) as string))
    expect(payloads).toEqual(asked)
    expect(await cache.many!.read([])).toEqual([])
    await cache.close()
  })

  test('what was seen in an earlier era is not written over what is there now', async () => {
    const cache = await open()
    const keys = keysFrom(200, 3)
    const seen = await cache.many!.read(keys)
    await cache.renew!()
    const entry = { payload: '"new"', expiresAt: NEVER }
    const writes = keys.map((key, i) => ({ key, entry, seen: seen[i]! }))
    const written = await cache.many!.write(writes, 10_000)
    expect(written).toEqual(keys.map(() => ({ written: false, token: '' })))
    const again = await cache.many!.read(keys)
    const retried = keys.map((key, i) => ({ key, entry, seen: again[i]! }))
    const done = await cache.many!.write(retried, 10_000)
    expect(done.every((each) => each?.written)).toBe(true)
    await cache.close()
  })
})
