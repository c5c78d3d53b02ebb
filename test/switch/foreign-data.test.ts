// @needs redis
import * as fc from 'fast-check'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fileCache, redisCache } from '../../src/cache/index.ts'
import { isEnvelope, sealEnvelope, valueEnvelope } from '../../src/cache/envelope.ts'
import { type CacheSwitch, type CacheView, createCacheSwitch } from '../../src/switch/index.ts'
import { deferred } from '../support/deferred.ts'
import { FixedDecider } from '../support/fixed-decider.ts'
import { until, World } from '../support/world.ts'
import { inFull } from '../support/full.ts'
import { anyText } from '../support/any-text.ts'

// What another program keeps under the prefix stays as it is, and nobody is served anything older for it.

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

const FOREIGN: Readonly<Record<string, (key: string) => Promise<unknown>>> = {
  'JSON of another program': (key) => redis.set(key, '{"name":"another program wrote this"}'),
  'a text that expires': (key) => redis.set(key, 'session', 'EX', 3600),
  'an empty text': (key) => redis.set(key, ''),
  bytes: (key) => redis.set(key, Buffer.from([0xff, 0xfe, 0x80, 0x32, 0x76])),
  'almost a cell': (key) =>
    redis.set(key, sealEnvelope(valueEnvelope('"v"', 1), 1).replace('|', '}')),
  'the beginning of a cell': (key) =>
    redis.set(key, sealEnvelope(valueEnvelope('"v"', 1), 1).slice(0, 40)),
  'a hash': (key) => redis.hset(key, 'name', 'x', 'visits', '3'),
  'a list that expires': async (key) => {
    await redis.rpush(key, 'a', 'b')
    await redis.expire(key, 3600)
  },
  'a set': (key) => redis.sadd(key, 'a'),
  'a sorted set': (key) => redis.zadd(key, 1, 'a'),
  'a stream': (key) => redis.xadd(key, '*', 'a', 'b'),
}
const kinds = Object.entries(FOREIGN)

/** Type, content and expiry of all that there is. */
async function everything(pattern: string): Promise<Record<string, unknown>> {
  const found: Record<string, unknown> = {}
  for (const key of (await redis.keys(pattern)).toSorted()) {
    const content = (await redis.dumpBuffer(key)).toString('hex')
    found[key] = [await redis.type(key), content, await redis.call('PEXPIRETIME', key)]
  }
  return found
}

interface Opened {
  readonly cache: CacheSwitch
  /** `side code` of each warning. */
  readonly warnings: string[]
}

function open(prefix: string, decider: FixedDecider): Opened {
  const warnings: string[] = []
  const cache = createCacheSwitch({
    flag: 'use-redis',
    off: fileCache({ directory: `${world.directory}/${prefix}` }),
    on: redisCache({ url: world.redis.url, prefix }),
    decider,
    deadlineMs: 5000,
    onEvent: (event) => {
      if (event.type !== 'warning') return
      warnings.push(`${event.side} ${event.code}`)
      if (event.code === 'SB_REDIS_FOREIGN') expect(event.detail).toContain(`"${prefix}*"`)
    },
  })
  return { cache, warnings }
}

