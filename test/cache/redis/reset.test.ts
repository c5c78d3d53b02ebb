import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ANY, type CacheBackend, type Cell, NEVER, redisCache } from '../../../src/cache/index.ts'
import type { SwitchbackError } from '../../../src/errors.ts'
import { startRedis, type TestRedis } from '../../support/redis-server.ts'

const WITHIN = 5000

let redis: TestRedis
let backend: CacheBackend
let resets: number[] = []
let warnings: SwitchbackError[] = []

beforeEach(async () => {
  resets = []
  warnings = []
  redis = await startRedis()
  backend = redisCache({ url: redis.url, onWarning: (warning) => void warnings.push(warning) })
  backend.onReset?.((before) => void resets.push(before))
})

afterEach(async () => {
  await backend.close()
  await redis.stop()
})

async function put(payload: string): Promise<void> {
  const entry = { payload, expiresAt: NEVER }
  const { written } = await backend.write('k', entry, { expect: ANY, within: WITHIN })
  expect(written).toBe(true)
}

async function readAgain(): Promise<Cell> {
  for (;;) {
    try {
      return await backend.read('k')
    } catch {
      await delay(5)
    }
  }
}

describe('a Redis that may have lost acknowledged deletes', () => {
  test('the deleted value is back, and every read of it comes after the listeners are done', async () => {
    await put('v1')
    await redis.snapshot()
    await backend.invalidate('k', { within: WITHIN })
    let fenced = 0
    backend.onReset?.(async (before) => {
      await delay(100)
      fenced = before
    })
    await redis.kill()
    await redis.restart({ keepData: true })
    const cell = await readAgain()
    expect(cell).toMatchObject({ state: 'value', payload: 'v1' })
    expect(fenced).toBeGreaterThan(cell.writtenAt)
    expect(resets).toEqual([fenced])
    // What is written from now on is above the fence.
    await put('v2')
    await delay(2)
    await put('v3')
    expect((await backend.read('k')).writtenAt).toBeGreaterThanOrEqual(fenced)
  })

  test('each restart is told once, a lost connection is not', async () => {
    await put('v1')
    for (let i = 1; i <= 2; i++) {
      await redis.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'no').catch(() => '')
      expect(await readAgain()).toMatchObject({ payload: 'v1' })
    }
    expect(resets).toEqual([])
    for (let i = 1; i <= 2; i++) {
      await redis.restart({ keepData: true })
      expect(await readAgain()).toMatchObject({ payload: 'v1' })
      expect(resets).toHaveLength(i)
    }
  })

  test('a listener that fails keeps the store closed until it succeeds', async () => {
    await put('v1')
    let failures = 2
    backend.onReset?.(async () => {
      if (failures-- > 0) throw new Error('the ledger is full')
    })
    await redis.restart({ keepData: true })
    expect(await readAgain()).toMatchObject({ payload: 'v1' })
    expect(failures).toBeLessThan(0)
  })

  test('one that does not say who it is counts as another after every lost connection', async () => {
    await put('v1')
    await redis.command('ACL', 'SETUSER', 'default', '-info')
    const shy = redisCache({ url: redis.url, onWarning: (warning) => void warnings.push(warning) })
    const told: number[] = []
    shy.onReset?.((before) => void told.push(before))
    await shy.read('k')
    expect(told).toEqual([])
    await redis.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'no').catch(() => '')
    await expect
      .poll(
        () =>
          Promise.resolve(shy.read('k')).then(
            () => 'read',
            () => 'failed',
          ),
        { timeout: 5000 },
      )
      .toBe('read')
    expect(told).toHaveLength(1)
    expect(warnings.filter(({ code }) => code === 'SB_REDIS_ANONYMOUS').length).toBeGreaterThan(0)
    await shy.close()
  })
})
