// @needs redis
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { adaptCache, memoryCache, redisCache } from '../../src/cache/index.ts'
import { FixedDecider } from '../support/fixed-decider.ts'
import { licensed, makePairActor, type PairActor } from '../support/pair.ts'
import { startRedis, type TestRedis } from '../support/redis-server.ts'
import { seeded } from '../support/simulation.ts'
import { createCacheSwitch } from '../../src/switch/index.ts'
import { until } from '../support/until.ts'
import { World } from '../support/world.ts'

let world: World
let other: TestRedis
const actors: PairActor[] = []

beforeAll(async () => {
  world = await World.create()
  other = await startRedis()
})
afterAll(async () => {
  await Promise.all(actors.map(({ cache }) => cache.close()))
  await other.stop()
  await world.close()
})

/** Processes of one service whose two sides are Redis. */
async function pairOf(
  count: number,
  prefix: string,
  old: { readonly values?: 'plain' } = {},
): Promise<PairActor[]> {
  const made = Array.from({ length: count }, () =>
    makePairActor(
      redisCache({ url: world.redis.url, prefix, ...old }),
      redisCache({ url: other.url, prefix }),
      { deadlineMs: 2000 },
    ),
  )
  actors.push(...made)
  await licensed(made)
  return made
}

const NOTHING = { present: 0, refused: 0, expired: 0, foreign: 0, failed: 0, skipped: 0 }

