import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  ANY,
  type CacheBackend,
  type Cell,
  type Heard,
  NEVER,
  redisCache,
} from '../../../src/cache/index.ts'
import type { SwitchbackError } from '../../../src/errors.ts'
import { startRedis, type TestRedis } from '../../support/redis-server.ts'
import { WallClock } from '../../chaos/wall-clock.ts'
import { withWarnings } from '../../support/with-warnings.ts'

const WITHIN = 5000
/** Where a machine stands that has met no server yet. */
const NEW = { era: 0, fence: 0, at: 0 }

let redis: TestRedis
let backend: CacheBackend
let heard: Heard[] = []
let warnings: SwitchbackError[] = []
const onWarning = (warning: SwitchbackError): void => void warnings.push(warning)

beforeEach(async () => {
  heard = []
  warnings = []
  redis = await startRedis()
  backend = withWarnings(redisCache({ url: redis.url }), onWarning)
  backend.onEra?.((one) => void heard.push(one))
})

afterEach(async () => {
  await backend.close()
  await redis.stop()
})

async function put(payload: string, cache = backend): Promise<void> {
  const entry = { payload, expiresAt: NEVER }
  const { written } = await cache.write('k', entry, { expect: ANY, within: WITHIN })
  expect(written).toBe(true)
}

async function readAgain(cache = backend): Promise<Cell> {
  for (;;) {
    try {
      return await cache.read('k')
    } catch {
      await delay(5)
    }
  }
}

const eras = (): number[] => [...new Set(heard.map(({ era }) => era))]

describe('a Redis that may have lost acknowledged deletes begins another era', () => {
  test('a restart from a snapshot: the deleted value is back, and is not seen', async () => {
    await put('v1')
    await redis.snapshot()
    await backend.invalidate('k', { within: WITHIN })
    await redis.kill()
    await redis.restart({ keepData: true })
    const cell = await readAgain()
    expect(cell).toMatchObject({ state: 'absent', payload: '' })
    // Its token is known, so that it can be replaced.
    const entry = { payload: 'v2', expiresAt: NEVER }
    const { written } = await backend.write('k', entry, {
      expect: cell.token,
      era: cell.era!,
      within: WITHIN,
    })
    expect(written).toBe(true)
    expect(await backend.read('k')).toMatchObject({ state: 'value', payload: 'v2' })
    expect(eras()).toHaveLength(2)
  })

  test('its clock is set ahead: a load that missed before the delete does not land, the tombstone being gone', async (context) => {
    const clock = WallClock.make(redis.dir, 'redis')
    if (clock === undefined) return context.skip('there is no C compiler')
    const ahead = await startRedis({ env: clock.env })
    const cache = redisCache({ url: ahead.url })
    try {
      const met: number[] = []
      cache.onEra?.(({ era }) => void met.push(era))
      const missed = await cache.read('k')
      await cache.invalidate('k', { within: WITHIN })
      clock.step(3_600_000)
      const entry = { payload: 'v1', expiresAt: NEVER }
      const condition = { expect: missed.token, era: missed.era!, within: WITHIN }
      expect((await cache.write('k', entry, condition)).written).toBe(false)
      // Nor once the clock is known: its own refusal told it, and then every tick does.
      expect((await cache.write('k', entry, condition)).written).toBe(false)
      expect(await cache.read('k')).toMatchObject({ state: 'absent', token: '' })
      await put('v2', cache)
      expect(await cache.read('k')).toMatchObject({ payload: 'v2' })
      expect(new Set(met).size).toBe(2)
    } finally {
      await cache.close()
      await ahead.stop()
      clock.close()
    }
  })

  test('a lost connection alone does not', async () => {
    await put('v1')
    for (let i = 0; i < 2; i++) {
      await redis.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'no').catch(() => '')
      expect(await readAgain()).toMatchObject({ payload: 'v1' })
    }
    expect(eras()).toHaveLength(1)
  })

  test('FLUSHALL on an open connection: a load that missed before does not land', async () => {
    const missed = await backend.read('k')
    await redis.command('FLUSHALL')
    const entry = { payload: 'v1', expiresAt: NEVER }
    const condition = { expect: missed.token, era: missed.era!, within: WITHIN }
    expect((await backend.write('k', entry, condition)).written).toBe(false)
    expect((await backend.read('k')).state).toBe('absent')
    // Whoever missed in the new era may write.
    await put('v2')
    expect(await backend.read('k')).toMatchObject({ payload: 'v2' })
    expect(eras()).toHaveLength(2)
  })

  test('REPLICAOF on a live master and back: what the copy held is not seen', async () => {
    const copy = await startRedis()
    try {
      await put('v1')
      await copy.command('REPLICAOF', '127.0.0.1', String(redis.port))
      await expect
        .poll(() => copy.command('EXISTS', 'switchback:cache:k'), { timeout: 10_000 })
        .toBe('1')
      await copy.command('REPLICAOF', 'NO', 'ONE')
      await backend.invalidate('k', { within: WITHIN })
      await redis.command('REPLICAOF', '127.0.0.1', String(copy.port))
      await expect
        .poll(() => redis.command('GETRANGE', 'switchback:cache:k', '74', '75'), {
          timeout: 10_000,
        })
        .toBe('v1')
      await redis.command('REPLICAOF', 'NO', 'ONE')
      await expect.poll(() => eras().length, { timeout: 10_000 }).toBeGreaterThan(1)
      expect(await readAgain()).toMatchObject({ state: 'absent', payload: '' })
    } finally {
      await copy.stop()
    }
  })

  test('a listener that fails keeps the store closed until it succeeds', async () => {
    await put('v1')
    let failures = 2
    backend.onEra?.(async () => {
      if (failures-- > 0) throw new Error('the ledger is full')
    })
    await redis.restart({ keepData: true })
    await readAgain()
    expect(failures).toBeLessThan(0)
  })

  test('what a replaced server holds is read only when its era was noted, and by that era', async () => {
    await put('v1')
    await redis.snapshot()
    await backend.invalidate('k', { within: WITHIN })
    const told: string[] = []
    let read: Promise<unknown> | undefined
    backend.onEra?.(async ({ changed }) => {
      if (!changed) return
      read = Promise.resolve(backend.read('k')).then(
        ({ state }) => told.push(state),
        () => told.push('failed'),
      )
      // Its answer is there long before.
      await Promise.race([read, delay(200)])
      told.push('noted')
    })
    await redis.kill()
    await redis.restart({ keepData: true })
    await readAgain()
    await read
    expect(told).toEqual(['noted', 'absent'])
  })

  test('one that does not say who it is counts as another on every new connection', async () => {
    await put('v1')
    await redis.command('ACL', 'SETUSER', 'default', '-info')
    const shy = withWarnings(redisCache({ url: redis.url }), onWarning)
    await put('v2', shy)
    expect(await shy.read('k')).toMatchObject({ payload: 'v2' })
    await redis.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'no').catch(() => '')
    expect((await readAgain(shy)).state).toBe('absent')
    expect(warnings.filter(({ code }) => code === 'SB_REDIS_ANONYMOUS').length).toBeGreaterThan(0)
    await shy.close()
  })

  test('clear leaves the state, and no key is the state', async () => {
    await put('v1')
    await backend.clear()
    expect((await backend.read('k')).state).toBe('tombstone')
    expect(await redis.command('TYPE', 'switchback:cache:#state')).toBe('hash')
    await backend.write(
      '#state',
      { payload: 'mine', expiresAt: NEVER },
      { expect: ANY, within: WITHIN },
    )
    expect(await redis.command('TYPE', 'switchback:cache:#state')).toBe('hash')
    expect(eras()).toHaveLength(1)
  })
})

