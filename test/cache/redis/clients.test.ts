import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ANY, type CacheBackend, NEVER, redisCache } from '../../../src/cache/index.ts'
import type { SwitchbackError } from '../../../src/errors.ts'
import { backendConformance } from '../../../src/cache/testing/index.ts'
import { adoptsWarm } from '../../support/adopts-warm.ts'
import {
  type ClientKind,
  CLIENTS,
  clientOf,
  glide,
  ioredis,
  LIKE_IOREDIS,
  type NodeRedis,
  nodeRedis,
  safeIoredis,
  safeNodeRedis,
} from '../../support/clients.ts'
import { inFull } from '../../support/full.ts'
import { startRedis, type TestRedis } from '../../support/redis-server.ts'
import { withWarnings } from '../../support/with-warnings.ts'

const WITHIN = 15_000
/** What takes longest, and asks of packages that are alike the same. */
const ONCE = /payloads: any|keys: every|clear |another sees at once|no update is lost/u
const ALIKE: ReadonlySet<ClientKind> = new Set(inFull(['node-redis 5', ...LIKE_IOREDIS], []))
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

async function clientFor(kind: ClientKind, options?: object): Promise<never> {
  const { client, end } = await clientOf(kind, { port: redis.port, options: options ?? {} })
  ends.push(end)
  return client as never
}

describe.each(CLIENTS)('conformance over a client of %s', (kind) => {
  let client: never
  beforeAll(async () => {
    client = await clientFor(kind)
  })
  const cases = backendConformance(
    ({ namespace, tombstoneTtl }) =>
      withWarnings(redisCache({ client, prefix: `${kind}[${namespace}]*:`, tombstoneTtl })),
    { outOfReach, largestPayload: 100_000 },
  )
  for (const { name, run } of cases) {
    if (ALIKE.has(kind) && ONCE.test(name)) continue
    test.concurrent(name, run)
  }
})

test.each(CLIENTS)('plain values are adopted warm over a client of %s', async (kind) => {
  const prefix = `${kind} plain:`
  const options = { client: await clientFor(kind), values: 'plain', prefix } as const
  const old = new Redis(redis.url)
  await adoptsWarm({ side: withWarnings(redisCache(options)), prefix, old })
  old.disconnect()
})

async function roundTrip(backend: CacheBackend): Promise<void> {
  const entry = { payload: 'é 1', expiresAt: NEVER }
  expect(await backend.write('k', entry, { expect: ANY, within: WITHIN })).toMatchObject({
    written: true,
  })
  expect(await backend.read('k')).toMatchObject({ state: 'value', payload: 'é 1' })
  await backend.clear()
  expect(await backend.read('k')).toMatchObject({ state: 'tombstone' })
}

