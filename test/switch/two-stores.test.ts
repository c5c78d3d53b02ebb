import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { adaptCache, memoryCache, redisCache } from '../../src/cache/index.ts'
import { createCacheSwitch, type SwitchEvent } from '../../src/switch/index.ts'
import { deferred } from '../support/deferred.ts'
import { FixedDecider } from '../support/fixed-decider.ts'
import { Pair, type PairActor } from '../support/pair.ts'
import type { TestRedis } from '../support/redis-server.ts'
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts'
import { until } from '../support/until.ts'

const STATE = 'switchback:cache:#state'

let pair: Pair
let reader: PairActor

beforeEach(async () => {
  pair = await Pair.create()
  reader = pair.actor()
  await pair.licensed(reader)
})

afterEach(() => pair.close())

/** v1 on B, for all to see. */
async function storeV1(): Promise<string> {
  const key = pair.key()
  await until('B holds v1', async () => {
    await reader.onUser.set(key, 'v1')
    return (await reader.onUser.get(key)) === 'v1'
  })
  return key
}

async function neverV1(key: string, times = 30): Promise<void> {
  for (let i = 0; i < times; i += 1) {
    expect(await reader.onUser.get(key)).not.toBe('v1')
    await delay(i * 2)
  }
}

describe('two Redis, A and B', () => {
  test('a hit asks nobody while the stores vouch for each other', async () => {
    const key = await storeV1()
    const asked = [reader.off, reader.on].flatMap(({ board }) => [
      vi.spyOn(board, 'ask'),
      vi.spyOn(board, 'read'),
    ])
    for (let i = 0; i < 50; i += 1) {
      await pair.licensed(reader)
      expect(await reader.onUser.get(key)).toBe('v1')
    }
    for (const one of asked) expect(one).not.toHaveBeenCalled()
  })

  test('B hangs, a delete is acknowledged by a process that ends, B goes on', async () => {
    const key = await storeV1()
    const writer = pair.actor()
    await pair.licensed(writer)
    pair.b.freeze()
    await writer.offUser.delete(key)
    await writer.cache.close()
    expect(writer.events.filter(({ type }) => type === 'debts-left')).toEqual([])
    pair.b.thaw()
    await neverV1(key)
    await until('B has been told', async () => !(await reader.off.board.ask(key)).owes, 30_000)
    expect(await reader.onUser.get(key)).toBeUndefined()
  })

  test('nobody reaches the board any more: what nobody vouches for is not used', async () => {
    const key = await storeV1()
    const writer = pair.actor()
    await pair.licensed(writer)
    pair.b.freeze()
    await writer.offUser.set(key, 'v2')
    pair.a.freeze()
    pair.b.thaw()
    await neverV1(key, 10)
    // Later B begins an era of its own, and health is well again.
    await until('health says so', async () => {
      await reader.onUser.get(key)
      return reader.cache.health().on.detail.startsWith('unused: only A knows')
    })
    pair.a.thaw()
    await neverV1(key)
  })

  test('the board loses an acknowledged debt: B is cold once, and never older', async () => {
    const key = await storeV1()
    pair.b.freeze()
    await reader.offUser.set(key, 'v2')
    // Its cells stay.
    await pair.a.command('DEL', STATE)
    pair.b.thaw()
    await neverV1(key)
    expect(await reader.offUser.get(key)).not.toBe('v1')
  })

  test('the board loses the debt while the writer waits: it is noted again', async () => {
    const key = await storeV1()
    pair.b.freeze()
    const written = reader.offUser.set(key, 'v2')
    await until('it is noted', async () => (await pair.a.command('HGET', STATE, 'n')) === '1')
    await pair.a.command('DEL', STATE)
    await written
    expect((await reader.off.board.ask(key)).owes).toBe(true)
    pair.b.thaw()
    await neverV1(key)
  })

  test('A dies for good: B goes on without a cold cache, and without A it stays so', async () => {
    const key = await storeV1()
    await pair.a.kill()
    const startedAt = performance.now()
    while (performance.now() - startedAt < 2500) {
      await reader.onUser.get(key)
      await delay(20)
    }
    // On a busy machine its licence may end now and then, and B is cold once more.
    await until('B keeps what it serves', async () => {
      let loads = 0
      for (let i = 0; i < 5; i += 1) await reader.onUser.getOrSet(key, () => `v9 ${(loads += 1)}`)
      return loads === 0
    })
  })

  test('clear() ends for every process at once', async () => {
    const key = await storeV1()
    const other = pair.actor()
    await pair.licensed(other)
    await other.cache.clear()
    expect(await reader.onUser.get(key)).toBeUndefined()
    expect(await reader.offUser.get(key)).toBeUndefined()
    // Who hears of the new era cannot know of what it came, and does not say that something was lost.
    const told = other.events.filter(({ type }) => type === 'fenced').map(({ detail }) => detail)
    expect(told.length).toBeGreaterThan(0)
    expect(told.filter((detail) => !/cleared/.test(detail ?? ''))).toEqual([])
  })

  // A process that stops between the two eras lets values move from B into A's new one: see the model.
  test('clear() empties neither store before the licences of both have ended', async () => {
    const writer = pair.actor({ deadlineMs: 1000 })
    await pair.licensed(writer)
    const renew = writer.on.renew!.bind(writer.on)
    vi.spyOn(writer.on, 'renew').mockImplementationOnce(async () => {
      await delay(300)
      return renew()
    })
    const emptied: string[] = []
    for (const store of [writer.off, writer.on]) {
      const clear = store.clear.bind(store)
      vi.spyOn(store, 'clear').mockImplementation(() => {
        emptied.push(store.name)
        return clear()
      })
    }
    const clearing = writer.cache.clear()
    await until('one of them is emptied', () => emptied.length > 0)
    expect(emptied).toEqual(['A', 'B'])
    await clearing
  })

  test('clear() while B hangs: everything there is owed', async () => {
    const key = await storeV1()
    const other = pair.actor()
    await pair.licensed(other)
    pair.b.freeze()
    await other.cache.clear()
    pair.b.thaw()
    await neverV1(key)
    await until('B has been told', () => other.cache.health().on.owed === 0, 30_000)
    await until('B is used', async () => {
      await reader.onUser.set(key, 'v2')
      return (await reader.onUser.get(key)) === 'v2'
    })
  })

  test('FLUSHALL on either: never older, and used again', async () => {
    for (const redis of [pair.a, pair.b]) {
      const key = await storeV1()
      await redis.command('FLUSHALL')
      await reader.offUser.set(key, 'v2')
      await neverV1(key, 5)
      expect(await reader.onUser.getOrSet(key, () => 'v3')).not.toBe('v1')
      await pair.licensed(reader)
    }
  })

  test('A is emptied while a set is between its legs: nothing old moves there', async () => {
    const key = await storeV1()
    const writer = pair.actor()
    await pair.licensed(writer)
    // It does not hear of it.
    vi.spyOn(writer.off.board, 'tick').mockRejectedValue(new Error('late'))
    const [reached, opened] = [deferred<void>(), deferred<void>()]
    const invalidate = writer.on.invalidate.bind(writer.on)
    vi.spyOn(writer.on, 'invalidate').mockImplementationOnce(async (...given) => {
      reached.resolve(undefined)
      await opened.promise
      return invalidate(...given)
    })
    const written = writer.offUser.set(key, 'v2')
    await reached.promise
    const era = reader.off.era!()
    await pair.a.command('FLUSHALL')
    await until('it is heard', () => reader.off.era!() !== era)
    await reader.offUser.getOrSet(key, () => 'v2')
    opened.resolve(undefined)
    await written
    expect(await reader.offUser.get(key)).not.toBe('v1')
  })

  test('too much is owed: an era of B replaces it', async () => {
    const writer = pair.actor({ maxOwed: 3 })
    await pair.licensed(writer)
    const keys = Array.from({ length: 6 }, () => pair.key())
    for (const key of keys) await writer.onUser.set(key, 'v1')
    pair.b.freeze()
    await Promise.all(keys.map((key) => writer.offUser.set(key, 'v2')))
    expect((await reader.off.board.ask('never noted')).owes).toBe(true)
    pair.b.thaw()
    for (const key of keys) await neverV1(key, 3)
    await until('B has been told', async () => !(await reader.off.board.ask('k')).owes, 30_000)
  })
})