describe.each([
  ['0 %', ['off-user']],
  ['50 %', ['off-user', 'on-user']],
  ['100 %', ['on-user']],
])('at %s', (share, users) => {
  test('set, getOrSet, delete and clear leave it as it is, and one warning says so', async () => {
    const prefix = `${share[0]}user:`
    for (const [i, [, place]] of kinds.entries()) await place(`${prefix}${i}`)
    // A prefix that begins like the one of somebody else.
    await redis.setex(`${prefix}session:4`, 3600, 'of another program')
    const before = await everything(`${prefix}*`)
    const { cache, warnings } = open(prefix, new FixedDecider({ 'on-user': 'on' }))
    for (const user of users) {
      const view = cache.for({ targetingKey: user })
      for (const i of kinds.keys()) {
        const key = String(i)
        expect(await view.getOrSet(key, () => 'loaded')).toMatch('loaded')
        await view.set(key, 'set', { ttl: '1m' })
        expect(await view.get(key)).toBe('set')
        expect(await view.delete(key)).toBe(true)
        expect(await view.get(key)).toBeUndefined()
        expect(await view.getOrSet(key, () => 'loaded again')).toBe('loaded again')
      }
    }
    await cache.set('own', 1)
    await cache.clear()
    expect(await cache.get('own')).toBeUndefined()
    const after = await everything(`${prefix}*`)
    for (const key of Object.keys(after)) {
      if (before[key] === undefined) expect(key.slice(prefix.length)).toMatch(/^own$|^#state/)
    }
    expect(after).toMatchObject(before)
    expect(warnings).toEqual(['on SB_REDIS_FOREIGN'])
    expect(cache.health().on.foreign).toBeGreaterThan(kinds.length)
    expect(cache.health().off.foreign).toBe(0)
    await cache.close()
  })
})

test('what a user of the new side set or deleted there is true for all, and its outcome says that the old side did it', async () => {
  const { offUser, onUser } = world.actor()
  const seen: string[] = []
  const actor = world.actor()
  const view = actor.cache.for(
    { targetingKey: 'on-user' },
    {
      onOperation: ({ operation, outcome, servedBy }) =>
        seen.push(`${operation} ${outcome} ${servedBy}`),
    },
  )
  const key = world.key()
  await redis.hset(`world m1:${key}`, 'a', 'b')
  await view.set(key, 'v1')
  for (const user of [offUser, onUser, actor.offUser]) expect(await user.get(key)).toBe('v1')
  expect(await view.delete(key)).toBe(true)
  for (const user of [offUser, onUser, actor.offUser]) expect(await user.get(key)).toBeUndefined()
  expect(seen).toEqual(['set failed off', 'delete failed off'])
  expect(actor.cache.health().on.outSince).toBe(0)
})

test('a loaded value is found by the next reader of the new side', async () => {
  const { onUser } = world.actor()
  const key = world.key()
  await redis.rpush(`world m1:${key}`, 'a')
  expect(await onUser.getOrSet(key, () => 1)).toBe(1)
  expect(await onUser.getOrSet(key, () => 2)).toBe(1)
})

test.each(['set', 'delete'] as const)(
  'a load from before a %s is not stored when the other program has removed its key',
  async (act) => {
    const { cache, offUser, onUser, on } = world.actor({ deadlineMs: 200, machine: act })
    const [key, other] = [world.key(), world.key()]
    const [started, answer] = [deferred<void>(), deferred<string>()]
    const loading = onUser.getOrSet(key, () => {
      started.resolve()
      return answer.promise
    })
    await started.promise
    await redis.set(`world ${act}:${key}`, 'of another program')
    if (act === 'set') await offUser.set(key, 'v2')
    else await offUser.delete(key)
    // Pending for another reason and for as long as any deadline lasts: when that is delivered, so is all
    // that waits no longer.
    const gate = on.hold('invalidate', 'before')
    await offUser.set(other, 'v')
    gate.open()
    await until('the other key is told', () => cache.health().on.owed <= 1)
    await redis.del(`world ${act}:${key}`)
    answer.resolve('v1')
    expect(await loading).toBe('v1')
    expect(await onUser.get(key)).toBe(act === 'set' ? 'v2' : undefined)
  },
)

test('many keys that another program keeps do not hold up what is pending for others', async () => {
  const { offUser, on, cache } = world.actor({ deadlineMs: 2000, machine: 'many' })
  const keys = Array.from({ length: 150 }, () => world.key())
  await redis.mset(keys.flatMap((key) => [`world many:${key}`, 'x']))
  await Promise.all(keys.map((key) => offUser.set(key, 'v')))
  const key = world.key()
  const old = { payload: '"old"', expiresAt: 9_999_999_999_999 }
  // On a busy machine the connection may be given up amid the many keys of before.
  await until('the old value is there', async () => {
    try {
      return (await on.inner.write(key, old, { expect: '*', within: 5000 })).written
    } catch {
      return false
    }
  })
  const gate = on.hold('invalidate', 'before')
  const setting = offUser.set(key, 'new')
  await gate.reached
  await setting
  gate.open()
  await until('the other key is told', async () => (await on.inner.read(key)).state === 'tombstone')
  expect(cache.health().on.owed).toBeGreaterThanOrEqual(keys.length)
})

type Step =
  | { readonly do: 'set' | 'delete' | 'read' | 'load'; readonly by: number; readonly key: number }
  | { readonly do: 'begin'; readonly by: number; readonly key: number }
  | { readonly do: 'end' }
  | { readonly do: 'appear'; readonly key: number; readonly kind: number }
  | { readonly do: 'vanish'; readonly key: number }

const key = fc.constantFrom(0, 1)
const by = fc.nat(3)
const steps = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({ do: fc.constantFrom('set', 'delete', 'read', 'load'), by, key }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('begin' as const), by, key }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('end' as const) }) },
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant('appear' as const),
        key,
        kind: fc.nat(kinds.length - 1),
      }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('vanish' as const), key }) },
  ),
  { minLength: 3, maxLength: 14 },
) as fc.Arbitrary<Step[]>