describe.each([5, 6] as const)('node-redis %i', (major) => {
  const kind = `node-redis ${major}` as const

  test('replies that the application takes as Buffers are strings here', async () => {
    const client = (await clientFor(kind)) as NodeRedis
    const { RESP_TYPES } = await nodeRedis(major)
    const buffers = client.withTypeMapping({
      [RESP_TYPES['BLOB_STRING']!]: Buffer,
      [RESP_TYPES['NUMBER']!]: String,
    })
    const backend = redisCache({ client: buffers as never, prefix: `${kind} buffers:` })
    await roundTrip(withWarnings(backend))
    expect(await buffers.get(`${kind} buffers:k`)).toBeInstanceOf(Buffer)
    await backend.close()
  })

  test('of a client that is closed, the failure says how it comes back; the others come back by themselves', async () => {
    const { createClient } = await nodeRedis(major)
    const client = createClient({ url: redis.url })
    const backend = withWarnings(redisCache({ client, prefix: `${kind} closed:` }))
    const failure = async (): Promise<SwitchbackError> => {
      try {
        await backend.ping()
      } catch (error) {
        return error as SwitchbackError
      }
      return expect.unreachable()
    }
    const { code, message, hint } = await failure()
    expect(code).toBe('SB_REDIS_UNREACHABLE')
    expect(message).toMatch(/the client is closed\. `await client\.connect\(\)` before/)
    // All of it is shown in the detail of an event.
    expect(`${code}: ${message}`.length).toBeLessThanOrEqual(200)
    expect(hint).toMatch(/then close the client/)
    expect(hint).not.toMatch(/reconnects by itself/)
    await client.connect()
    await backend.ping()
    client.destroy()
    expect((await failure()).message).toBe(message)
    await backend.close()
  })

  test.each([2, 3])('RESP %i, and a database of its own', async (RESP) => {
    const client = (await clientFor(kind, { RESP, database: 3 })) as NodeRedis
    const prefix = `${kind} RESP${RESP}:`
    const backend = withWarnings(redisCache({ client: client as never, prefix }))
    await roundTrip(backend)
    expect(await client.get(`${prefix}k`)).not.toBeNull()
    expect(await redis.command('EXISTS', `${prefix}k`)).toBe('0')
    await backend.close()
  })

  test("the client's own cache is not asked", async () => {
    const clientSideCache = { ttl: 0, maxEntries: 0 }
    const client = await clientFor(kind, { RESP: 3, clientSideCache })
    const direct = withWarnings(redisCache({ url: redis.url, prefix: `${kind} csc:` }))
    const backend = withWarnings(redisCache({ client, prefix: `${kind} csc:` }))
    for (const payload of ['1', '2', '3']) {
      const entry = { payload, expiresAt: NEVER }
      await direct.write('k', entry, { expect: ANY, within: WITHIN })
      expect(await backend.read('k')).toMatchObject({ payload })
    }
    await Promise.all([direct.close(), backend.close()])
  })

  test('hears of changes on a connection of its own', async () => {
    const client = await clientFor(kind)
    const backend = withWarnings(redisCache({ client, prefix: `${kind} follow:` }))
    await backend.ping()
    const changed: string[] = []
    const began = { times: 0 }
    const following = backend.follow!({
      began: () => void (began.times += 1),
      changed: (name) => void (name.startsWith('#') || changed.push(name)),
      refused: (reason) => expect(reason).toBe(''),
    })
    await expect.poll(() => following.follows, { timeout: WITHIN }).toBe(true)
    await redis.command('SET', `${kind} follow:elsewhere`, 'x')
    await redis.command('SET', 'another prefix', 'x')
    await expect.poll(() => changed, { timeout: WITHIN }).toEqual(['elsewhere'])
    await expect.poll(() => following.provenAt, { timeout: WITHIN }).toBeGreaterThan(0)
    await redis.command('CLIENT', 'KILL', 'TYPE', 'pubsub')
    await expect.poll(() => began.times, { timeout: WITHIN }).toBe(2)
    following.close()
    await backend.close()
  })

  test('leaves the client connected, and listens for losses as long as it is used', async () => {
    const client = (await clientFor(kind)) as NodeRedis
    const seen: string[] = []
    client.on('error', () => void seen.push('error'))
    client.on('ready', () => void seen.push('ready'))
    for (let i = 0; i < 2; i++) {
      const backend = withWarnings(redisCache({ client: client as never, prefix: `${kind} end:` }))
      await backend.read('k')
      await backend.close()
    }
    expect(await client.ping()).toBe('PONG')
    await redis.command('CLIENT', 'KILL', 'TYPE', 'normal')
    await expect.poll(() => seen, { timeout: WITHIN }).toEqual(['error', 'ready'])
  })
})

test('node-redis 6 puts its own prefix before every key', async () => {
  const client = (await clientFor('node-redis 6', { keyPrefix: 'app*:' })) as NodeRedis
  const backend = withWarnings(redisCache({ client: client as never, prefix: 'prefixed:' }))
  await roundTrip(backend)
  expect(await redis.command('EXISTS', 'app*:prefixed:k', 'app*:prefixed:#state')).toBe('2')
  expect(await client.get('prefixed:k')).not.toBeNull()
  await backend.close()
})

describe('a client that cannot be used is named', () => {
  const refused = (client: unknown): unknown => {
    try {
      redisCache({ client: client as never })
    } catch (error) {
      return `${(error as SwitchbackError).code}: ${(error as Error).message}`
    }
    return 'taken'
  }

  test.each<[string, unknown, string]>([
    ['an object', {}, 'given (Object) has no method get()'],
    ['a URL, which may have a password', 'redis://:secret@x', 'given (a value of type string)'],
    ['null', null, 'given (null)'],
    ['a map', new Map(), 'given (Map) has no method mget()'],
    ['node-redis 4', { sendCommand: () => 0, isReady: true, isOpen: true }, 'given (Object)'],
  ])('%s', (_, client, message) => {
    expect(refused(client)).toContain(message)
    expect(refused(client)).not.toContain('secret')
  })

  test('a pool, and a cluster client that does not tell its nodes', async () => {
    const { createClientPool, createCluster } = await nodeRedis(6)
    expect(refused(createClientPool({}))).toContain('(RedisClientPool) has several connections')
    const cluster = createCluster({ rootNodes: [], keyPrefix: 'a:' })
    expect(refused(cluster)).toContain('has a `keyPrefix`')
    const { GlideClusterClient } = await glide()
    const glideCluster = Object.create(
      (GlideClusterClient as unknown as { prototype: object }).prototype,
    )
    expect(refused(glideCluster)).toContain('(GlideClusterClient) does not tell which node')
  })
})

