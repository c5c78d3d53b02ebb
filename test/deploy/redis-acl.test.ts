import { readFileSync } from 'node:fs'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ANY, type CacheBackend, memoryCache, redisCache } from '../../src/cache/index.ts'
import { missingRights } from '../../src/cache/redis/rights.ts'
import { SwitchbackError } from '../../src/errors.ts'
import { createCacheSwitch, type SwitchEvent } from '../../src/switch/index.ts'
import { FixedDecider } from '../support/fixed-decider.ts'
import { startRedis, type TestRedis } from '../support/redis-server.ts'
import { until } from '../support/until.ts'
import { withWarnings } from '../support/with-warnings.ts'

// The ACL of docs/operate.md on a real Redis: it is enough, and each command in it is needed.
const page = readFileSync(new URL('../../docs/operate.md', import.meta.url), 'utf8')
const line = /^ACL SETUSER .*$/m.exec(page)?.[0] ?? ''
const words = line.split(' ')
const commands = words.filter((word) => word.startsWith('+')).map((word) => word.slice(1))

let redis: TestRedis

beforeAll(async () => {
  redis = await startRedis()
})

afterAll(() => redis.stop())

interface Opened {
  readonly cache: CacheBackend
  readonly warnings: SwitchbackError[]
}

function open(prefix?: string): Opened {
  const warnings: SwitchbackError[] = []
  const url = redis.url.replace('redis://', 'redis://switchback:change-me@')
  const onWarning = (warning: SwitchbackError): void => void warnings.push(warning)
  const cache = withWarnings(
    redisCache({ url, ...(prefix === undefined ? {} : { prefix }) }),
    onWarning,
  )
  return { cache, warnings }
}

/** Everything that a switch asks of Redis, full memory included. */
async function useAll(cache: CacheBackend): Promise<void> {
  const limits = { expect: ANY, within: 5_000 }
  const entry = { payload: '"v"', expiresAt: Date.now() + 60_000 }
  await redis.command('SCRIPT', 'FLUSH')
  expect((await cache.write('k', entry, limits)).written).toBe(true)
  const { token } = await cache.read('k')
  expect((await cache.write('k', entry, { ...limits, expect: token })).written).toBe(true)
  expect(await cache.invalidate('k', { within: 5_000 })).toMatchObject({
    done: true,
    existed: true,
  })
  // Somebody else's value under our key is left alone.
  await redis.command('SET', 'switchback:cache:k', 'garbage')
  expect(await cache.write('k', entry, limits)).toMatchObject({ written: false, foreign: true })
  await redis.command('DEL', 'switchback:cache:k')
  await cache.clear()
  await cache.ping()
  await follow(cache)
  await redis.command('CONFIG', 'SET', 'maxmemory', '1')
  try {
    await expect(cache.invalidate('k', { within: 5_000 })).rejects.toMatchObject({
      code: 'SB_REDIS_OUT_OF_MEMORY',
    })
  } finally {
    await redis.command('CONFIG', 'SET', 'maxmemory', '0')
  }
}

/** As a side beside it that other machines do not see. */
async function follow(cache: CacheBackend): Promise<void> {
  const heard: string[] = []
  const following = cache.follow!({
    changed: (name) => void heard.push(name),
    began: () => undefined,
    refused: (reason) => void heard.push(`refused: ${reason}`),
  })
  try {
    await until('it follows, or must not', () => following.provenAt > 0 || heard.length > 0)
    expect(heard.filter((text) => text.startsWith('refused'))).toEqual([])
    await redis.command('SET', 'switchback:cache:followed', 'x', 'PX', '1000')
    await until('it is told', () => heard.includes('followed'))
  } finally {
    following.close()
  }
}

async function outcome(): Promise<{ readonly error: unknown; readonly warned: string[] }> {
  const { cache, warnings } = open()
  try {
    return await useAll(cache).then(
      () => ({ error: undefined, warned: warnings.map(({ code }) => code) }),
      (error: unknown) => ({ error, warned: [] }),
    )
  } finally {
    await cache.close()
  }
}

describe('the ACL of docs/operate.md', () => {
  it('is enough', async () => {
    expect(await redis.command(...words)).toBe('OK')
    expect(await outcome()).toEqual({ error: undefined, warned: ['SB_REDIS_FOREIGN'] })
  })

  it('leaves other prefixes alone', async () => {
    await redis.command(...words)
    const { cache } = open('another:')
    await expect(cache.read('k')).rejects.toBeInstanceOf(SwitchbackError)
    await cache.close()
  })

  it.each(commands.filter((name) => name !== 'info'))('needs +%s', async (name) => {
    await redis.command(...words, `-${name}`)
    expect((await outcome()).error).toBeDefined()
  })

  it('warns without +info, and works', async () => {
    await redis.command(...words, '-info')
    const { error, warned } = await outcome()
    expect(error).toBeUndefined()
    expect(warned).toContain('SB_REDIS_ANONYMOUS')
  })

  describe('of two Redis sides', () => {
    const list = /^- Two Redis sides: also `(.*?)`/m.exec(page)?.[1] ?? ''
    const more = list.split(' ')
    async function useBoard(): Promise<void> {
      // What a call that was refused half-way has left behind.
      await redis.command('FLUSHALL')
      const { cache } = open()
      try {
        await cache.ping()
        const board = cache.board!
        const { now, stamp } = await board.tick(undefined)
        const word = { until: now + 500, stamp: '1800000000000.0123456789ab' }
        await board.tick({ says: 'c', ...word })
        await board.tick({ says: 'i', ...word })
        const [one, all] = [
          { key: 'k', value: 'g|0' },
          { key: undefined, value: 'g|0' },
        ]
        await board.note(one, stamp, 10)
        expect((await board.ask('k')).owes).toBe(true)
        expect(await board.list(10)).toEqual([one])
        expect(await board.settle(one)).toBe(true)
        await board.note(all, stamp, 10)
        expect(await board.settle(all)).toBe(true)
        await board.read('k', word.stamp)
      } finally {
        await cache.close()
      }
    }

    it('is enough', async () => {
      await redis.command(...words, ...more)
      await useBoard()
    })

    it.each(more)('needs %s', async (name) => {
      await redis.command(...words, ...more, name.replace('+', '-'))
      await expect(useBoard()).rejects.toBeInstanceOf(SwitchbackError)
    })
  })
})

