// @needs redis
import * as fc from 'fast-check'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import type { CacheNamespace } from '../../src/cache/index.ts'
import type { CacheView } from '../../src/switch/index.ts'
import { deferred } from '../support/deferred.ts'
import { type Actor, until, World } from '../support/world.ts'
import { inFull } from '../support/full.ts'

/** A busy machine is no outage. */
const PATIENT = { deadlineMs: 20_000 }

let world: World
let redis: Redis

beforeAll(async () => {
  world = await World.create()
  redis = new Redis(world.redis.url)
})

afterAll(async () => {
  redis.disconnect()
  await world.close()
})

const list = (count: number): string[] => Array.from({ length: count }, () => world.key())

async function callsOf(command: string): Promise<number> {
  const stats = await redis.info('commandstats')
  return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(stats)?.[1] ?? 0)
}

describe('many keys at once', () => {
  test.each(['offUser', 'onUser'] as const)('%s: set, read by both, deleted', async (name) => {
    const actor = world.actor(PATIENT)
    const other = world.actor(PATIENT)
    const keys = list(270)
    await actor[name].setMany(keys.map((key, i) => [key, i]))
    for (const user of [actor.offUser, actor.onUser, other.offUser, other.onUser]) {
      const found = await user.getMany<number>([...keys, world.key(), keys[0]!])
      expect([...found]).toEqual(keys.map((key, i) => [key, i]))
    }
    expect(await other[name].deleteMany(keys)).toBe(270)
    for (const user of [actor.offUser, actor.onUser])
      expect((await user.getMany(keys)).size).toBe(0)
  })

  test('are read with one command for a hundred', async () => {
    const { onUser } = world.actor(PATIENT)
    const keys = list(200)
    await onUser.setMany(new Map(keys.map((key) => [key, 'v'])))
    await redis.config('RESETSTAT')
    expect((await onUser.getMany(keys)).size).toBe(200)
    expect(await callsOf('mget')).toBeLessThanOrEqual(3)
    expect(await callsOf('get')).toBe(0)
  })

  test('of two for one key the last counts; null is a value', async () => {
    const { offUser } = world.actor(PATIENT)
    const [a, b] = list(2) as [string, string]
    await offUser.setMany([
      [a, 1],
      [b, null],
      [a, 2],
    ])
    expect([...(await offUser.getMany([a, b]))]).toEqual([
      [a, 2],
      [b, null],
    ])
    expect(await offUser.getMany([])).toEqual(new Map())
    await offUser.setMany([])
  })

  test('a bad key or value among them rejects, and nothing is written', async () => {
    const { onUser } = world.actor(PATIENT)
    const key = world.key()
    for (const [bad, code] of [
      [[world.key(), undefined], 'SB_VALUE_UNDEFINED'],
      [['', 1], 'SB_KEY_INVALID'],
    ] as const) {
      await expect(onUser.setMany([[key, 1], bad])).rejects.toMatchObject({ code })
    }
    await expect(onUser.setMany([[key, 1]], { ttl: -1 })).rejects.toMatchObject({
      code: 'SB_TTL_INVALID',
    })
    expect(await onUser.get(key)).toBeUndefined()
    await expect(onUser.getMany([key, ''])).rejects.toMatchObject({ code: 'SB_KEY_INVALID' })
    await expect(onUser.deleteMany([key, ''])).rejects.toMatchObject({ code: 'SB_KEY_INVALID' })
  })
})

test.each([
  ['of the call', {}, { ttl: 10_000, jitter: 0.5 }],
  ['of the cache', { ttlJitter: 0.5, defaultTtl: 10_000 }, {}],
])('jitter %s shortens each lifetime, and never lengthens it', async (_, ofCache, ofCall) => {
  const actor = world.actor({ ...PATIENT, ...ofCache })
  const keys = list(60)
  await actor.onUser.setMany(
    keys.map((key) => [key, 1] as const),
    ofCall,
  )
  await Promise.all(keys.map((key) => actor.offUser.getOrSet(`${key}'`, () => 1, ofCall)))
  for (const [side, names] of [
    [actor.on, keys],
    [actor.off, keys.map((key) => `${key}'`)],
  ] as const) {
    const cells = await Promise.all(names.map((key) => side.read(key)))
    const lives = cells.map(({ expiresAt, writtenAt }) => expiresAt - writtenAt)
    expect(Math.max(...lives)).toBeLessThanOrEqual(10_000)
    expect(Math.min(...lives)).toBeLessThan(9_000)
    expect(new Set(lives).size).toBeGreaterThan(20)
  }
})