test.each(LIKE_IOREDIS)('%s: used as it is, and its unsafe options are named', async (kind) => {
  const { Redis } = await ioredis(kind)
  const warnings: SwitchbackError[] = []
  const hear = (one: SwitchbackError): void => void warnings.push(one)
  const lazy = { lazyConnect: true, port: redis.port }
  await withWarnings(redisCache({ client: new Redis({ ...safeIoredis(), ...lazy }) }), hear).close()
  expect(warnings).toEqual([])
  await withWarnings(redisCache({ client: new Redis(lazy) }), hear).close()
  expect(warnings).toMatchObject([{ code: 'SB_REDIS_CLIENT_UNSAFE' }])
  expect(warnings[0]!.hint).toMatch(/`maxRetriesPerRequest: 0`.*`socketTimeout: 1000`/)
  // It hears of changes on a connection of its own.
  const client = await clientFor(kind)
  const backend = withWarnings(redisCache({ client, prefix: `${kind} follow:` }))
  await backend.ping()
  const changed: string[] = []
  const following = backend.follow!({
    began: () => undefined,
    changed: (name) => void (name.startsWith('#') || changed.push(name)),
    refused: (reason) => expect(reason).toBe(''),
  })
  await expect.poll(() => following.follows, { timeout: WITHIN }).toBe(true)
  await redis.command('SET', `${kind} follow:elsewhere`, 'x')
  await expect.poll(() => changed, { timeout: WITHIN }).toEqual(['elsewhere'])
  following.close()
  await backend.close()
})

describe('the check of a node-redis client', () => {
  async function hintOf(options: object, cluster = false): Promise<string | undefined> {
    const warnings: SwitchbackError[] = []
    const { createClient, createCluster } = await nodeRedis(6)
    const client = cluster
      ? createCluster({ rootNodes: [], defaults: options })
      : createClient(options)
    await withWarnings(redisCache({ client }), (one) => void warnings.push(one)).close()
    expect(warnings.length).toBeLessThan(2)
    return warnings[0]?.hint
  }
  const safe = safeNodeRedis() as { readonly socket: object }

  test('is silent about a safe one, and names each unsafe default', async () => {
    expect(await hintOf(safe)).toBeUndefined()
    expect(await hintOf({ ...safe, url: redis.url, clientSideCache: {} })).toBeUndefined()
    expect(await hintOf(safe, true)).toBeUndefined()
    const hint = await hintOf({})
    for (const option of [
      'disableOfflineQueue: true',
      'socketTimeout: 2500',
      'connectTimeout: 1000',
    ]) {
      expect(hint).toContain(option)
    }
    expect(await hintOf({}, true)).toContain('`defaults.socket.socketTimeout: 2500`')
  })

  test.each<[object, string]>([
    [{ disableOfflineQueue: false }, '`disableOfflineQueue: true`'],
    [{ readonly: true }, '`readonly: false`'],
    [{ socket: { ...safe.socket, socketTimeout: undefined } }, '`socket.socketTimeout: 2500`'],
    [{ socket: { ...safe.socket, connectTimeout: 5000 } }, '`socket.connectTimeout: 1000`'],
    [{ socket: { ...safe.socket, reconnectStrategy: undefined } }, '`socket.reconnectStrategy:'],
    [{ socket: { ...safe.socket, reconnectStrategy: false } }, '`socket.reconnectStrategy:'],
    [{ socket: { ...safe.socket, reconnectStrategy: 10_000 } }, '`socket.reconnectStrategy:'],
    [
      {
        socket: { ...safe.socket, reconnectStrategy: (n: number) => (n > 9 ? new Error('x') : 1) },
      },
      '`socket.reconnectStrategy:',
    ],
  ])('%o', async (unsafe, remedy) => {
    const hint = await hintOf({ ...safe, ...unsafe })
    expect(hint).toContain(remedy)
    expect(hint?.match(/`/gu)).toHaveLength(2)
  })
})
