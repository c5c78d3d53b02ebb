import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type CacheBackend, redisCache } from '../../../src/cache/index.ts'
import { backendConformance } from '../../../src/cache/testing/index.ts'
import { CLIENTS, clientOf, type TestClient } from '../../support/clients.ts'
import { startRedis, type TestRedis } from '../../support/redis-server.ts'
import { withWarnings } from '../../support/with-warnings.ts'

const outOfReach = (): CacheBackend => withWarnings(redisCache({ url: 'redis://127.0.0.1:1' }))

let redis: TestRedis
const ends: (() => Promise<void>)[] = []

beforeAll(async () => {
  redis = await startRedis()
})

afterAll(async () => {
  await Promise.all(ends.map((end) => end()))
  await redis.stop()
})

describe.each(CLIENTS)('over a client of %s', (kind) => {
  let given: TestClient
  beforeAll(async () => {
    given = await clientOf(kind, redis)
    ends.push(() => given.end())
  })

  const cases = backendConformance(
    ({ namespace, tombstoneTtl }) =>
      withWarnings(
        redisCache({ client: given.client, prefix: `${kind}[${namespace}]*:`, tombstoneTtl }),
      ),
    { outOfReach },
  )
  for (const { name, run } of cases) test.concurrent(name, run)
  test('x', () => expect(1).toBe(1))
})