/** The actor's second step of the kind, on whichever side, waits at its door. */
function holdSecond({ off, on }: Actor, step: 'write' | 'invalidate') {
  const [reached, opened] = [deferred<void>(), deferred<void>()]
  let seen = 0
  for (const side of [off, on]) {
    const inner = side[step].bind(side) as (...given: unknown[]) => unknown
    vi.spyOn(side, step).mockImplementation((async (...given: unknown[]) => {
      seen += 1
      if (seen === 2) {
        reached.resolve()
        await opened.promise
      }
      return inner(...given)
    }) as never)
  }
  return { reached: reached.promise, open: () => opened.resolve() }
}

describe('a namespace', () => {
  test('is cleared by itself, for all users and processes', async () => {
    const [one, other] = [world.actor(PATIENT), world.actor(PATIENT)]
    const name = world.key()
    const key = world.key()
    const of = (view: CacheView) => view.namespace(name)
    await one.offUser.set(key, 'outside')
    await of(one.offUser).set(key, 'inside')
    await one.offUser.namespace(world.key()).set(key, 'another')
    for (const { offUser, onUser } of [one, other]) {
      for (const user of [offUser, onUser]) {
        expect(await of(user).get(key)).toBe('inside')
        expect(await of(user).has(key)).toBe(true)
        expect([...(await of(user).getMany([key, 'none']))]).toEqual([[key, 'inside']])
      }
    }
    await of(other.onUser).clear()
    for (const { offUser, onUser } of [one, other]) {
      for (const user of [offUser, onUser]) {
        expect(await of(user).get(key)).toBeUndefined()
        expect(await user.get(key)).toBe('outside')
      }
    }
    expect(await of(one.onUser).getOrSet(key, () => 'loaded')).toBe('loaded')
    expect(await of(other.offUser).getOrSet(key, () => 'again')).toBe('loaded')
    await of(one.onUser).setMany([
      ['a', 1],
      ['b', 2],
    ])
    expect(await of(other.onUser).deleteMany(['a', 'b', 'c'])).toBe(2)
    expect(await of(other.onUser).delete(key)).toBe(true)
  })

  test('does not end with `defaultTtl`, which is that of its values', async () => {
    const { offUser, off, on } = world.actor({ ...PATIENT, defaultTtl: '1m' })
    const name = world.key()
    await offUser.namespace(name).set('k', 'v')
    const { expiresAt } = await on.read(`${name}:#generation`)
    expect(expiresAt).toBeGreaterThan(Date.now() + 86_400_000)
    await vi.waitFor(async () =>
      expect(await off.read(`${name}:#generation`)).toMatchObject({ expiresAt }),
    )
  })

  test('two users, one of each side, who begin it at once have the same one', async () => {
    const { offUser, onUser } = world.actor(PATIENT)
    for (let i = 0; i < 10; i += 1) {
      const name = world.key()
      const parts = [offUser, onUser].map((user) => user.namespace(name))
      const [off, on] = parts as [CacheNamespace, CacheNamespace]
      await Promise.all(parts.map((part) => part.getOrSet('k', () => 'v1')))
      await off.delete('k')
      expect(await on.get('k')).toBeUndefined()
      await on.set('k', 'v2')
      expect(await off.get('k')).toBe('v2')
      await off.set('k', 'v3')
      expect(await on.get('k')).toBe('v3')
    }
  })

  test('two clears that cross leave nobody with a generation of their own', async () => {
    const [one, other] = [world.actor(PATIENT), world.actor(PATIENT)]
    const name = world.key()
    await one.offUser.namespace(name).set('k', 'v0')
    // The one has ended the last generation, and not begun the next.
    const begins = holdSecond(one, 'write')
    const clearing = one.offUser.namespace(name).clear()
    await begins.reached
    // So has the other, which then begins another one behind it, of which one side is not told yet.
    const alsoBegins = holdSecond(other, 'write')
    const tells = holdSecond(other, 'invalidate')
    const alsoClearing = other.onUser.namespace(name).clear()
    await alsoBegins.reached
    begins.open()
    await clearing
    alsoBegins.open()
    await Promise.race([tells.reached, alsoClearing])
    const [reader, writer] = [world.actor(PATIENT), world.actor(PATIENT)]
    await reader.offUser.namespace(name).set('k', 'v1')
    await writer.onUser.namespace(name).delete('k')
    expect(await reader.offUser.namespace(name).get('k')).toBeUndefined()
    tells.open()
    await alsoClearing
    expect(await reader.offUser.namespace(name).get('k')).toBeUndefined()
  })

  test('nobody uses a new one while somebody has the last one from the other side', async () => {
    const [one, writer, reader] = [world.actor(PATIENT), world.actor(PATIENT), world.actor(PATIENT)]
    const name = world.key()
    await one.offUser.namespace(name).set('k', 'v0')
    await until('the file side has a copy', async () => {
      return (await one.off.inner.read(`${name}:#generation`)).state === 'value'
    })
    const tells = one.off.hold('invalidate', 'before')
    const clearing = one.offUser.namespace(name).clear()
    await tells.reached
    await writer.offUser.namespace(name).set('k', 'v1')
    // Redis is out for this process.
    vi.spyOn(reader.on, 'read').mockRejectedValue(new Error('out'))
    expect(await reader.offUser.namespace(name).get('k')).not.toBe('v0')
    tells.open()
    await clearing
  })

  test('who joins a beginning takes what there is after it, not what it began', async () => {
    const [one, other] = [world.actor(PATIENT), world.actor(PATIENT)]
    const name = world.key()
    const tells = holdSecond(one, 'invalidate')
    const clearing = one.offUser.namespace(name).clear()
    await tells.reached
    await other.offUser.namespace(name).set('k', 'v1')
    await other.offUser.namespace(name).clear()
    // What a process that was killed in its clear leaves behind.
    await other.onUser.set(`${name}:#generation`, 'clearing x')
    const look = one.on.hold('read', 'after')
    const loading = one.offUser.namespace(name).getOrSet('k', () => 'v2')
    await look.reached
    look.open()
    await new Promise((resolve) => setImmediate(resolve))
    tells.open()
    await clearing
    expect(await loading).toBe('v2')
  })

  test('one that Redis has taken without an answer is used by nobody after a clear', async () => {
    const [one, other] = [world.actor(PATIENT), world.actor(PATIENT)]
    const name = world.key()
    const [reached, opened] = [deferred<void>(), deferred<void>()]
    const write = one.on.write.bind(one.on)
    let writes = 0
    vi.spyOn(one.on, 'write').mockImplementation(async (...given) => {
      const written = await write(...given)
      writes += 1
      if (writes !== 2) return written
      reached.resolve()
      await opened.promise
      throw new Error('no answer')
    })
    const clearing = one.offUser.namespace(name).clear()
    await reached.promise
    await other.offUser.namespace(name).set('k', 'v1')
    await other.offUser.namespace(name).clear()
    opened.resolve()
    await clearing
    for (const { offUser, onUser } of [one, other]) {
      for (const user of [offUser, onUser])
        expect(await user.namespace(name).get('k')).toBeUndefined()
    }
  })

  test('a load from before a clear is found by nobody', async () => {
    const { offUser, onUser } = world.actor(PATIENT)
    const name = world.key()
    const [started, answer] = [deferred<void>(), deferred<string>()]
    const loading = onUser.namespace(name).getOrSet('k', () => {
      started.resolve()
      return answer.promise
    })
    await started.promise
    await offUser.namespace(name).clear()
    answer.resolve('old')
    expect(await loading).toBe('old')
    for (const user of [offUser, onUser])
      expect(await user.namespace(name).get('k')).toBeUndefined()
  })

  test('a write waits for a clear that is under way, and takes over from one that never ends', async () => {
    const { offUser, onUser } = world.actor(PATIENT)
    const name = world.key()
    await onUser.namespace(name).set('k', 'old')
    // What a process that was killed in its clear leaves behind.
    await offUser.set(`${name}:#generation`, 'clearing x')
    for (const user of [offUser, onUser]) {
      expect(await user.namespace(name).get('k')).toBeUndefined()
      expect(await user.namespace(name).getOrSet('l', () => 1)).toBe(1)
    }
    const setting = onUser.namespace(name).set('k', 'new')
    await setting
    for (const user of [offUser, onUser]) expect(await user.namespace(name).get('k')).toBe('new')
  })

  test('property: whoever reads after a write or a clear sees it or nothing', async () => {
    const [a, b] = [world.actor(PATIENT), world.actor(PATIENT)]
    const users = [a.offUser, a.onUser, b.offUser, b.onUser]
    const step = fc.record({
      do: fc.constantFrom('set', 'set', 'delete', 'clear', 'get', 'getOrSet', 'lose'),
      by: fc.nat(3),
      key: fc.constantFrom('k', 'l'),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        const name = world.key()
        const parts = users.map((user) => user.namespace(name))
        const now = new Map<string, number>()
        let version = 0
        for (const { do: what, by, key } of steps) {
          const part = parts[by]!
          version += 1
          if (what === 'set') {
            await part.set(key, version)
            now.set(key, version)
          } else if (what === 'delete') {
            await part.delete(key)
            now.delete(key)
          } else if (what === 'clear') {
            await part.clear()
            now.clear()
          } else if (what === 'get')
            expect([undefined, now.get(key)]).toContain(await part.get(key))
          else if (what === 'getOrSet') {
            const loaded = now.get(key) ?? version
            expect(await part.getOrSet(key, () => loaded)).toBe(loaded)
            now.set(key, loaded)
          } else await redis.del(`world m1:${name}:#generation`)
        }
        for (const part of parts) {
          for (const key of ['k', 'l']) {
            expect([undefined, now.get(key)]).toContain(await part.get(key))
          }
        }
      }),
      { numRuns: Number(process.env['MANY_RUNS'] ?? inFull(10, 25)) },
    )
  })
})
