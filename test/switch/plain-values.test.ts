// @needs redis
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { Keyv } from 'keyv'
import { LRUCache } from 'lru-cache'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  adaptCache,
  type CacheBackend,
  fileCache,
  memoryCache,
  NEVER,
  type PlainStore,
  redisCache,
} from '../../src/cache/index.ts'
import { type CacheSwitch, type CacheView, createCacheSwitch } from '../../src/switch/index.ts'
import { adoptsWarm } from '../support/adopts-warm.ts'
import { FixedDecider } from '../support/fixed-decider.ts'
import { startRedis, type TestRedis } from '../support/redis-server.ts'
import { until } from '../support/until.ts'

// Teams keep the keys and values that they have: see "Plain values" in docs/guarantees.md.

const KEYS = 1000
let redis: TestRedis
let second: TestRedis
let old: Redis
const directory = mkdtempSync(join(tmpdir(), 'switchback-plain-'))
const opened: CacheSwitch[] = []

beforeAll(async () => {
  redis = await startRedis()
  second = await startRedis()
  old = new Redis(redis.url)
})

afterAll(async () => {
  await Promise.all(opened.map((cache) => cache.close()))
  old.disconnect()
  await redis.stop()
  await second.stop()
  rmSync(directory, { recursive: true, force: true })
})

interface Opened {
  readonly cache: CacheSwitch
  readonly off: CacheView
  readonly on: CacheView
  readonly warnings: string[]
}

async function open(off: CacheBackend, on: CacheBackend): Promise<Opened> {
  const decider = new FixedDecider({ on: 'on' })
  const warnings: string[] = []
  const cache = createCacheSwitch({
    off,
    on,
    decider,
    deadlineMs: 5000,
    onEvent: (event) => {
      if (event.type === 'warning') warnings.push(event.code ?? '')
    },
  })
  opened.push(cache)
  const as = (side: 'off' | 'on'): CacheView => cache.for({ targetingKey: side })
  // Until the two stores of a pair have met, nothing is served of either.
  const met = ({ board }: CacheBackend): boolean => board?.licensed ?? true
  if (off.board !== undefined && on.board !== undefined) {
    await until('the pair is licensed', () => met(off) && met(on))
  }
  return { cache, off: as('off'), on: as('on'), warnings }
}

/** The program that knows nothing of the switch. */
interface OldCode {
  get(key: string): Promise<unknown>
  set(key: string, value: unknown, ttlMs?: number): Promise<unknown>
  delete(key: string): Promise<unknown>
}

interface Ground {
  readonly old: OldCode
  /** The side that is adopted. */
  side(): CacheBackend
}

let names = 0
const fresh = (): string => `t${(names += 1)}:`

/** Under a prefix of its own, as another pair. */
function redisGround(prefix: string): Ground {
  return {
    old: {
      get: async (key) => JSON.parse((await old.get(prefix + key)) ?? 'null') as unknown,
      set: (key, value, ttlMs) =>
        ttlMs === undefined
          ? old.set(prefix + key, JSON.stringify(value))
          : old.set(prefix + key, JSON.stringify(value), 'PX', ttlMs),
      delete: (key) => old.del(prefix + key),
    },
    side: () => redisCache({ url: redis.url, values: 'plain', prefix }),
  }
}

function storeGround(store: PlainStore): Ground {
  return {
    old: {
      get: async (key) => (await store.get(key)) ?? null,
      set: async (key, value, ttlMs) => store.set(key, value as never, ttlMs),
      delete: async (key) => store.delete(key),
    },
    side: () => adaptCache(store, { values: 'plain' }),
  }
}

/** As services have it: a cache of lru-cache behind a few lines. */
function lruStore(): PlainStore {
  const lru = new LRUCache<string, object>({ max: 10_000 })
  return {
    get: (key) => lru.get(key),
    set: (key: string, value: object, ttl?: number) =>
      lru.set(key, value, ttl === undefined ? {} : { ttl }),
    delete: (key) => lru.delete(key),
    clear: () => lru.clear(),
    expiresAt: (key) => Date.now() + lru.getRemainingTTL(key),
  }
}

