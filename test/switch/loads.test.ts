import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type CacheBackend, memoryCache } from '../../src/cache/index.ts'
import {
  type CacheSwitch,
  type CacheSwitchOptions,
  createCacheSwitch,
} from '../../src/switch/index.ts'
import { deferred } from '../support/deferred.ts'
import { FixedDecider } from '../support/fixed-decider.ts'

let caches: CacheSwitch[] = []
let stores: CacheBackend[] = []

beforeEach(() => {
  caches = []
})
afterEach(() => Promise.all(caches.map((cache) => cache.close())))

function make(
  options: Pick<CacheSwitchOptions, 'originConcurrency' | 'originQueue' | 'loadMs' | 'codec'> = {},
): CacheSwitch {
  const [off, on] = [memoryCache(), memoryCache()]
  stores = [off, on]
  const cache = createCacheSwitch({
    flag: 'f',
    off,
    on,
    decider: new FixedDecider(),
    originConcurrency: 2,
    onEvent: () => {},
    ...options,
  })
  caches.push(cache)
  return cache
}

describe('loads that ask a cache themselves', () => {
  test('hold no second place: as many as there are places end', async () => {
    const cache = make()
    const user = (id: number): Promise<string> =>
      cache.getOrSet(`user ${id}`, async () => {
        await new Promise((resolve) => setImmediate(resolve))
        return `user of ${await cache.getOrSet(`org ${id}`, () => `org ${id}`)}`
      })
    const users = await Promise.all([1, 2, 3, 4].map(user))
    expect(users).toEqual([1, 2, 3, 4].map((id) => `user of org ${id}`))
  })

  test.each([64, 65, 1000])('%i at once, each with another load inside, all end', async (count) => {
    const cache = make({ originConcurrency: 64 })
    const user = (id: number): Promise<number> =>
      cache.getOrSet(`user ${id}`, async () => {
        await new Promise((resolve) => setImmediate(resolve))
        return cache.getOrSet(`org ${id}`, async () => {
          await new Promise((resolve) => setImmediate(resolve))
          return id
        })
      })
    const ids = Array.from({ length: count }, (_, id) => id)
    expect(await Promise.all(ids.map(user))).toEqual(ids)
  })

  test('a thousand, each inside the one before, end', async () => {
    const cache = make()
    const level = (depth: number): Promise<number> =>
      cache.getOrSet(`level ${depth}`, async () => (depth === 0 ? 0 : 1 + (await level(depth - 1))))
    expect(await level(1000)).toBe(1000)
  })

  test('whose caller is not known any more get a place after loadMs', async () => {
    const cache = make({ loadMs: 30 })
    // A queue of jobs that was there before any load: what it runs has no part in their context.
    const jobs: (() => void)[] = []
    const pump = setInterval(() => jobs.shift()?.(), 1)
    const user = (id: number): Promise<string> =>
      cache.getOrSet(
        `user ${id}`,
        () =>
          new Promise<string>((resolve) => {
            jobs.push(() => resolve(cache.getOrSet(`org ${id}`, () => `org ${id}`)))
          }),
      )
    const users = await Promise.all([1, 2, 3, 4, 5].map(user))
    clearInterval(pump)
    expect(users).toEqual([1, 2, 3, 4, 5].map((id) => `org ${id}`))
  })

  test('hold no second place in another cache either', async () => {
    const [one, other] = [make(), make()]
    const load = (cache: CacheSwitch, key: string, next: () => unknown): Promise<unknown> =>
      cache.getOrSet(key, async () => {
        await new Promise((resolve) => setImmediate(resolve))
        return next()
      })
    const ended = await Promise.all(
      [1, 2].flatMap((i) => [
        load(one, `a${i}`, () => load(other, `b${i}`, () => 1)),
        load(other, `c${i}`, () => load(one, `d${i}`, () => 1)),
      ]),
    )
    expect(ended).toEqual([1, 1, 1, 1])
  })

  test('do not wait for a load that waits for their place', async () => {
    const cache = make()
    const gate = deferred<void>()
    const user = (id: number): Promise<unknown> =>
      cache.getOrSet(`user ${id}`, async () => {
        await gate.promise
        return cache.getOrSet('org', () => 'for a user')
      })
    const users = [user(1), user(2)]
    await new Promise((resolve) => setImmediate(resolve))
    const queued = cache.getOrSet('org', () => 'for itself')
    await new Promise((resolve) => setImmediate(resolve))
    gate.resolve()
    expect(await Promise.all(users)).toEqual(['for a user', 'for a user'])
    await queued
  })

  test('the same key again, and two that ask for each other, wait for nobody in vain', async () => {
    const cache = make()
    expect(await cache.getOrSet('s', () => cache.getOrSet('s', () => 'inner'))).toBe('inner')

    const bothRun = deferred<void>()
    let running = 0
    const circle = (key: string, other: string): Promise<string> =>
      cache.getOrSet(key, async () => {
        running += 1
        if (running === 2) bothRun.resolve()
        await bothRun.promise
        return cache.getOrSet(other, () => `${other} itself`)
      })
    const [x, y] = await Promise.all([circle('x', 'y'), circle('y', 'x')])
    expect([x, y].some((value) => value.endsWith('itself'))).toBe(true)
  })
})

