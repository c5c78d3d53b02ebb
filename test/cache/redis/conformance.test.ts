import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type CacheBackend, redisCache } from '../../../src/cache/index.ts'
import { backendConformance } from '../../../src/cache/testing/index.ts'
import { startRedis, type TestRedis } from '../../support/redis-server.ts'
import { withWarnings } from '../../support/with-warnings.ts'

const outOfReach = (): CacheBackend => withWarnings(redisCache({ url: 'redis://127.0.0.1:1' }))

let redis: TestRedis
let client: Redis

beforeAll(async () => {
  redis = await startRedis()
  client = new Redis(redis.url, { enableAutoPipelining: true, keyPrefix: 'app*:' })
})

afterAll(async () => {
  client.disconnect()
  await redis.stop()
})

describe('conformance of redisCache, made from a URL', () => {
  const cases = backendConformance(
    ({ namespace, tombstoneTtl }) =>
      redisCache({ url: redis.url, prefix: `${namespace}:`, tombstoneTtl }),
    { outOfReach },
  )
  for (const { name, run } of cases) test.concurrent(name, run)
})

describe('conformance of redisCache over a client of the application', () => {
  const onWarning = (): void => undefined
  const cases = backendConformance(
    ({ namespace, tombstoneTtl }) =>
      withWarnings(redisCache({ client, prefix: `[${namespace}]*:`, tombstoneTtl }), onWarning),
    { outOfReach },
  )
  for (const { name, run } of cases) test.concurrent(name, run)

  test('leaves the client connected, without listeners of its own', async () => {
    const before = client.eventNames().map((event) => [event, client.listenerCount(event)])
    const backend = withWarnings(redisCache({ client }), onWarning)
    await backend.read('k')
    await backend.close()
    expect(client.eventNames().map((event) => [event, client.listenerCount(event)])).toEqual(before)
    expect(await client.ping()).toBe('PONG')
  })
})