const GROUNDS: readonly (readonly [string, (prefix: string) => Ground])[] = [
  ['Redis', redisGround],
  ['Keyv', () => storeGround(new Keyv())],
  ['Keyv over Redis-like texts', () => storeGround(new Keyv({ namespace: 'app' }))],
  ['an LRU of this process', () => storeGround(lruStore())],
]

describe.each(GROUNDS)('what is warm in %s', (kind, makeGround) => {
  const other = (name: string): CacheBackend =>
    kind === 'Redis'
      ? redisCache({ url: second.url, prefix: name })
      : redisCache({ url: redis.url, prefix: `new ${name}` })

  test('costs no load at 0 %, moves to the new side and back', async () => {
    const name = fresh()
    const ground = makeGround(name)
    const keys = Array.from({ length: KEYS }, (_, i) => `${name}profile:${i}`)
    await Promise.all(keys.map((key, i) => ground.old.set(key, { i, name: 'Ada' }, 600_000)))
    const { off, on } = await open(ground.side(), other(name))
    let loads = 0
    const readAll = async (view: CacheView): Promise<void> => {
      const found = await Promise.all(
        keys.map((key) =>
          view.getOrSet(key, () => ((loads += 1), { loaded: true }), { ttl: '1h' }),
        ),
      )
      expect(found).toEqual(keys.map((_, i) => ({ i, name: 'Ada' })))
    }
    await readAll(off)
    expect(loads).toBe(0)
    // The old code's data is as it was.
    expect(await ground.old.get(keys[7]!)).toEqual({ i: 7, name: 'Ada' })
    await readAll(on)
    await readAll(on)
    expect(loads).toBe(0)
    await readAll(off)
    expect(loads).toBe(0)
    for (const i of [0, 500, 999]) {
      expect(await ground.old.get(keys[i]!)).toEqual({ i, name: 'Ada' })
    }
  })

  test('is written, deleted and read by both programs', async () => {
    const name = fresh()
    const ground = makeGround(name)
    const key = `${name}a`
    const { off, on } = await open(ground.side(), other(name))
    await off.set(key, { by: 'switch' }, { ttl: '10m' })
    expect(await ground.old.get(key)).toEqual({ by: 'switch' })
    await ground.old.set(key, { by: 'old' }, 60_000)
    expect(await off.get(key)).toEqual({ by: 'old' })
    await off.delete(key)
    expect(await ground.old.get(key)).toBe(null)
    expect(await off.get(key)).toBe(undefined)
    await ground.old.set(key, { by: 'old again' })
    // In a store of this process alone it may be older than a delete of another machine, which leaves the same trace.
    expect(await off.get(key)).toEqual(kind === 'Redis' ? { by: 'old again' } : undefined)
    // A write of the new side takes it from the old code: what it had is not the latest any more.
    await on.set(key, { by: 'new side' }, { ttl: '10m' })
    expect(await ground.old.get(key)).toBe(null)
    expect(await off.get(key)).toEqual({ by: 'new side' })
    // A store of a pair that is not vouched for just now is only served from: the next read moves it.
    await until('it has moved', async () => {
      expect(await off.get(key)).toEqual({ by: 'new side' })
      return (await ground.old.get(key)) !== null
    })
    expect(await ground.old.get(key)).toEqual({ by: 'new side' })
  })

  test('that the old code deleted does not come back from the new side', async () => {
    const name = fresh()
    const ground = makeGround(name)
    const key = `${name}a`
    await ground.old.set(key, { v: 1 }, 60_000)
    const { off, on } = await open(ground.side(), other(name))
    expect(await on.get(key)).toEqual({ v: 1 })
    await ground.old.delete(key)
    expect(await off.get(key)).toBe(undefined)
    expect(await off.getOrSet(key, () => ({ v: 2 }))).toEqual({ v: 2 })
    expect(await ground.old.get(key)).toEqual({ v: 2 })
  })

  test('a load that began before the old code wrote is not stored over it', async () => {
    const name = fresh()
    const ground = makeGround(name)
    const key = `${name}a`
    const { off } = await open(ground.side(), other(name))
    const loaded = await off.getOrSet(key, async () => {
      await ground.old.set(key, { v: 2 }, 60_000)
      return { v: 1 }
    })
    expect(loaded).toEqual({ v: 1 })
    expect(await off.get(key)).toEqual({ v: 2 })
    expect(await ground.old.get(key)).toEqual({ v: 2 })
  })

  test.each(['deleted it', 'let it expire'])(
    'nor over the same text, written again after the old code %s',
    async (how) => {
      const name = fresh()
      const ground = makeGround(name)
      const key = `${name}a`
      const { off } = await open(ground.side(), other(name))
      if (how === 'deleted it') {
        await off.set(key, { v: 1 })
        await ground.old.delete(key)
      } else {
        await off.set(key, { v: 1 }, { ttl: '20ms' })
        await until('it has expired', async () => (await ground.old.get(key)) === null)
      }
      const loaded = await off.getOrSet(key, async () => {
        await ground.old.set(key, { v: 1 }, 60_000)
        return { v: 0 }
      })
      expect(loaded).toEqual({ v: 0 })
      expect(await ground.old.get(key)).toEqual({ v: 1 })
    },
  )

  test('clear() leaves what others wrote, and serves none of it', async () => {
    const name = fresh()
    const ground = makeGround(name)
    const [mine, theirs] = [`${name}mine`, `${name}theirs`]
    const { cache, off } = await open(ground.side(), other(name))
    await off.set(mine, { v: 1 })
    await off.set(theirs, { v: 0 })
    await ground.old.set(theirs, { v: 1 })
    await cache.clear()
    expect(await ground.old.get(mine)).toBe(null)
    expect(await ground.old.get(theirs)).toEqual({ v: 1 })
    expect(await off.getOrSet(theirs, () => ({ v: 2 }))).toEqual({ v: 2 })
  })
})