describe('copy', () => {
  test('from files to Redis: what is alive, under its own name and with its expiry', async () => {
    const { cache, offUser, on } = world.actor({ machine: 'files' })
    const long = 'x'.repeat(200)
    const keys = ['user:1', 'user:2', '# of its own', long, 'ünïcödé']
    for (const key of keys) await offUser.set(key, `value of ${key.slice(0, 9)}`, { ttl: '1h' })
    await offUser.set('gone', 'deleted')
    await offUser.delete('gone')
    await offUser.set('late', 'expired', { ttl: 1 })
    await until('it has expired', async () => (await offUser.get('late')) === undefined)

    const dry = await cache.copy({ from: 'off', to: 'on', dryRun: true })
    expect(dry).toMatchObject({ ...NOTHING, ended: 'done', scanned: 6, copied: 5, expired: 1 })
    for (const key of keys) expect((await on.read(key)).state).not.toBe('value')

    expect(await cache.copy({ from: 'off', to: 'on' })).toMatchObject({
      ...NOTHING,
      ended: 'done',
      copied: 5,
      expired: 1,
      cursor: '',
    })
    const expiry = (await on.read('user:1')).expiresAt - Date.now()
    expect(expiry).toBeGreaterThan(3_000_000)
    expect(expiry).toBeLessThanOrEqual(3_600_000)
    for (const key of keys) {
      const { state, payload } = await on.read(key)
      expect({ state, payload }).toEqual({
        state: 'value',
        payload: JSON.stringify(`value of ${key.slice(0, 9)}`),
      })
    }
    // Nothing is copied twice, and the values stay where they are.
    const again = await cache.copy({ from: 'off', to: 'on' })
    expect(again).toMatchObject({ copied: 0, present: 5 })
    const back = await cache.copy({ from: 'on', to: 'off' })
    expect(back).toMatchObject({ copied: 0, present: 5, ended: 'done' })
  })

  test('a pattern chooses, and another program keeps what it has', async () => {
    const [actor] = (await pairOf(1, 'pattern:')) as [PairActor]
    const redis = new Redis(other.url)
    for (const key of ['user:1', 'user:2', 'user:22', 'shop.1', 'taken']) {
      await actor.offUser.set(key, key)
    }
    await redis.set('pattern:taken', 'of another program')
    const copied = await actor.cache.copy({ from: 'off', to: 'on', match: 'user:?' })
    expect(copied).toMatchObject({ ...NOTHING, scanned: 5, copied: 2, skipped: 3 })
    const dot = await actor.cache.copy({ from: 'off', to: 'on', match: 's*.?' })
    expect(dot).toMatchObject({ copied: 1, skipped: 4 })
    const all = await actor.cache.copy({ from: 'off', to: 'on', match: '*' })
    expect(all).toMatchObject({ copied: 1, present: 3, foreign: 1, ended: 'done' })
    expect(await redis.get('pattern:taken')).toBe('of another program')
    redis.disconnect()
  })

  test.each([
    ['cells', {}],
    ['plain values', { values: 'plain' } as const],
  ])('of %s, a hash, a set or a stream is told as foreign, on either side', async (kind, old) => {
    const prefix = `types ${kind}:`
    const [actor] = (await pairOf(1, prefix, old)) as [PairActor]
    const [left, right] = [new Redis(world.redis.url), new Redis(other.url)]
    await actor.offUser.setMany(['there', 'hidden'].map((key) => [key, key] as const))
    await right.del(`${prefix}hidden`)
    await right.hset(`${prefix}hidden`, 'a', 1)
    await left.hset(`${prefix}hash`, 'a', 1)
    await left.sadd(`${prefix}set`, 'a')
    await left.xadd(`${prefix}stream`, '*', 'a', '1')
    const told = { ...NOTHING, ended: 'done', scanned: 5, copied: 1, foreign: 4 }
    for (const dryRun of [true, false]) {
      expect(await actor.cache.copy({ from: 'off', to: 'on', dryRun })).toMatchObject(told)
    }
    expect(await right.type(`${prefix}hidden`)).toBe('hash')
    expect(await left.type(`${prefix}hash`)).toBe('hash')
    left.disconnect()
    right.disconnect()
  })

  test('keeps to a rate, and ends at a signal with a cursor from which another goes on', async () => {
    const [actor] = (await pairOf(1, 'rate:')) as [PairActor]
    // More than one page of a scan.
    const keys = Array.from({ length: 1500 }, (_, i) => `k${i}`)
    await actor.offUser.setMany(keys.map((key) => [key, key] as const))
    const stop = new AbortController()
    const seen: string[] = []
    const report = await actor.cache.copy({
      from: 'off',
      to: 'on',
      rate: 3000,
      signal: stop.signal,
      onProgress: ({ cursor, scanned }) => {
        seen.push(cursor)
        if (scanned > 600) stop.abort()
      },
    })
    expect(report).toMatchObject({ ended: 'aborted', failed: 0 })
    expect(report.scanned).toBeLessThan(1500)
    expect(report.ms).toBeGreaterThan((report.scanned / 3000) * 1000 - 100)
    expect(report.cursor).not.toBe('')
    expect(seen.at(-1)).toBe(report.cursor)
    const rest = await actor.cache.copy({ from: 'off', to: 'on', after: report.cursor })
    expect(rest).toMatchObject({ ended: 'done', refused: 0, failed: 0 })
    expect(rest.scanned).toBeLessThan(1500)
    const found = await actor.on.read('k7')
    expect(found.state).toBe('value')
    expect((await actor.cache.copy({ from: 'off', to: 'on' })).present).toBe(1500)
  })

  test.each([
    ['deleted', undefined],
    ['replaced', 'new'],
  ])('what was %s between its read and its write stays so', async (_, value) => {
    const { cache, offUser, onUser, on } = world.actor({ machine: `gate ${value}` })
    const key = world.key()
    await offUser.set(key, 'old')
    const gate = on.hold('write', 'before')
    const copying = cache.copy({ from: 'off', to: 'on' })
    await gate.reached
    if (value === undefined) await offUser.delete(key)
    else await offUser.set(key, value)
    gate.open()
    // It is tried again, and then the new one is the latest.
    expect(await copying).toMatchObject({ ended: 'done', copied: value === undefined ? 0 : 1 })
    expect(await onUser.get(key)).toBe(value)
    expect(await offUser.get(key)).toBe(value)
  })

  test.each([
    ['cells', {}],
    ['plain values', { values: 'plain' } as const],
  ])(
    'of %s, while others write, delete and flip, nothing older than acknowledged is ever read',
    async (kind, old) => {
      const pair = await pairOf(3, `busy ${kind}:`, old)
      const [copier, one, two] = pair as [PairActor, PairActor, PairActor]
      const random = seeded(15)
      const keys = Array.from({ length: 24 }, (_, i) => `k${i}`)
      // Versions only grow; a deleted key counts as none.
      const acknowledged = new Map(keys.map((key) => [key, 1]))
      await one.offUser.setMany(keys.map((key) => [key, 1] as const))
      const over = new AbortController()
      const wrong: string[] = []
      const viewOf = ({ onUser, offUser }: PairActor): PairActor['onUser'] =>
        random() < 0.5 ? onUser : offUser
      const check = async (actor: PairActor, key: string): Promise<void> => {
        const least = acknowledged.get(key)!
        const value = await viewOf(actor).get<number>(key)
        if (value !== undefined && value < least) wrong.push(`${key}: ${value} after ${least}`)
      }
      // Each writer has keys of its own, so that versions are acknowledged in their order.
      const client = async (actor: PairActor, reader: PairActor, share: number): Promise<void> => {
        const mine = keys.filter((_, i) => i % 2 === share)
        for (let version = 2; !over.signal.aborted; version += 1) {
          const key = mine[Math.floor(random() * mine.length)]!
          const next = Math.max(version, acknowledged.get(key)! + 1)
          if (random() < 0.3) await viewOf(actor).delete(key)
          else await viewOf(actor).set(key, next)
          acknowledged.set(key, next)
          await Promise.all([check(actor, key), check(reader, key)])
        }
      }
      const clients = [client(one, two, 0), client(two, one, 1)]
      let copied = 0
      for (let round = 0; round < 25; round += 1) {
        const way =
          random() < 0.5
            ? ({ from: 'off', to: 'on' } as const)
            : ({ from: 'on', to: 'off' } as const)
        const report = await copier.cache.copy(way)
        copied += report.copied
        expect(report).toMatchObject({ ended: 'done', failed: 0, foreign: 0 })
      }
      over.abort()
      await Promise.all(clients)
      for (const key of keys) await Promise.all([check(one, key), check(two, key)])
      expect(wrong).toEqual([])
      expect(copied).toBeGreaterThan(0)
    },
  )

  test('what cannot be copied is said', async () => {
    const store = { get: () => undefined, set: () => true, delete: () => true, clear: () => {} }
    const make = (retire?: 'off') =>
      createCacheSwitch({
        flag: 'f',
        decider: new FixedDecider(),
        off: adaptCache(store),
        on: memoryCache(),
        onEvent: () => {},
        ...(retire && { retire }),
      })
    await using cache = make()
    const code = (wanted: string): object => ({ code: wanted })
    await expect(cache.copy({ from: 'off', to: 'on' })).rejects.toMatchObject(
      code('SB_COPY_UNSUPPORTED'),
    )
    for (const options of [{ from: 'on', to: 'on' }, { rate: 0 }, { match: '' }, { rat: 1 }]) {
      const given = { from: 'on', to: 'off', ...options } as never
      await expect(cache.copy(given)).rejects.toMatchObject(code('SB_OPTION_INVALID'))
    }
    await using retired = make('off')
    await expect(retired.copy({ from: 'on', to: 'off' })).rejects.toMatchObject(
      code('SB_OPTION_INVALID'),
    )
    await retired.close()
    await expect(retired.copy({ from: 'on', to: 'off' })).rejects.toMatchObject(code('SB_CLOSED'))
  })
})