test('property: whoever reads after a write sees it or nothing, and the other program its own data', async () => {
  const [a, b] = [world.actor(), world.actor()]
  const users: readonly CacheView[] = [a.offUser, a.onUser, b.offUser, b.onUser]
  await fc.assert(
    fc.asyncProperty(steps, async (plan) => {
      const keys = [world.key(), world.key()]
      const names = keys.map((one) => `world m1:${one}`)
      const versions = [1, 1]
      const foreign: (readonly unknown[] | undefined)[] = [undefined, undefined]
      const underWay: (() => Promise<unknown>)[] = []
      const loads = new Set<number>()
      const look = async (i: number): Promise<readonly unknown[] | undefined> =>
        (await everything(escaped(names[i]!)))[names[i]!] as readonly unknown[] | undefined
      for (const step of plan) {
        if (step.do === 'end') {
          await Promise.all(underWay.splice(0).map((end) => end()))
          loads.clear()
          continue
        }
        const i = step.key
        const version = (): number => versions[i]!
        if (step.do === 'appear') {
          // It takes no key that the cache uses, in one step: a write that is under way may come between two.
          await kinds[step.kind]![1]('appearing')
          const taken = (await redis.renamenx('appearing', names[i]!)) === 0
          if (taken) await redis.del('appearing')
          if (taken) continue
          foreign[i] = await look(i)
          continue
        }
        if (step.do === 'vanish') {
          if (foreign[i] !== undefined) await redis.del(names[i]!)
          foreign[i] = undefined
          continue
        }
        const user = users[step.by]!
        if (step.do === 'set') {
          versions[i]! += 1
          await user.set(keys[i]!, version())
        } else if (step.do === 'delete') {
          versions[i]! += 1
          await user.delete(keys[i]!)
        } else if (step.do === 'read') {
          expect([undefined, version()]).toContain(await user.get(keys[i]!))
        } else if (step.do === 'load') {
          const before = version()
          const loading = user.getOrSet(keys[i]!, version)
          // It may wait for a load that is under way.
          underWay.push(async () => expect(await loading).toBeGreaterThanOrEqual(before))
          if (underWay.length === 1) await underWay.pop()!()
        } else if (!loads.has(i)) {
          loads.add(i)
          const [started, answer] = [deferred<void>(), deferred<number>()]
          const old = version()
          const loading = user.getOrSet(keys[i]!, () => {
            started.resolve()
            return answer.promise
          })
          await Promise.race([started.promise, loading])
          underWay.push(async () => {
            answer.resolve(old)
            await loading
          })
        }
        if (foreign[i] !== undefined) expect(await look(i)).toEqual(foreign[i])
      }
      await Promise.all(underWay.map((end) => end()))
      for (const i of [0, 1]) {
        for (const user of users) {
          expect([undefined, versions[i]]).toContain(await user.get(keys[i]!))
        }
        if (foreign[i] !== undefined) expect(await look(i)).toEqual(foreign[i])
      }
    }),
    { numRuns: Number(process.env['FOREIGN_RUNS'] ?? inFull(20, 60)) },
  )
}, 120_000)

function escaped(name: string): string {
  return name.replaceAll(/[*?[\]\\]/gu, String.raw`\$&`)
}

test('property: script and library agree on what is a cell', async () => {
  const { on } = world.actor()
  const whole = sealEnvelope(valueEnvelope('"v"', 9_000_000_000_000), 1)
  const first = `1v${'a'.repeat(12)}${'1'.repeat(26)}${'.'.repeat(12)}000000003|"v"`
  const changed = fc
    .tuple(fc.constantFrom(whole, first), fc.nat(80), fc.string({ maxLength: 3 }), fc.nat(2))
    .map(([text, at, by, removed]) => text.slice(0, at) + by + text.slice(at + removed))
  const texts = fc.array(fc.oneof(changed, anyText()), {
    minLength: 1,
    maxLength: 30,
  })
  await fc.assert(
    fc.asyncProperty(texts, async (plan) => {
      const keys = plan.map(() => world.key())
      await redis.mset(plan.flatMap((text, i) => [`world m1:${keys[i]}`, text]))
      const results = await Promise.all(keys.map((key) => on.invalidate(key, { within: 5000 })))
      expect(results.map(({ foreign = false }) => foreign)).toEqual(
        plan.map((text) => !isEnvelope(text)),
      )
    }),
    { numRuns: 20 },
  )
})