describe('plain values in Redis', () => {
  // Keys as the application calls them, without a prefix.
  const sides = (): [CacheBackend, CacheBackend] => [
    redisCache({ url: redis.url, values: 'plain' }),
    redisCache({ url: second.url, prefix: 'second:' }),
  ]

  test('keep the expiry that they had', async () => {
    const [a, b] = [`${fresh()}a`, `${fresh()}b`]
    await old.set(a, '1')
    await old.set(b, '2', 'PX', 50_000)
    const { off, on } = await open(...sides())
    expect(await Promise.all([off.get(a), off.get(b), on.get(a), on.get(b)])).toEqual([1, 2, 1, 2])
    expect(await old.pttl(a)).toBe(-1)
    expect(await old.pttl(b)).toBeGreaterThan(0)
    expect(await old.pttl(b)).toBeLessThanOrEqual(50_000)
  })

  test('have the same expiry on the other side', async () => {
    const name = fresh()
    await old.set(`${name}a`, '1')
    await old.set(`${name}b`, '2', 'PX', 50_000)
    const files = fileCache({ directory: join(directory, name.slice(0, -1)) })
    const { on } = await open(redisCache({ url: redis.url, values: 'plain', prefix: name }), files)
    expect(await Promise.all([on.get('a'), on.get('b')])).toEqual([1, 2])
    const ends = Date.now() + 50_000
    expect(await files.read('a')).toMatchObject({ state: 'value', expiresAt: NEVER })
    const { expiresAt } = await files.read('b')
    expect(expiresAt).toBeGreaterThan(0)
    expect(expiresAt).toBeLessThanOrEqual(ends)
  })

  test('of another type, and texts that are no JSON until they are set, stay as they are', async () => {
    const name = fresh()
    const { off, on, warnings } = await open(
      redisCache({ url: redis.url, values: 'plain', prefix: name }),
      redisCache({ url: second.url, prefix: name }),
    )
    await old.hset(`${name}hash`, 'a', '1')
    await old.sadd(`${name}set`, 'a')
    await old.xadd(`${name}stream`, '*', 'a', '1')
    await old.set(`${name}text`, 'no JSON')
    for (const kind of ['hash', 'set', 'stream', 'text']) {
      const key = kind
      const before = await old.dumpBuffer(name + key)
      for (const view of [off, on]) {
        expect(await view.getOrSet(key, () => 'loaded')).toBe('loaded')
        expect(await view.get(key)).not.toBe(undefined)
      }
      if (kind !== 'text') {
        await off.set(key, 'set')
        expect(await off.get(key)).toBe('set')
        await off.delete(key)
        expect(await off.get(key)).toBe(undefined)
      }
      expect(await old.dumpBuffer(name + key)).toEqual(before)
    }
    expect(warnings.filter((code) => code === 'SB_REDIS_FOREIGN')).toHaveLength(1)
    // Who sets or deletes the key means it.
    await off.set('text', 'set')
    expect(await old.get(`${name}text`)).toBe('"set"')
    for (const view of [off, on]) {
      await old.set(`${name}text`, 'no JSON')
      await view.delete('text')
      expect(await old.get(`${name}text`)).toBe(null)
    }
  })

  test('texts that are no JSON are left as they are by loads and moves also after a clear()', async () => {
    const name = fresh()
    const { cache, off, on } = await open(
      redisCache({ url: redis.url, values: 'plain', prefix: name }),
      redisCache({ url: second.url, prefix: name }),
    )
    const texts = ['no JSON', '', 'NaN', '{"a":']
    await Promise.all(texts.map((text, index) => old.set(`${name}before${index}`, text)))
    await cache.clear()
    await Promise.all(texts.map((text, index) => old.set(`${name}after${index}`, text)))
    for (const [index, text] of texts.entries()) {
      for (const key of [`before${index}`, `after${index}`]) {
        for (const view of [off, on, off]) {
          expect(await view.getOrSet(key, () => 'loaded')).toBe('loaded')
        }
        expect(await old.get(name + key)).toBe(text)
      }
    }
    // What can be read is loaded once, as before.
    await old.set(`${name}json`, '"theirs"')
    expect(await off.getOrSet('json', () => 'loaded')).toBe('loaded')
    expect(await old.get(`${name}json`)).toBe('"loaded"')
  })

  test.each(['set', 'delete'] as const)(
    'what others put in place of a hash after a %s through the switch is seen at once, and stays',
    async (what) => {
      const name = fresh()
      const tombstoneTtl = 1000
      const { cache, off, on } = await open(
        redisCache({ url: redis.url, values: 'plain', prefix: name, tombstoneTtl }),
        redisCache({ url: second.url, prefix: name, tombstoneTtl }),
      )
      for (const view of [off, on]) {
        const key = `${name}${view === off ? 'off' : 'on'}`
        await old.hset(name + key, 'a', 1)
        if (what === 'set') await view.set(key, 'set')
        else await view.delete(key)
        expect(await off.get(key)).toBe(what === 'set' ? 'set' : undefined)
        await old.del(name + key)
        await old.set(name + key, '"theirs"')
        expect(await off.get(key)).toBe('theirs')
        // What was pending would have been delivered by then.
        await until('nothing is pending', () => cache.health().off.owed === 0)
        expect(await old.get(name + key)).toBe('"theirs"')
        expect(await off.get(key)).toBe('theirs')
      }
    },
  )

  test.each(['set', 'delete'] as const)(
    'what missed before a hash was there is not stored when it is gone after a %s',
    async (what) => {
      const name = fresh()
      const { off, on } = await open(
        redisCache({ url: redis.url, values: 'plain', prefix: name }),
        redisCache({ url: second.url, prefix: name }),
      )
      for (const view of [off, on]) {
        const key = `${name}${view === off ? 'off' : 'on'}`
        await off.getOrSet(key, async () => {
          await old.hset(name + key, 'a', 1)
          if (what === 'set') await view.set(key, 'new')
          else await view.delete(key)
          await old.del(name + key)
          return 'old'
        })
        expect(await off.get(key)).toBe(what === 'set' ? 'new' : undefined)
      }
    },
  )

  test('a value that others let live for longer is served, and is loaded by nobody', async () => {
    const name = fresh()
    const key = `${name}a`
    const { off } = await open(...sides())
    await off.set(key, 'v', { ttl: 1500 })
    expect(await old.pexpire(key, 60_000)).toBe(1)
    await until('its first end has come', async () => {
      const companion = await old.pttl(`switchback:plain:{${key}}`)
      return companion < 120_000
    })
    let loads = 0
    const load = (): string => `load ${(loads += 1)}`
    for (let i = 0; i < 20; i += 1) expect(await off.getOrSet(key, load)).toBe('v')
    expect(loads).toBe(0)
  })

  test('bytes that are no text are left alone by a codec that reads any text', async () => {
    const name = fresh()
    const codec = {
      encode: (payload: string) => JSON.parse(payload) as string,
      decode: (text: string) => JSON.stringify(text),
    }
    const { off, on, warnings } = await open(
      redisCache({ url: redis.url, values: 'plain', prefix: name, codec }),
      redisCache({ url: second.url, prefix: name }),
    )
    const bytes = Buffer.from([0x82, 0xa1, 0xff, 0xfe, 0])
    await old.set(`${name}bytes`, bytes)
    await old.set(`${name}text`, 'ünïcödé \u{1F600}')
    expect([await off.get('bytes'), await off.get('text')]).toEqual([
      undefined,
      'ünïcödé \u{1F600}',
    ])
    expect(await off.getOrSet('bytes', () => 'loaded')).toBe('loaded')
    expect(await on.get('bytes')).toBe('loaded')
    expect(await old.getBuffer(`${name}bytes`)).toEqual(bytes)
    expect(warnings).toContain('SB_REDIS_FOREIGN')
    // What the switch itself wrote is what it is.
    await off.set('own', 'with \u{FFFD}')
    expect(await off.get('own')).toBe('with \u{FFFD}')
  })

  test('a hit is one command', async () => {
    const key = `${fresh()}a`
    await old.set(key, '1')
    const { off } = await open(...sides())
    expect(await off.get(key)).toBe(1)
    const counted = async (): Promise<Record<string, number>> => {
      const stats = await old.info('commandstats')
      return Object.fromEntries(
        [...stats.matchAll(/cmdstat_(\w+):calls=(\d+)/g)].map(([, name, n]) => [name!, Number(n)]),
      )
    }
    // Without a licence, on a busy machine, a read is a script.
    await until('one MGET', async () => {
      const before = await counted()
      expect(await off.get(key)).toBe(1)
      const after = await counted()
      const calls = (name: string): number => (after[name] ?? 0) - (before[name] ?? 0)
      return calls('mget') === 1 && calls('get') === 0
    })
  })

  test('files as the other side: the same, and another process of the machine starts warm', async () => {
    const name = fresh()
    const keys = Array.from({ length: 50 }, (_, i) => `${name}${i}`)
    for (const key of keys) await old.set(key, JSON.stringify({ key }))
    const path = join(directory, name.replace(':', ''))
    const make = (): Promise<Opened> =>
      open(
        fileCache({ directory: path }),
        redisCache({ url: redis.url, values: 'plain', prefix: name }),
      )
    const load = (): never => {
      throw new Error('a load')
    }
    const first = await make()
    for (const key of keys.slice(0, 25)) {
      const short = key.slice(name.length)
      expect(await first.on.getOrSet(short, load)).toEqual({ key })
      expect(await first.off.getOrSet(short, load)).toEqual({ key })
    }
    const next = await make()
    for (const key of keys) {
      expect(await next.on.getOrSet(key.slice(name.length), load)).toEqual({ key })
    }
    // A second machine: its ledger has lost nothing.
    const machine = await open(
      fileCache({ directory: `${path}-2` }),
      redisCache({ url: redis.url, values: 'plain', prefix: name }),
    )
    for (const key of keys) {
      expect(await machine.on.getOrSet(key.slice(name.length), load)).toEqual({ key })
    }
  })

  test('files as the other side: both programs go on, also after a restart', async () => {
    const lone = await startRedis()
    const client = new Redis(lone.url)
    client.on('error', () => undefined)
    const prefix = fresh()
    const side = redisCache({ url: lone.url, values: 'plain', prefix })
    const trouble = async (): Promise<void> => {
      await lone.kill()
      await lone.restart({ keepData: false })
    }
    try {
      await adoptsWarm({ side, prefix, old: client, trouble })
    } finally {
      client.disconnect()
      await lone.stop()
    }
  })

  const stays = 'what was deleted before Redis was met, or is newer than a copy, stays so'
  test.each(['files', 'memory'])(`%s as the other side: ${stays}`, async (other) => {
    const name = fresh()
    const lone = await startRedis()
    const { port } = new URL(lone.url)
    await lone.kill()
    const cache = createCacheSwitch({
      off:
        other === 'memory'
          ? memoryCache()
          : fileCache({ directory: join(directory, name.replace(':', '')) }),
      on: redisCache({ url: lone.url, values: 'plain' }),
      decider: new FixedDecider({ on: 'on' }),
      maxOwed: 1,
      onEvent: () => undefined,
    })
    opened.push(cache)
    const on = cache.for({ targetingKey: 'on' })
    await on.deleteMany(['a', 'b'])
    await lone.restart({ keepData: false })
    const client = new Redis(Number(port))
    client.on('error', () => undefined)
    try {
      await client.mset('a', '"v1"', 'b', '"v1"')
      await until('Redis is used', async () => {
        expect(await on.get('a')).toBe(undefined)
        return cache.health().on.ok
      })
      expect(await on.getOrSet('b', () => 'v2')).toBe('v2')
      // A copy on the other side is older than what the old code writes into a Redis that came back.
      await on.set('c', 'v1')
      expect(await cache.for({ targetingKey: 'off' }).get('c')).toBe('v1')
      await lone.kill()
      await lone.restart({ keepData: false })
      const written = (): Promise<boolean> => client.set('c', '"v2"').then(Boolean, () => false)
      await until('the old code writes', written)
      await until('Redis is used again', async () => {
        expect(await client.get('c')).toMatch(/^"v2/)
        return (await on.getOrSet('c', () => 'v2 or later')) === 'v2 or later'
      })
      await until('stored', async () => (await client.get('c')) === '"v2 or later"')
    } finally {
      client.disconnect()
      await lone.stop()
    }
  })

  test('what another program deletes after a restart does not come back from the other side', async () => {
    const lone = await startRedis()
    const client = new Redis(lone.url)
    const name = fresh()
    try {
      const side = redisCache({ url: lone.url, values: 'plain', prefix: name })
      const { cache, off, on } = await open(side, redisCache({ url: second.url, prefix: name }))
      await off.set('ours', 1)
      await client.set(`${name}theirs`, '1')
      for (const key of ['ours', 'theirs']) expect(await on.getOrSet(key, () => 1)).toBe(1)
      await off.set('last', 1)
      await lone.restart({ keepData: true })
      await until('the restart is noticed', async () => (await off.get('last')) === undefined)
      // Until then its users are answered by the other side.
      await until('it is used again', () => cache.health().off.ok && side.board!.licensed)
      // Nobody with the switch has touched these since.
      await until(
        'the old program is connected',
        async () => (await client.exists(`${name}ours`)) === 1,
      )
      for (const key of ['ours', 'theirs']) {
        await client.del(name + key)
        expect(await off.get(key)).toBe(undefined)
        expect(await client.get(name + key)).toBe(null)
      }
    } finally {
      client.disconnect()
      await lone.stop()
    }
  })

  test('after a restart from a snapshot nothing of before is served', async () => {
    const key = `${fresh()}a`
    const untouched = `${fresh()}b`
    const lone = await startRedis()
    const client = new Redis(lone.url)
    client.on('error', () => undefined)
    try {
      await client.set(key, '"v1"')
      await client.set(untouched, '"v1"')
      const { off } = await open(
        redisCache({ url: lone.url, values: 'plain' }),
        redisCache({ url: second.url, prefix: fresh() }),
      )
      expect(await off.get(key)).toBe('v1')
      await lone.snapshot()
      await off.delete(key)
      await lone.kill()
      await lone.restart({ keepData: true })
      expect(await client.get(key)).toBe('"v1"')
      await until('the restart is noticed', async () => (await off.get(key)) === undefined)
      expect(await off.get(key)).toBe(undefined)
      await until('it is loaded into the store that came back', async () => {
        expect(await off.getOrSet(untouched, () => 'loaded')).toBe('loaded')
        return (await client.get(untouched)) === '"loaded"'
      })
      // What the old code writes after a trace of the switch counts again.
      await client.set(untouched, '"v3"')
      await until('v3 is read', async () => (await off.get(untouched)) === 'v3')
    } finally {
      client.disconnect()
      await lone.stop()
    }
  })
})