describe('what is missing is named at the start', () => {
  const more = ['+hdel', '+hincrby', '+hkeys', '+hrandfield']

  async function missing(paired: boolean, ...rules: readonly string[]): Promise<readonly string[]> {
    await redis.command(...words, ...(paired ? more : []), ...rules)
    const client = new Redis(redis.port, {
      username: 'switchback',
      password: 'change-me',
      enableReadyCheck: false,
      retryStrategy: () => null,
    })
    try {
      return await missingRights(client, { prefix: 'switchback:cache:', paired })
    } finally {
      client.disconnect()
    }
  }

  it('nothing', async () => {
    expect(await missing(false)).toEqual([])
    expect(await missing(true)).toEqual([])
    expect(await redis.command('EXISTS', 'switchback:cache:#rights')).toBe('0')
  })

  // What only a follower needs is refused to the follower itself, which says so.
  const ofFollowers = new Set(['ping', 'subscribe', 'client|id', 'client|tracking'])
  const tried = [...commands, ...more.map((word) => word.slice(1))]
  it.each(tried.filter((name) => !ofFollowers.has(name)))('+%s', async (name) => {
    expect(await missing(true, `-${name}`)).toEqual([`+${name}`])
  })

  it('all of it, and the prefix', async () => {
    expect(await missing(true, 'resetkeys', '~other:*')).toEqual(['~switchback:cache:*'])
    expect(await missing(false, '-hset', '-scan')).toEqual(['+scan', '+hset'])
    expect(await missing(false, '-@all', '+auth')).toEqual(
      expect.arrayContaining(['+evalsha', '+eval', '+get', '+mget', '+scan']),
    )
    // Once: what scripts call is not found out only after they may run.
    expect(await missing(true, '-eval', '-evalsha', '-hset', '-pexpire')).toEqual(
      expect.arrayContaining(['+eval', '+evalsha', '+hset', '+del', '+hincrby']),
    )
  })

  it('as one event of a pair, with the line to run and what it means until then', async () => {
    await redis.command(...words, ...more, '-hincrby', '-hrandfield')
    const url = redis.url.replace('redis://', 'redis://switchback:change-me@')
    const events: SwitchEvent[] = []
    const cache = createCacheSwitch({
      flag: 'f',
      decider: new FixedDecider(),
      off: redisCache({ url: redis.url, prefix: 'old:', name: 'A' }),
      on: redisCache({ url, name: 'B' }),
      onEvent: (event) => events.push(event),
    })
    const warnings = (): readonly SwitchEvent[] => events.filter(({ type }) => type === 'warning')
    await until('it is told', () => warnings().length > 0)
    expect(warnings()).toMatchObject([{ code: 'SB_REDIS_RIGHTS', side: 'on', backend: 'B' }])
    expect(warnings()[0]!.detail).toMatch(
      /^The Redis user switchback lacks \+hrandfield \+hincrby: .* only the writer knows .* Run on Redis: ACL SETUSER switchback \+hrandfield \+hincrby$/u,
    )
    await cache.close()
  })

  it('and taken away while in use: told once, and the side stays out until it is granted again', async () => {
    await redis.command(...words)
    const url = redis.url.replace('redis://', 'redis://switchback:change-me@')
    const events: SwitchEvent[] = []
    const cache = createCacheSwitch({
      flag: 'f',
      decider: new FixedDecider({ a: 'on' }),
      off: memoryCache(),
      on: redisCache({ url, name: 'B' }),
      breaker: { failures: 2, probeIntervalMs: 20 },
      deadlineMs: 5000,
      onEvent: (event) => events.push(event),
    })
    const told = (): string[] =>
      events
        .map(({ type }) => type)
        .filter((type) => ['warning', 'side-out', 'side-back'].includes(type))
    const probes = async (): Promise<number> =>
      Number(/cmdstat_get:calls=(\d+)/.exec(await redis.command('INFO', 'commandstats'))?.[1])
    await until('the new side is used', async () => {
      await cache.for({ targetingKey: 'a' }).set('k', 1)
      return cache.health().on.outSince === 0
    })
    events.length = 0
    await redis.command(...words, '-set')
    let n = 0
    await until('the side is out', async () => {
      await cache.for({ targetingKey: 'a' }).set(`k${n++}`, 1)
      return told().includes('side-out')
    })
    const before = await probes()
    await until('it was probed', async () => (await probes()) > before + 4)
    expect(told().toSorted()).toEqual(['side-out', 'warning'])
    expect(events.find(({ type }) => type === 'warning')).toMatchObject({
      code: 'SB_REDIS_RIGHTS',
      detail: expect.stringContaining('ACL SETUSER switchback +set'),
    })
    await redis.command(...words)
    await until('it is back', () => told().includes('side-back'))
    expect(told().toSorted()).toEqual(['side-back', 'side-out', 'warning'])
    await cache.close()
  })
})
