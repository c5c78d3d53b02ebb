import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Cluster, Redis } from 'ioredis'
import { createClient } from 'redis'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import {
  type AnyRedisClient,
  type CacheBackend,
  fileCache,
  memoryCache,
  type PlainStore,
  adaptCache,
  redisCache,
  type RedisCacheOptions,
} from '../../src/cache/index.ts'
import { type CacheSwitch, createCacheSwitch } from '../../src/switch/index.ts'
import { FixedDecider } from '../support/fixed-decider.ts'
import { withWarnings } from '../support/with-warnings.ts'

const directory = mkdtempSync(join(tmpdir(), 'switchback-places-'))
const open: CacheSwitch[] = []
const backends: CacheBackend[] = []
const clients: { disconnect(): void }[] = []

afterEach(async () => {
  await Promise.all(open.splice(0).map((cache) => cache.close()))
  await Promise.all(backends.splice(0).map((backend) => backend.close()))
  for (const client of clients.splice(0)) client.disconnect()
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

// Nothing listens there: where a cache is, is known without a connection.
const HOST = 'redis://127.0.0.1:1'

function redis(options: RedisCacheOptions): CacheBackend {
  const backend = withWarnings(redisCache(options))
  backends.push(backend)
  return backend
}

function switchOf(name: string | undefined, on: CacheBackend, off = files()): CacheSwitch {
  const cache = createCacheSwitch({
    flag: 'use-redis',
    ...(name !== undefined && { name }),
    off,
    on,
    decider: new FixedDecider({}),
    onEvent: () => undefined,
  })
  open.push(cache)
  return cache
}

const files = (under = 'm1'): CacheBackend => fileCache({ directory: join(directory, under) })

function ioredis(options: object = {}): Redis {
  const client = new Redis({ host: '127.0.0.1', port: 1, lazyConnect: true, ...options })
  clients.push(client)
  return client
}

/** Whether the second is refused beside the first. */
function outcome(first: CacheBackend, second: CacheBackend): string {
  switchOf('profiles', first)
  try {
    switchOf('permissions', second)
    return 'taken'
  } catch (error) {
    return (error as { code: string }).code
  }
}

const REFUSED = 'SB_OPTION_INVALID'

describe('two caches of different names on the same cells of a Redis', () => {
  it('are refused with the name of the other one, and what to do', () => {
    switchOf('profiles', redis({ url: HOST }))
    expect(() => switchOf('permissions', redis({ url: HOST }))).toThrow(
      expect.objectContaining({
        code: REFUSED,
        message:
          'createCacheSwitch: the cache "permissions" and the open cache "profiles" share one store (redis, the same database and prefix): each would serve what the other one stored',
        hint: 'give each a prefix of its own, e.g. redisCache({ url, prefix: "permissions:" }), or both the same name if they are one cache',
      }),
    )
  })

  it.each<[string, RedisCacheOptions, RedisCacheOptions]>([
    ['database 0 written out', { url: HOST }, { url: `${HOST}/0` }],
    ['?db', { url: `${HOST}/2` }, { url: `${HOST}?db=2` }],
    ['another user', { url: 'redis://a:b@127.0.0.1:1' }, { url: HOST }],
    ['capitals', { url: 'redis://Redis.invalid:1' }, { url: 'redis://redis.invalid:1' }],
    ['the default port', { url: 'redis://redis.invalid' }, { url: 'redis://redis.invalid:6379' }],
    ['the default prefix', { url: HOST }, { url: HOST, prefix: 'switchback:cache:' }],
    ['other settings', { url: HOST, name: 'A', tombstoneTtl: 1000 }, { url: HOST, name: 'B' }],
  ])('%s', (_, first, second) => {
    expect(outcome(redis(first), redis(second))).toBe(REFUSED)
  })

  it.each<[string, RedisCacheOptions, RedisCacheOptions]>([
    ['another prefix', { url: HOST, prefix: 'a:' }, { url: HOST, prefix: 'b:' }],
    ['another database', { url: `${HOST}/1` }, { url: `${HOST}/2` }],
    ['another port', { url: 'redis://127.0.0.1:1' }, { url: 'redis://127.0.0.1:2' }],
    // Each key is the application's own.
    ['plain values', { url: HOST, values: 'plain' }, { url: HOST, values: 'plain' }],
  ])('not with %s', (_, first, second) => {
    expect(outcome(redis(first), redis(second))).toBe('taken')
  })

  it('also where their files are in different directories, and on whichever side Redis is', () => {
    switchOf('profiles', redis({ url: HOST }), files('a'))
    expect(() => switchOf('permissions', redis({ url: HOST }), files('b'))).toThrow(
      /share one store/,
    )
    expect(() => switchOf('permissions', files('b'), redis({ url: HOST }))).toThrow(
      /share one store/,
    )
    expect(() =>
      switchOf('permissions', redis({ url: `${HOST}/5` }), redis({ url: HOST })),
    ).toThrow(/share one store/)
    expect(() => switchOf(undefined, redis({ url: HOST }))).toThrow(
      /the cache "cache" and the open/,
    )
  })

  it('one client in both', () => {
    const client = ioredis()
    expect(outcome(redis({ client }), redis({ client }))).toBe(REFUSED)
  })

  it('one redisCache in both', () => {
    const backend = redis({ url: HOST })
    expect(outcome(backend, backend)).toBe(REFUSED)
  })

  it('two clients, or a client and a URL, of one address', () => {
    switchOf('profiles', redis({ client: ioredis() }))
    expect(() => switchOf('permissions', redis({ client: ioredis() }))).toThrow(/share one store/)
    expect(() => switchOf('permissions', redis({ url: HOST }))).toThrow(/share one store/)
    switchOf('permissions', redis({ client: ioredis({ db: 3 }) }))
  })

  it('the prefix of the client counts as a part of the prefix', () => {
    switchOf('profiles', redis({ client: ioredis({ keyPrefix: 'app:' }), prefix: 'p:' }))
    expect(() => switchOf('permissions', redis({ url: HOST, prefix: 'app:p:' }))).toThrow(
      /share one store/,
    )
    switchOf('permissions', redis({ url: HOST, prefix: 'p:' }))
  })

  it('one client that has gone to another database since', async () => {
    const client = ioredis()
    // What ioredis notes when the application has called `select`.
    Object.assign(client, { condition: { select: 4 } })
    switchOf('profiles', redis({ client }))
    switchOf('permissions', redis({ url: HOST }))
    expect(() => switchOf('rights', redis({ url: `${HOST}/4` }))).toThrow(/share one store/)
  })

  it('two clients of one socket', () => {
    const path = '/nowhere/redis.sock'
    switchOf('profiles', redis({ client: ioredis({ path }) }))
    expect(() => switchOf('permissions', redis({ client: ioredis({ path }) }))).toThrow(
      /share one store/,
    )
    switchOf('permissions', redis({ client: ioredis({ path: `${path}2` }) }))
    switchOf('rights', redis({ url: HOST }))
  })

  it('clients whose address is not in their options are told apart as objects', () => {
    const make: (() => AnyRedisClient & { disconnect(): void })[] = [
      () => ioredis({ sentinels: [{ host: '127.0.0.1', port: 1 }], name: 'm' }),
      () => {
        const cluster = new Cluster([{ host: '127.0.0.1', port: 1 }], { lazyConnect: true })
        clients.push(cluster)
        return cluster
      },
    ]
    for (const [i, client] of make.entries()) {
      const [first, second] = [client(), client()]
      switchOf(`profiles ${i}`, redis({ client: first }))
      switchOf(`permissions ${i}`, redis({ client: second }))
      expect(() => switchOf(`rights ${i}`, redis({ client: first }))).toThrow(/share one store/)
    }
  })

  it('one client of node-redis, however it is derived', () => {
    const client = createClient({ url: HOST })
    switchOf('profiles', redis({ client }))
    expect(() => switchOf('permissions', redis({ client }))).toThrow(/share one store/)
    const derived = client.withTypeMapping({}) as unknown as typeof client
    expect(() => switchOf('permissions', redis({ client: derived }))).toThrow(/share one store/)
    switchOf('permissions', redis({ client, prefix: 'b:' }))
  })
})

describe('what is one cache, or has ended, is not refused', () => {
  it('the same name, and parts of one cache', () => {
    const first = switchOf('profiles', redis({ url: HOST }))
    switchOf('profiles', redis({ url: HOST }), files('b'))
    first.namespace('permissions')
  })

  it('another name once the first one is closed, or is being closed', async () => {
    const first = switchOf('profiles', redis({ url: HOST }))
    await first.close()
    const second = switchOf('permissions', redis({ url: HOST }))
    const closing = second.close()
    switchOf('rights', redis({ url: HOST }))
    await closing
  })

  it('one of several of that name stays', async () => {
    const [first] = [switchOf('a', redis({ url: HOST })), switchOf('a', redis({ url: HOST }))]
    await first.close()
    await first.close()
    expect(() => switchOf('b', redis({ url: HOST }))).toThrow(/share one store/)
  })

  it('after a cache that was refused', () => {
    const { on, ...rest } = { on: redis({ url: HOST }), flag: 'f', decider: new FixedDecider({}) }
    const twice = fileCache({ directory })
    switchOf('other', redis({ url: HOST, prefix: 'other:' }), twice)
    // The fileCache is in use, which is found late.
    expect(() => createCacheSwitch({ ...rest, name: 'profiles', off: twice, on })).toThrow(
      /One fileCache/,
    )
    switchOf('permissions', redis({ url: HOST }))
  })

  it('stores that do not say where they are', () => {
    const store: PlainStore = new Map()
    switchOf('a', adaptCache(store), memoryCache())
    switchOf('b', adaptCache(store), memoryCache())
  })
})