test("another program's data in the place of the state is left alone, and nothing is used meanwhile", async () => {
  await put('v1')
  const outcome = (): Promise<string> =>
    Promise.resolve(backend.read('k')).then(
      ({ state }) => state,
      ({ code }: SwitchbackError) => code,
    )
  await redis.command('SET', 'switchback:cache:#state', 'of another program')
  await expect.poll(() => outcome(), { timeout: 20_000 }).toBe('SB_REDIS_FOREIGN')
  expect(await redis.command('GET', 'switchback:cache:#state')).toBe('of another program')
  await redis.command('DEL', 'switchback:cache:#state')
  await expect.poll(() => outcome(), { timeout: 20_000 }).toBe('absent')
})

describe('processes of different settings', () => {
  test('the longest tombstoneTtl is used by all, with a warning', async () => {
    await backend.read('k')
    const brief = withWarnings(redisCache({ url: redis.url, tombstoneTtl: 50 }), onWarning)
    await brief.read('k')
    expect(brief.tombstoneTtl).toBe(120_000)
    expect(warnings.map(({ code }) => code)).toEqual(['SB_TOMBSTONE_TTL_RAISED'])
    await brief.invalidate('k', { within: WITHIN })
    expect(Number(await redis.command('PTTL', 'switchback:cache:k'))).toBeGreaterThan(60_000)
    await brief.close()
  })

  test('one prefix and two file stores: each is told of the other', async () => {
    backend.join?.({ pair: '', owner: () => 'one' })
    await expect
      .poll(() => redis.command('HGET', 'switchback:cache:#state', 'owner'), { timeout: 5000 })
      .toBe('one')
    const second = withWarnings(redisCache({ url: redis.url }), onWarning)
    const heard: (string | undefined)[] = []
    second.onEra?.(({ others }) => void heard.push(others))
    second.join?.({ pair: '', owner: () => 'two', stand: () => NEW })
    await second.read('k')
    // It may have taken the place of the first, until that one says that it is there.
    expect(heard[0]).toBe('perhaps')
    const first: (string | undefined)[] = []
    backend.onEra?.(({ others }) => void first.push(others))
    await expect.poll(() => first.at(-1), { timeout: 5000 }).toBe('known')
    await expect.poll(() => heard.at(-1), { timeout: 5000 }).toBe('known')
    await second.close()
  })

  test('a new file store takes the place of one that is gone; that one, if it is back, is told', async () => {
    const state = 'switchback:cache:#state'
    const others = async (owner: string, stand = NEW): Promise<string | undefined> => {
      const one = withWarnings(redisCache({ url: redis.url }), onWarning)
      let told: string | undefined
      one.onEra?.((heard) => void (told = heard.others))
      one.join?.({ pair: '', owner: () => owner, stand: () => stand })
      await one.read('k')
      await one.close()
      // As long as it takes for it to count as gone.
      await redis.command('HSET', state, 'seen', '1')
      return told
    }
    expect(await others('one')).toBeUndefined()
    expect(await others('two')).toBeUndefined()
    expect(await others('one', { ...NEW, era: 1 })).toBe('met')
    expect(await others('three')).toBe('known')
  })
})
