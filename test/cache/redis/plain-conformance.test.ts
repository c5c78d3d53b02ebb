import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { type CacheBackend, redisCache } from '../../../src/cache/index.ts'
import { backendConformance } from '../../../src/cache/testing/index.ts'
import { startRedis, type TestRedis } from '../../support/redis-server.ts'
import { withWarnings } from '../../support/with-warnings.ts'

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

const outOfReach = (): CacheBackend =>
  withWarnings(redisCache({ url: 'redis://127.0.0.1:1', values: 'plain' }))

describe('conformance of redisCache with plain values', () => {
  const cases = backendConformance(
    ({ namespace, tombstoneTtl }) =>
      redisCache({ url: redis.url, values: 'plain', prefix: `${namespace}:`, tombstoneTtl }),
    { outOfReach, payloads: 'json' },
  )
  for (const { name, run } of cases) test.concurrent(name, run)
})

describe('conformance of redisCache with plain values, over a client of the application', () => {
  const onWarning = (): void => undefined
  const cases = backendConformance(
    ({ namespace: prefix, tombstoneTtl }) =>
      withWarnings(redisCache({ client, values: 'plain', prefix, tombstoneTtl }), onWarning),
    { outOfReach, payloads: 'json' },
  )
  for (const { name, run } of cases) test.concurrent(name, run)
})
