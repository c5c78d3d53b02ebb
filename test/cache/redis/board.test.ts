import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  ANY,
  type Board,
  type BoardState,
  type CacheBackend,
  NEVER,
  redisCache,
  type Word,
} from '../../../src/cache/index.ts'
import { startRedis, type TestRedis } from '../../support/redis-server.ts'
import { withWarnings } from '../../support/with-warnings.ts'

const STATE = 'switchback:cache:#state'
const FAR = 9_000_000_000_000
const YEARS_AGO = '1600000000000'
const MOST = 3

let redis: TestRedis
let backend: CacheBackend
let board: Board
let heard: BoardState

beforeEach(async () => {
  redis = await startRedis()
  backend = withWarnings(redisCache({ url: redis.url }))
  board = backend.board!
  await backend.ping()
  heard = await board.tick(undefined)
})

afterEach(async () => {
  await backend.close()
  await redis.stop()
})

const field = (name: string): Promise<string> => redis.command('HGET', STATE, name)
const setField = (...args: string[]): Promise<string> => redis.command('HSET', STATE, ...args)
const gone = (name: string): Promise<boolean> =>
  redis.command('HEXISTS', STATE, name).then((there) => there === '0')

/** Stamps as another store would have them. */
const stampOf = (i: number): string => `180000000000${i}.${'0'.repeat(11)}${i}`
async function tick(says?: Word['says'], more: Partial<Word> = {}): Promise<BoardState> {
  const { until = heard.now + 1000, stamp = says === 'c' || says === 'i' ? stampOf(1) : '' } = more
  heard = await board.tick(says && { says, until, stamp })
  return heard
}
/** The licence that the store would give for ever, if the next word did not say otherwise. */
const licenceLives = (): Promise<string> => setField('licence', String(FAR))
const licensed = async (): Promise<boolean> => !(await gone('licence'))

describe('the licence of a store', () => {
  test('is given by a board that is clear, and ends at the time named', async () => {
    expect(await licensed()).toBe(false)
    const until = heard.now + 1000
    await tick('c', { until })
    expect(await field('licence')).toBe(String(until))
    expect(await field('peer')).toBe(stampOf(1))
    await expect.poll(() => tick().then(() => licensed())).toBe(false)
    expect(board.licensed).toBe(false)
  })

  test('is not given by a word that comes late, or that is from before a step of the clock', async () => {
    await tick('c', { until: heard.now })
    expect(await licensed()).toBe(false)
    await tick('c', { until: heard.now + 60_000 })
    expect(await licensed()).toBe(false)
  })

  test('ends when the board is indebted', async () => {
    await tick('c')
    await licenceLives()
    await tick('i')
    expect(await licensed()).toBe(false)
    expect(board.licensed).toBe(false)
  })

  test('a step of the clock ends it, back or forward', async () => {
    await tick('c')
    for (const last of [String(FAR), YEARS_AGO]) {
      await licenceLives()
      await setField('last', last)
      await tick()
      expect(await licensed()).toBe(false)
    }
  })

  test('is prolonged in the absence of the other store only while it lives and nobody renews it', async () => {
    await tick('c')
    const era = await field('era')
    await licenceLives()
    await tick('o')
    expect(await field('licence'), 'renewed of late').toBe(String(FAR))
    await redis.command('HDEL', STATE, 'licence')
    await tick('o')
    expect(await licensed(), 'ended').toBe(false)
    // Less than half of it is left: somebody who reads the board would have renewed it.
    await expect
      .poll(async () => {
        await setField('licence', String(heard.now + 400))
        const until = heard.now + 900
        await tick('o', { until })
        return (await field('licence')) === String(until)
      })
      .toBe(true)
    expect(await field('era')).toBe(era)
  })

  test('that has ended comes back in absence only in a new era, after a long silence', async () => {
    const { stamp } = await tick('c')
    const era = await field('era')
    await redis.command('HDEL', STATE, 'licence')
    await tick('s')
    expect(await field('era'), 'the board has just spoken').toBe(era)
    expect(await licensed()).toBe(false)
    await setField('said', YEARS_AGO)
    const { stamp: after } = await tick('s')
    expect(await field('era')).not.toBe(era)
    expect(after, 'what is pending for the other store stands here as before').toBe(stamp)
    expect(await licensed()).toBe(true)
  })

  test('another board than the one that vouched: cold, unless the licence lived until then', async () => {
    const { stamp } = await tick('c')
    const era = await field('era')
    await licenceLives()
    await tick('c', { stamp: stampOf(2) })
    expect(await field('era'), 'nothing was acknowledged').toBe(era)
    await redis.command('HDEL', STATE, 'licence')
    const { stamp: after } = await tick('c', { stamp: stampOf(3) })
    expect(await field('era'), 'debts may have been lost with the board').not.toBe(era)
    expect(after, 'its own board lost nothing').toBe(stamp)
    expect(await licensed()).toBe(true)
  })

  test('an era that its store was asked to begin leaves the board as it is', async () => {
    const { stamp } = await tick('c')
    const era = await field('era')
    await backend.renew!()
    expect((await tick()).stamp).toBe(stamp)
    expect(await field('era')).not.toBe(era)
  })

  test('an older board is not heard while the newer one speaks', async () => {
    await tick('c', { stamp: stampOf(5) })
    const era = await field('era')
    await redis.command('HDEL', STATE, 'licence')
    await tick('c', { stamp: stampOf(4) })
    expect(await field('era')).toBe(era)
    expect(await licensed()).toBe(false)
    expect(await field('peer')).toBe(stampOf(5))
    await setField('said', YEARS_AGO)
    await tick('c', { stamp: stampOf(4) })
    expect(await field('era')).not.toBe(era)
    expect(await field('peer')).toBe(stampOf(4))
  })

  test('FLUSHALL and a restart from a snapshot: gone, with the era and the board that vouched', async () => {
    const { stamp } = await tick('c')
    await licenceLives()
    await redis.snapshot()
    await redis.command('FLUSHALL')
    const flushed = await tick()
    expect(flushed.stamp).not.toBe(stamp)
    expect(await licensed()).toBe(false)
    expect(await gone('peer')).toBe(true)
    await redis.kill()
    await redis.restart({ keepData: true })
    await expect.poll(() => tick().catch(() => undefined)).toBeTruthy()
    expect(heard.stamp).not.toBe(stamp)
    expect(await licensed()).toBe(false)
    expect(await gone('peer')).toBe(true)
  })

  test('a replica gives none', async () => {
    const other = await startRedis()
    try {
      await tick('c')
      await redis.command('REPLICAOF', '127.0.0.1', String(other.port))
      await expect(tick('c')).rejects.toThrow()
      expect(board.licensed).toBe(false)
    } finally {
      await other.stop()
    }
  })
})