describe('one process is cut off from B', () => {
  let proxy: TcpProxy

  beforeEach(async () => {
    proxy = await startTcpProxy(pair.b.port)
  })

  afterEach(() => proxy.close())

  test('after its acknowledgement nobody reads the old value', async () => {
    const writer = pair.actor({}, proxy.port)
    await pair.licensed(writer)
    for (let round = 0; round < 4; round += 1) {
      const key = await storeV1()
      proxy.refuse()
      await writer.offUser.set(key, 'v2')
      expect(await reader.onUser.get(key)).not.toBe('v1')
      proxy.accept()
      await until('the writer is back', () => writer.cache.health().on.outSince === 0, 30_000)
    }
  })

  test('what nobody could be told is handed to the board when that is back', async () => {
    const writer = pair.actor({}, proxy.port)
    await pair.licensed(writer)
    const key = await storeV1()
    proxy.refuse()
    pair.a.freeze()
    await writer.offUser.set(key, 'v2')
    expect(writer.cache.health()).toMatchObject({ on: { owed: 1 } })
    pair.a.thaw()
    // Licences from before may live on for a moment, and may be heard late: the writer waits for their end.
    await until('the board has it, and everybody knows', () => {
      return writer.cache.health().on.owed === 0
    })
    await neverV1(key)
    proxy.accept()
    await neverV1(key)
  })

  /** A `clear` has begun the era there, long ago: its process stood still, and goes on with the other store. */
  async function cleared(redis: TestRedis): Promise<void> {
    await redis.command('HSET', STATE, 'since', '1600000000000')
  }

  /** Its next write to B is sent, and stays on the way until the proxy goes on. */
  function onItsWay({ on }: PairActor): Promise<boolean> {
    const sent = deferred<boolean>()
    const write = on.write.bind(on)
    vi.spyOn(on, 'write').mockImplementationOnce(async (...given) => {
      proxy.stall('there')
      const written = write(...given)
      sent.resolve(true)
      return written
    })
    return sent.promise
  }

  /** It is connected again, and what was sent before has landed. */
  async function landed({ on }: PairActor): Promise<void> {
    const answers = async (): Promise<boolean> => (await on.ping()) === undefined
    await until('what was sent has landed', () => answers().catch(() => false))
  }

  test('clear() while a process stands still that has read v1 on B: it does not move to A', async () => {
    await cleared(pair.a)
    // While it stands still, no time of its own ends.
    const slow = pair.actor({ deadlineMs: { off: 300, on: 30_000 } }, proxy.port)
    const writer = pair.actor()
    await pair.licensed(slow, writer)
    const key = pair.key()
    await slow.onUser.getOrSet(key, () => 'v1')
    vi.spyOn(writer.off, 'renew').mockResolvedValueOnce(undefined)
    const [reached, opened] = [deferred<boolean>(), deferred<void>()]
    const read = slow.on.read.bind(slow.on)
    vi.spyOn(slow.on, 'read').mockImplementation(async (name) => {
      const cell = await read(name)
      // It hears no more of B.
      proxy.stall()
      reached.resolve(true)
      await opened.promise
      return cell
    })
    let reading: Promise<unknown> = Promise.resolve()
    await until('it has read v1 under a licence', async () => {
      await pair.licensed(slow)
      reading = slow.offUser.get(key)
      return Promise.race([reached.promise, reading.then(() => false)])
    })
    await writer.cache.clear()
    opened.resolve()
    // It began before.
    expect(await reading).toBe('v1')
    expect(await writer.offUser.get(key)).toBeUndefined()
  })

  test('clear() while v1 is on its way to B: there it counts no more, however late', async () => {
    await cleared(pair.b)
    const deadlineMs = 2000
    const slow = pair.actor({ deadlineMs }, proxy.port)
    const writer = pair.actor({ deadlineMs })
    await pair.licensed(slow, writer)
    const key = pair.key()
    await slow.offUser.getOrSet(key, () => 'v1')
    // B knows the script.
    await slow.onUser.set('another', 'v1')
    vi.spyOn(writer.on, 'renew').mockResolvedValueOnce(undefined)
    const sent = onItsWay(slow)
    let reading: Promise<unknown> = Promise.resolve()
    await until('v1 is sent', async () => {
      await pair.licensed(slow)
      reading = slow.onUser.get(key)
      return Promise.race([sent, reading.then(() => false)])
    })
    await writer.cache.clear()
    proxy.resume()
    await reading
    await landed(slow)
    expect(await writer.onUser.get(key)).toBeUndefined()
  })

  test('clear() while v1 is on its way to B, and A is only noted as owed', async () => {
    await cleared(pair.b)
    const deadlineMs = 2000
    const slow = pair.actor({ deadlineMs }, proxy.port)
    const writer = pair.actor({ deadlineMs })
    await pair.licensed(slow, writer)
    const key = pair.key()
    await slow.offUser.getOrSet(key, () => 'v1')
    await slow.onUser.set('another', 'v1')
    // B is as it was after a new era of long ago; A cannot be told for a while.
    vi.spyOn(writer.on, 'renew').mockResolvedValueOnce(undefined)
    vi.spyOn(writer.off, 'renew').mockRejectedValue(new Error('cut off'))
    const noted = deferred<void>()
    const note = writer.on.board.note.bind(writer.on.board)
    vi.spyOn(writer.on.board, 'note')
      .mockImplementation(async (...given) => {
        const answer = await note(...given)
        noted.resolve()
        return answer
      })
      .mockRejectedValueOnce(new Error('busy'))
    const sent = onItsWay(slow)
    await pair.licensed(slow)
    const clearing = writer.cache.clear()
    await noted.promise
    const reading = slow.onUser.get(key)
    expect(await Promise.race([sent, reading.then(() => false)])).toBe(true)
    await clearing
    proxy.resume()
    await reading
    await landed(slow)
    expect(await writer.onUser.get(key)).toBeUndefined()
    expect(await slow.onUser.get(key)).toBeUndefined()
  })

  test('retired: a process that has left the switch would not know of what B did not take', async () => {
    const writer = pair.actor({ retire: 'off' }, proxy.port)
    await pair.licensed(writer)
    const reaches: string[] = []
    const view = writer.cache.for(
      { targetingKey: 'on-user' },
      { onOperation: ({ reach }) => reaches.push(reach) },
    )
    await view.set('k', 'v1')
    proxy.refuse()
    await view.set('k', 'v2')
    expect(reaches).toEqual(['all', 'process'])
    // Those who have it do know.
    expect(await reader.onUser.get('k')).not.toBe('v1')
  })

  test('A took a set and lost it, and nobody could be told of B: it is not undone', async () => {
    const writer = pair.actor({}, proxy.port)
    await pair.licensed(writer)
    const key = await storeV1()
    const cell = `switchback:cache:${key}`
    const cutOff = vi.spyOn(writer.off.board, 'note').mockRejectedValue(new Error('cut off'))
    proxy.refuse()
    await writer.offUser.set(key, 'v2')
    expect(writer.cache.health()).toMatchObject({ off: { owed: 1 }, on: { owed: 1 } })
    await pair.a.command('FLUSHALL')
    await until('v1 has moved to A', async () => {
      await reader.offUser.get(key)
      return (await pair.a.command('EXISTS', cell)) === '1'
    })
    expect(await writer.offUser.get(key)).not.toBe('v1')
    cutOff.mockRestore()
    proxy.accept()
    await until('both were told', () => {
      const { off, on } = writer.cache.health()
      return off.owed === 0 && on.owed === 0
    })
    for (const { offUser, onUser } of [writer, reader]) {
      expect(await offUser.get(key)).not.toBe('v1')
      expect(await onUser.get(key)).not.toBe('v1')
    }
  })

  test('closed before anybody could be told: says so, with a count', async () => {
    const writer = pair.actor({}, proxy.port)
    await pair.licensed(writer)
    proxy.refuse()
    pair.a.freeze()
    await writer.offUser.set('k', 'v2')
    await writer.cache.close()
    const left = writer.events.filter(({ type }) => type === 'debts-left')
    expect(left.map(({ backend }) => backend)).toEqual(['A', 'B'])
    expect(left[0]!.detail).toMatch(/^closed with 1 invalidations that A did not take/u)
  })
})

describe('a pair says at its start what it cannot promise', () => {
  const decider = new FixedDecider()

  test('one store for both sides', async () => {
    const events: SwitchEvent[] = []
    const side = (): ReturnType<typeof redisCache> =>
      redisCache({ url: pair.b.url, prefix: 'same' })
    const onEvent = (event: SwitchEvent): void => void events.push(event)
    const cache = createCacheSwitch({ flag: 'f', decider, off: side(), on: side(), onEvent })
    await until('it is told', () => events.some(({ type }) => type === 'promises-less'))
    expect(events[0]!.detail).toMatch(/both sides are the same Redis/u)
    expect(cache.health()).toMatchObject({
      ok: false,
      on: { detail: expect.stringMatching(/same/u) },
    })
    await cache.close()
  })

  test('nothing to say where all is well, or in one process', async () => {
    expect(reader.events).toEqual([])
    const events: SwitchEvent[] = []
    const on = adaptCache(new Map() as never)
    const onEvent = (event: SwitchEvent): void => void events.push(event)
    const cache = createCacheSwitch({ flag: 'f', decider, off: memoryCache(), on, onEvent })
    expect(events).toEqual([])
    await cache.close()
  })
})
