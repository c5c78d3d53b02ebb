import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { fileCache, redisCache } from '../../src/cache/index.ts'
import { openSqlite, type Sqlite } from '../../src/cache/file/sqlite/sqlite.ts'
import { type CacheSwitch, type CacheView, createCacheSwitch } from '../../src/switch/index.ts'
import { FixedDecider } from '../support/fixed-decider.ts'
import { startRedis } from '../support/redis-server.ts'
import { withWarnings } from '../support/with-warnings.ts'

export const PREFIX = 'fuzz:'

/** A busy machine must not make a side fail: what the stores answer is to be seen. */
const PATIENCE_MS = 20_000

/** A switch over both real stores, and a way into each of them behind its back. */
export interface Stores extends AsyncDisposable {
  readonly cache: CacheSwitch
  /** By the side that serves: files or Redis. */
  readonly views: Readonly<Record<'files' | 'redis', CacheView>>
  readonly redis: Redis
  readonly sqlite: Sqlite
}

export async function openStores(): Promise<Stores> {
  const server = await startRedis()
  const directory = mkdtempSync(join(tmpdir(), 'switchback-fuzz-stores-'))
  const client = new Redis(server.url, {
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    socketTimeout: PATIENCE_MS,
    connectTimeout: 1000,
    retryStrategy: () => 50,
  })
  const cache = createCacheSwitch({
    flag: 'use-redis',
    off: withWarnings(fileCache({ directory })),
    on: redisCache({ client, prefix: PREFIX }),
    decider: new FixedDecider({ on: 'on' }),
    deadlineMs: PATIENCE_MS,
    breaker: { window: 31, failures: 31, probeIntervalMs: 20 },
    maxValueBytes: 4 * 1_048_576,
  })
  const views = {
    files: cache.for({ targetingKey: 'off' }),
    redis: cache.for({ targetingKey: 'on' }),
  }
  for (const view of Object.values(views)) await view.set('warm', 1)
  const redis = new Redis(server.url)
  // Named after the prefix of the Redis beside it.
  const database = readdirSync(directory).find((name) => name.endsWith('.db'))
  const sqlite = openSqlite(join(directory, database ?? 'cache.db'))
  return {
    cache,
    views,
    redis,
    sqlite,
    async [Symbol.asyncDispose]() {
      redis.disconnect()
      sqlite.close()
      await cache.close()
      client.disconnect()
      await server.stop()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}
