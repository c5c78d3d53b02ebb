import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  ANY,
  type CacheBackend,
  type Cell,
  type KnownServers,
  NEVER,
  redisCache,
} from '../../../src/cache/index.ts'
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

describe('what earlier processes knew of Redis', () => {
  class Book implements KnownServers {
    servers: ReadonlyMap<string, string>
    constructor(servers: Readonly<Record<string, string>> = {}) {
      this.servers = new Map(Object.entries(servers))
    }
    recall(): ReadonlyMap<string, string> {
      return this.servers
    }
    remember(servers: ReadonlyMap<string, string>): void {
      this.servers = servers
    }
  }

  async function runId(): Promise<string> {
    return /run_id:(\w+)/.exec(await redis.command('INFO', 'server'))?.[1] ?? ''
  }

  test('is written down before anything is read, and anew after each restart', async () => {
    const book = new Book()
    const told: number[] = []
    backend.onReset?.((before) => void told.push(before), book)
    await backend.read('k')
    expect(book.servers).toEqual(new Map([['', await runId()]]))
    expect(told).toEqual([])
    await redis.restart()
    await readAgain()
    expect(book.servers).toEqual(new Map([['', await runId()]]))
    expect(told).toHaveLength(1)
  })

  test.each(['before', 'after'])(
    'another server is told, if asked %s it is met',
    async (moment) => {
      await put('v1')
      const { writtenAt } = await backend.read('k')
      const same = new Book({ '': await runId() })
      const other = new Book({ '': 'another' })
      for (const book of [same, other]) {
        const cache = redisCache({ url: redis.url, onWarning: () => {} })
        if (moment === 'after') await cache.read('k')
        const told: number[] = []
        cache.onReset?.((before) => void told.push(before), book)
        if (moment === 'before') await cache.read('k')
        expect(told).toHaveLength(book === same ? 0 : 1)
        if (book === other) expect(told[0]).toBeGreaterThan(writtenAt)
        expect(book.servers).toEqual(new Map([['', await runId()]]))
        await cache.close()
      }
    },
  )

  test('a book that can be neither read nor written changes nothing', async () => {
    const told: number[] = []
    const fail = (): never => {
      throw new Error('the disk is gone')
    }
    backend.onReset?.((before) => void told.push(before), { recall: fail, remember: fail })
    await put('v1')
    expect(await backend.read('k')).toMatchObject({ payload: 'v1' })
    expect(told).toEqual([])
  })
})