describe('the board', () => {
  const note = (key: string | undefined, value = 'g1|0') =>
    board.note(key === undefined ? undefined : { key, value }, heard.stamp, MOST)

  test('what is noted is owed, listed, counted, and settled by its generation', async () => {
    expect(await board.ask('k')).toEqual({ stamp: heard.stamp, owes: false })
    expect((await note('k'))!.leftMs).toBe(1000)
    expect(await board.ask('k')).toEqual({ stamp: heard.stamp, owes: true })
    expect((await board.ask('other')).owes).toBe(false)
    expect(await tick()).toMatchObject({ owing: true, owed: 1 })
    await note('k', 'g2|0')
    expect(await tick()).toMatchObject({ owed: 1 })
    expect(await board.list(10)).toEqual([{ key: 'k', value: 'g2|0' }])
    expect(await board.settle({ key: 'k', value: 'g1|0' })).toBe(false)
    expect((await board.ask('k')).owes).toBe(true)
    expect(await board.settle({ key: 'k', value: 'g2|0' })).toBe(true)
    expect((await board.ask('k')).owes).toBe(false)
    expect(await tick()).toMatchObject({ owing: true, owed: 0 })
  })

  test('keys that UTF-8 cannot carry', async () => {
    await note('\uD800 "k"')
    expect(await board.list(10)).toEqual([{ key: '\uD800 "k"', value: 'g1|0' }])
    expect((await board.ask('\uD800 "k"')).owes).toBe(true)
  })

  test('who finds it indebted waits for what is left, and no longer once that is over', async () => {
    const first = (await note('k'))!
    const second = (await note('other'))!
    expect(second.since).toBe(first.since)
    expect(second.leftMs).toBeLessThanOrEqual(1000)
    await expect
      .poll(() =>
        tick()
          .then(() => note(undefined))
          .then((it) => it!.leftMs),
      )
      .toBeLessThan(0)
  })

  test('a step of the clock lets it wait from the beginning', async () => {
    await note('k')
    await setField('owing', YEARS_AGO)
    for (const last of [String(FAR), YEARS_AGO]) {
      await setField('last', last)
      expect((await note(undefined))!.leftMs).toBe(1000)
      await setField('last', last)
      await tick()
      const { leftMs } = (await note(undefined))!
      expect(leftMs).toBeGreaterThan(-60_000)
    }
  })

  test('is clear again when nothing is owed and nothing was noted for a while', async () => {
    await note('k')
    await setField('owing', YEARS_AGO, 'noted', YEARS_AGO)
    expect((await tick()).owing, 'still owed').toBe(true)
    await board.settle({ key: 'k', value: 'g1|0' })
    await setField('owing', YEARS_AGO, 'noted', String(heard.now))
    expect((await tick()).owing, 'noted of late').toBe(true)
    await setField('noted', YEARS_AGO)
    expect((await tick()).owing).toBe(false)
  })

  test('keeps the latest time before which a key must not be repaid', async () => {
    await note('k', 'g1|900')
    await note('k', 'g2|100')
    expect(await board.list(10)).toEqual([{ key: 'k', value: 'g2|900' }])
  })

  test('with too many, everything is owed, and is settled as one', async () => {
    for (const key of ['a', 'b', 'c', 'd']) await note(key)
    expect((await board.ask('never noted')).owes).toBe(true)
    expect(await board.list(10)).toEqual([{ key: undefined, value: 'g1|0' }])
    await note('e', 'g2|0')
    expect(await board.settle({ key: undefined, value: 'g1|0' })).toBe(false)
    expect(await board.settle({ key: undefined, value: 'g2|0' })).toBe(true)
    for (const key of ['a', 'e']) expect((await board.ask(key)).owes).toBe(false)
    expect(await tick()).toMatchObject({ owed: 0 })
  })

  test('without memory nothing is settled by halves', async () => {
    await note('k')
    await redis.command('CONFIG', 'SET', 'maxmemory', '1')
    await expect(board.settle({ key: 'k', value: 'g1|0' })).rejects.toMatchObject({
      code: 'SB_REDIS_OUT_OF_MEMORY',
    })
    await expect(note('other')).rejects.toThrow()
    await redis.command('CONFIG', 'SET', 'maxmemory', '0')
    expect(await tick()).toMatchObject({ owing: true, owed: 1 })
    expect(await board.settle({ key: 'k', value: 'g1|0' })).toBe(true)
    expect(await tick()).toMatchObject({ owed: 0 })
  })

  test('refuses a note for an era that is over', async () => {
    await redis.command('FLUSHALL')
    expect(await note('k')).toBeUndefined()
    expect((await board.ask('k')).owes, 'nothing is known').toBe(true)
    await tick()
    expect(await note('k')).toBeDefined()
  })

  test('SCRIPT FLUSH forgets nothing but the scripts', async () => {
    await note('k')
    await redis.command('SCRIPT', 'FLUSH')
    expect((await board.ask('k')).owes).toBe(true)
    await redis.command('SCRIPT', 'FLUSH')
    expect(await tick('i')).toMatchObject({ owing: true, owed: 1 })
    await redis.command('SCRIPT', 'FLUSH')
    expect(await note('other')).toBeDefined()
    await redis.command('SCRIPT', 'FLUSH')
    expect(await board.list(1)).toHaveLength(2)
    await redis.command('SCRIPT', 'FLUSH')
    expect(await board.settle({ key: 'k', value: 'g1|0' })).toBe(true)
  })
})

describe('a read without a licence', () => {
  const put = async (payload: string): Promise<void> => {
    const entry = { payload, expiresAt: NEVER }
    await backend.write('k', entry, { expect: ANY, within: 5000 })
  }

  test('counts only if the board that was asked vouched for the store', async () => {
    await put('v1')
    await tick('c')
    expect(await board.read('k', stampOf(1))).toMatchObject({ state: 'value', payload: 'v1' })
    expect(await board.read('k', stampOf(2))).toBeUndefined()
  })

  test('hears the era with the cell', async () => {
    await put('v1')
    await tick('c')
    const another = redisCache({ url: redis.url })
    try {
      await another.ping()
      await another.renew!()
      const era = backend.era!()
      expect(await board.read('k', stampOf(1))).toMatchObject({ state: 'absent' })
      // What is loaded for it is stored.
      expect(backend.era!()).not.toBe(era)
    } finally {
      await another.close()
    }
  })

  test('a key that holds a list is absent', async () => {
    await tick('c')
    await redis.command('LPUSH', 'switchback:cache:k', 'x')
    expect(await board.read('k', stampOf(1))).toMatchObject({ state: 'absent', token: '' })
  })
})
