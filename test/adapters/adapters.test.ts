import { Keyv } from 'keyv'
import { afterEach, describe, expect, test } from 'vitest'
import { keyvStore, unstorageDriver } from '../../src/adapters/index.ts'
import { memoryCache } from '../../src/cache/index.ts'
import { type CacheSwitch, createCacheSwitch } from '../../src/switch/index.ts'
import { FixedDecider } from '../support/fixed-decider.ts'

let caches: CacheSwitch[] = []
afterEach(async () => {
  await Promise.all(caches.map((cache) => cache.close()))
  caches = []
})

function make(): CacheSwitch {
  const cache = createCacheSwitch({
    flag: 'f',
    off: memoryCache(),
    on: memoryCache(),
    decider: new FixedDecider({ on: 'on' }),
    onEvent: () => {},
  })
  caches.push(cache)
  return cache
}

describe.each(['plain', 'with its own JSON'])('a Keyv over a cache, %s', (kind) => {
  const over = (cache: CacheSwitch, options: object = {}): Keyv =>
    new Keyv({
      store: keyvStore(cache),
      throwOnErrors: true,
      ...(kind === 'plain' ? { serialize: undefined, deserialize: undefined } : {}),
      ...options,
    } as never)

  test('does what Keyv promises', async () => {
    const keyv = over(make())
    expect(await keyv.get('k')).toBeUndefined()
    for (const value of ['text', ':text', 0, false, null, '', [1], { a: { b: null } }]) {
      expect(await keyv.set('k', value)).toBe(true)
      expect(await keyv.get('k')).toEqual(value)
      expect(await keyv.has('k')).toBe(true)
    }
    expect(await keyv.delete('k')).toBe(true)
    expect(await keyv.delete('k')).toBe(false)
    expect(await keyv.has('k')).toBe(false)
    await keyv.setMany([
      { key: 'a', value: 1 },
      { key: 'b', value: 2, ttl: 60_000 },
    ])
    expect(await keyv.getMany(['a', 'none', 'b'])).toEqual([1, undefined, 2])
    expect(await keyv.hasMany(['a', 'none'])).toEqual([true, false])
    expect(await keyv.delete(['a', 'b'])).toBe(true)
    expect(await keyv.getMany(['a', 'b'])).toEqual([undefined, undefined])
  })

  test('lets values expire, and says when', async () => {
    const keyv = over(make())
    await keyv.set('k', 1, 60_000)
    const raw = await keyv.get('k', { raw: true })
    expect(raw?.expires).toBeGreaterThan(Date.now())
    await keyv.set('k', 1, 20)
    await expect.poll(() => keyv.get('k')).toBeUndefined()
  })

  test('clears its own namespace only', async () => {
    const cache = make()
    const [one, other] = [over(cache, { namespace: 'one' }), over(cache, { namespace: 'other' })]
    await cache.set('k', 'direct')
    await one.set('k', 1)
    await other.set('k', 2)
    expect([await one.get('k'), await other.get('k')]).toEqual([1, 2])
    await one.clear()
    expect([await one.get('k'), await other.get('k')]).toEqual([undefined, 2])
    expect(await cache.get('k')).toBe('direct')
  })

  test('without a namespace shares the keys of the cache, and clears all', async () => {
    const cache = make()
    const keyv = over(cache, { namespace: '' })
    await keyv.set('k', 1)
    expect(await cache.has('k')).toBe(true)
    if (kind === 'plain') expect(await cache.get('k')).toEqual({ value: 1 })
    await keyv.setMany([{ key: ':k', value: 2 }])
    await keyv.set('undefined:k', 3)
    expect(await keyv.getMany(['k', ':k', 'undefined:k'])).toEqual([1, 2, 3])
    await keyv.clear()
    expect(await cache.has('k')).toBe(false)
  })

  test('serves both sides of the switch, and stays coherent', async () => {
    const cache = make()
    const [off, on] = ['off', 'on'].map(
      (targetingKey) =>
        new Keyv({ store: keyvStore(cache.for({ targetingKey })), serialize: undefined } as never),
    ) as [Keyv, Keyv]
    await off.set('k', 1)
    expect(await on.get('k')).toBe(1)
    await on.set('k', 2)
    expect(await off.get('k')).toBe(2)
    await off.delete('k')
    expect(await on.get('k')).toBeUndefined()
  })
})

describe('an unstorage driver over a cache', () => {
  // As unstorage calls it: test/consumers/keyv-unstorage has the library itself.
  test('keeps items, once as JSON', async () => {
    const cache = make()
    const driver = unstorageDriver(cache)
    expect(await driver.getItem('k')).toBeNull()
    for (const text of ['text', '5', '{"a":[1,null]}', '[1]', '{not JSON', 'null']) {
      await driver.setItem('k', text)
      const item = await driver.getItem('k')
      expect(typeof item === 'string' ? item : JSON.stringify(item)).toBe(text)
      expect(await driver.hasItem('k')).toBe(true)
    }
    await driver.setItem('o', '{"a":1}')
    expect(await cache.get('o')).toEqual({ a: 1 })
    expect(await driver.getItems([{ key: 'o' }, { key: 'none' }])).toEqual([
      { key: 'o', value: { a: 1 } },
      { key: 'none', value: null },
    ])
    await driver.removeItem('k')
    expect(await driver.hasItem('k')).toBe(false)
    await driver.setItem('k', 'v', { ttl: 0.02 })
    await expect.poll(() => driver.hasItem('k')).toBe(false)
  })

  test('clears a mount, and a namespace alone; says that it cannot list', async () => {
    const cache = make()
    const part = unstorageDriver(cache.namespace('part'))
    await cache.set('k', 1)
    await part.setItem('k', 'v')
    await part.setItem('l', 'v')
    await part.clear()
    expect(await part.hasItem('l')).toBe(false)
    await part.setItem('k', 'v')
    await part.clear('')
    expect(await part.hasItem('k')).toBe(false)
    expect(await cache.get('k')).toBe(1)
    await unstorageDriver(cache).clear('')
    expect(await cache.get('k')).toBeUndefined()
    await expect(part.getKeys('')).rejects.toMatchObject({ code: 'SB_NOT_LISTABLE' })
    await expect(part.clear('sub:')).rejects.toMatchObject({ code: 'SB_NOT_LISTABLE' })
  })
})