describe('loads that never end', () => {
  test('give their place to others after loadMs', async () => {
    const cache = make({ loadMs: 20 })
    const never = deferred<string>()
    const stuck = ['a', 'b'].map((key) => cache.getOrSet(key, () => never.promise))
    expect(await cache.getOrSet('c', () => 'loaded')).toBe('loaded')
    never.resolve('late')
    expect(await Promise.all(stuck)).toEqual(['late', 'late'])
  })

  test('let no more wait than originQueue: the next is told at once', async () => {
    const cache = make({ originQueue: 1 })
    const load = deferred<string>()
    const all = ['a', 'b', 'c'].map((key) => cache.getOrSet(key, () => load.promise))
    await new Promise((resolve) => setImmediate(resolve))
    await expect(cache.getOrSet('d', () => 'd')).rejects.toMatchObject({ code: 'SB_LOADS_BUSY' })
    load.resolve('loaded')
    expect(await Promise.all(all)).toEqual(['loaded', 'loaded', 'loaded'])
    expect(await cache.getOrSet('d', () => 'd')).toBe('d')
  })
})

describe('however many callers miss a key at once', () => {
  test('where no side answers: one load, and one for all who came meanwhile', async () => {
    const out = (): never => {
      throw new Error('out')
    }
    const cache = make()
    for (const side of stores) Object.assign(side, { read: out, write: out, invalidate: out })
    let loads = 0
    const first = deferred<void>()
    const load = async (): Promise<number> => {
      loads += 1
      if (loads === 1) await first.promise
      return loads
    }
    const rush = (): Promise<unknown>[] =>
      Array.from({ length: 50 }, () => cache.getOrSet('k', load))
    const early = rush()
    await new Promise((resolve) => setImmediate(resolve))
    expect(loads).toBe(1)
    // These began after the load, and what it brings may be older than what they may see.
    const late = rush()
    await new Promise((resolve) => setImmediate(resolve))
    first.resolve()
    expect(new Set(await Promise.all(early))).toEqual(new Set([1]))
    expect(new Set(await Promise.all(late))).toEqual(new Set([2]))
    await cache.getOrSet('k', load)
    expect(loads).toBe(3)
  })

  test('what cannot be decoded is replaced by the first load', async () => {
    const cache = make({
      codec: {
        encode: (value) => JSON.stringify(value),
        decode: (text) => {
          if (text.includes('of another version')) throw new Error('unreadable')
          return JSON.parse(text)
        },
      },
    })
    await cache.set('k', 'of another version')
    let loads = 0
    for (let i = 0; i < 5; i += 1) await cache.getOrSet('k', () => (loads += 1))
    expect(loads).toBe(1)
  })
})
