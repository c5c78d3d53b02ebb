import { describe, expect, test } from 'vitest'
import { type CacheBackend, memoryCache } from '../../src/cache/index.ts'
import { TurnReads } from '../../src/cache/redis/cell-reads.ts'
import type { RedisNode } from '../../src/cache/redis/connection/redis-client.ts'
import {
  type CacheSwitchOptions,
  createCacheSwitch,
  MemoryLedger,
  type SwitchEvent,
} from '../../src/switch/index.ts'
import { FixedDecider } from '../support/fixed-decider.ts'
import { GatedBackend } from '../support/gated-backend.ts'

function parts(off: CacheBackend, on: CacheBackend): CacheSwitchOptions {
  const decider = new FixedDecider({ on: 'on' })
  return { flag: 'f', off, on, decider, onEvent: () => {} }
}

function failing(): CacheBackend {
  const backend = memoryCache()
  const fail = (): never => {
    throw new Error('out')
  }
  return Object.assign(backend, { read: fail, write: fail, invalidate: fail, ping: fail })
}

describe('after close()', () => {
  test('every operation is refused', async () => {
    const cache = createCacheSwitch(parts(memoryCache(), memoryCache()))
    const user = cache.for({ targetingKey: 'on' })
    await cache.close()
    for (const run of [
      () => user.get('k'),
      () => user.set('k', 1),
      () => user.getOrSet('k', () => 1),
      () => user.has('k'),
      () => user.delete('k'),
      () => user.deleteMany(['k']),
      () => user.getMany(['k']),
      () => user.setMany([['k', 1]]),
      () => user.namespace('n').set('k', 1),
      () => user.clear(),
    ]) {
      await expect(run()).rejects.toMatchObject({ code: 'SB_CLOSED' })
    }
    await cache.close()
  })

  test('a write under way is finished first, on both sides', async () => {
    const [off, on] = [new GatedBackend(memoryCache()), new GatedBackend(memoryCache())]
    // It would forget what it holds.
    off.inner.close = async () => {}
    const cache = createCacheSwitch(parts(off as CacheBackend, on as CacheBackend))
    const user = cache.for({ targetingKey: 'on' })
    await cache.for(undefined).set('k', 1)
    const gate = off.hold('invalidate', 'before')
    const setting = user.set('k', 2)
    await gate.reached
    const closing = cache.close()
    gate.open()
    await Promise.all([setting, closing])
    expect((await off.inner.read('k')).state).toBe('tombstone')
  })

  test('an orderly stop raises no alarm', async () => {
    const events: SwitchEvent[] = []
    const cache = createCacheSwitch({
      ...parts(failing(), failing()),
      onEvent: (event) => events.push(event),
    })
    const closing = Promise.all(Array.from({ length: 20 }, (_, i) => cache.set(`k${i}`, i)))
    await Promise.all([closing, cache.close()])
    expect(events).toEqual([])
  })
})

describe('listeners that fail harm nobody', () => {
  test.each([
    [
      'throws',
      (): never => {
        throw new Error('the logger is down')
      },
    ],
    ['rejects', async (): Promise<never> => Promise.reject(new Error('the logger is down'))],
  ] as const)('%s', async (_how, listener) => {
    const cache = createCacheSwitch({ ...parts(memoryCache(), failing()), onEvent: listener })
    const user = cache.for({ targetingKey: 'on' }, { onOperation: listener })
    for (let i = 0; i < 20; i += 1) {
      expect(await user.getOrSet(`k${i}`, () => i)).toBe(i)
      await user.set(`k${i}`, i)
      await user.get(`k${i}`)
    }
    expect(cache.health().on.ok).toBe(false)
    await cache.close()
  })
})

test('an answer to MGET that is no list rejects the reads, and nothing else', async () => {
  const reads = new TurnReads({ mget: async () => null } as unknown as RedisNode)
  await expect(reads.add('a').texts).rejects.toThrow()
})

test('a ledger that cannot be asked: neither side is trusted, and health says so', async () => {
  const ledger = new MemoryLedger()
  const off = Object.assign(memoryCache(), { ledger })
  const cache = createCacheSwitch(parts(off, memoryCache()))
  const user = cache.for({ targetingKey: 'on' })
  await user.set('k', 'v1')
  expect(await user.get('k')).toBe('v1')
  ledger.trustedFrom = () => {
    throw new Error('the disk is gone')
  }
  expect(await user.get('k')).toBeUndefined()
  expect(await user.getOrSet('k', () => 'loaded')).toBe('loaded')
  expect(cache.health().on).toMatchObject({ ok: false })
  expect(cache.health().on.detail).toContain('the disk is gone')
  // What it cannot write down is remembered and delivered all the same.
  ledger.list = ledger.trustedFrom as never
  await user.set('k', 'v2')
  delete (ledger as Partial<MemoryLedger>).trustedFrom
  expect(await user.get('k')).not.toBe('v1')
  await cache.close()
})

describe('arguments in the wrong place', () => {
  const cache = createCacheSwitch(parts(memoryCache(), memoryCache()))

  test('a time to live that is not in an object of options', async () => {
    for (const ttl of [50, '50ms'] as never[]) {
      await expect(cache.set('k', 1, ttl)).rejects.toMatchObject({ code: 'SB_TTL_INVALID' })
      await expect(cache.getOrSet('k', () => 1, ttl)).rejects.toMatchObject({
        code: 'SB_TTL_INVALID',
      })
    }
  })

  test('a user in place of an evaluation context', () => {
    expect(() => cache.for('user_1' as never)).toThrow(
      expect.objectContaining({
        code: 'SB_OPTION_INVALID',
        hint: expect.stringContaining('targetingKey'),
      }),
    )
  })
})
