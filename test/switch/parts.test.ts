import fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import type { EraVerdict, Stand } from '../../src/cache/index.ts'
import { jsonCodec, Values } from '../../src/switch/values.ts'
import { Boards } from '../../src/switch/truth/boards.ts'
import { Debts } from '../../src/switch/truth/debts.ts'
import { MemoryLedger } from '../../src/switch/truth/memory-ledger.ts'
import { Origin } from '../../src/switch/reads/origin.ts'
import { GuardedSide } from '../../src/switch/sides/guarded-side.ts'
import { Upkeep } from '../../src/switch/background/upkeep.ts'
import { RepeatMisses } from '../../src/telemetry/counts/repeat-misses.ts'

describe('origin', () => {
  test('never runs more loads at once than its limit, and runs them all', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 5 }),
        fc.array(fc.boolean(), { maxLength: 30 }),
        async (limit, failing) => {
          const origin = new Origin({ concurrency: limit, queue: 100, loadMs: 10_000 })
          let running = 0
          let most = 0
          const results = await Promise.allSettled(
            failing.map((fails, i) =>
              origin.load(async () => {
                running += 1
                most = Math.max(most, running)
                await Promise.resolve()
                running -= 1
                if (fails) throw new Error('load failed')
                return i
              }, false),
            ),
          )
          expect(most).toBeLessThanOrEqual(limit)
          expect(results.map(({ status }) => status === 'rejected')).toEqual(failing)
          expect(origin.waiting).toBe(0)
        },
      ),
      { numRuns: 50 },
    )
  })
})

const valuesWith = (maxValueBytes: number): Values =>
  new Values({ codec: jsonCodec, maxValueBytes, defaultTtl: undefined, notify: () => {} })

describe('values', () => {
  test('round-trips every JSON value', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const payload = valuesWith(1_000_000).encode(value)
        expect(jsonCodec.decode(payload)).toEqual(JSON.parse(JSON.stringify(value)))
      }),
    )
  })

  test('names what cannot be cached', () => {
    const encode = (value: unknown, max = 100): string => valuesWith(max).encode(value)
    expect(() => encode(undefined)).toThrow(expect.objectContaining({ code: 'SB_VALUE_UNDEFINED' }))
    for (const value of [() => 1, Symbol('x'), 10n]) {
      expect(() => encode(value)).toThrow(
        expect.objectContaining({ code: 'SB_VALUE_NOT_SERIALIZABLE' }),
      )
    }
    expect(encode('ä'.repeat(49))).toHaveLength(51)
    expect(() => encode('ä'.repeat(50))).toThrow('102 bytes; the limit is 100')
  })
})

describe('eras', () => {
  test('an answer from before the present era of the machine does not take it back', async () => {
    const ledger = new MemoryLedger()
    const sides = { off: { backend: { name: 'file' } }, on: { backend: { name: 'redis' } } }
    const parts = { ledger, sides, renews: false, maxOwed: 1, notify: () => {} }
    const debts = new Debts({ ...parts, recorder: { event: () => {} } } as never)
    const heard = (era: number, asked: Stand): Promise<EraVerdict> => {
      const at = { server: 7, since: era, now: 1000, begun: false, again: false, changed: false }
      return debts.heard('on', { ...at, era, asked })
    }
    const stand = (): Stand => debts.stand('on')!
    const inNone = stand()
    expect(await heard(11, inNone)).toBeUndefined()
    const inFirst = stand()
    // Another question, which is answered late, is sent here.
    expect(await heard(12, inFirst)).toBeUndefined()
    expect(await heard(11, inFirst)).toBe('again')
    expect(await heard(11, inNone)).toBe('again')
    expect(ledger.era('on')).toBe(12)
  })
})

test('what is owed is not written off for a fence that the ledger did not take', async () => {
  const ledger = new MemoryLedger()
  const guarded = { backend: { name: 'any', ledger, now: () => 1000 }, deadlineMs: 100, met: false }
  const parts = { sides: { off: guarded, on: guarded }, maxOwed: 0, notify: () => {} }
  const debts = new Debts({ ...parts, ledger, recorder: { event: () => {} } } as never)
  ledger.owe('on', 'k', 0)
  const raise = ledger.fence.bind(ledger)
  ledger.fence = () => {
    throw new Error('no space')
  }
  await debts.owe('on', 'l', 0)
  // Others know of no fence.
  expect(['k', 'l'].map((key) => ledger.owes('on', key))).toEqual([true, true])
  ledger.fence = raise
  await debts.owe('on', 'm', 0)
  expect(ledger.count('on')).toBe(0)
})

/** Of a process that has no ledger, or one that takes nothing. */
function debtsInMemory(maxOwed: number, ledger?: object, onFenced = (): void => {}): Debts {
  const guarded = { backend: { name: 'any', now: () => 1000 }, deadlineMs: 100, met: false }
  const sides = { off: guarded, on: guarded }
  const notify = ({ type }: { readonly type: string }): void => {
    if (type === 'fenced') onFenced()
  }
  const recorder = { event: () => {} }
  return new Debts({ sides, maxOwed, notify, recorder, ledger } as never)
}

test('what is noted meanwhile is not written off with what was owed before', async () => {
  const debts = debtsInMemory(1, undefined, () => {
    void first!.settle()
    void debts.owe('on', 'again', 0)
  })
  await debts.owe('on', 'first', 0)
  const [first] = await debts.list('on', 1, { now: 1000, latest: 2000 })
  await debts.owe('on', 'again', 0)
  expect(debts.count('on')).toBe(1)
})

/** A ledger that takes nothing. */
function failingLedger(): object {
  const failing = (): never => {
    throw new Error('no space')
  }
  const reads = { fencedBefore: () => 0, count: () => 0, list: () => [], writeOff: () => failing }
  return { ...reads, owe: failing, fence: failing }
}

test('of two sides that neither took nor could note it, the one that is told first is told again', async () => {
  const debts = debtsInMemory(10, failingLedger())
  const due = { now: 1000, latest: 2000 }
  const listed = async (side: 'off' | 'on'): Promise<readonly (string | undefined)[]> =>
    (await debts.list(side, 10, due)).map(({ key }) => key)
  await debts.owe('off', 'k', 0)
  await debts.owe('on', 'k', 0)
  const [first] = await debts.list('off', 10, due)
  expect(await first!.settle()).toBe(true)
  // It may get the old value from the other side until that is told, too.
  expect([await listed('off'), await listed('on')]).toEqual([[], ['k']])
  for (const { settle } of await debts.list('on', 10, due)) await settle()
  expect([await listed('off'), await listed('on')]).toEqual([['k'], []])
})

test('what waits for the other side is told after it, though this side is written off', async () => {
  const debts = debtsInMemory(1, failingLedger())
  // The file side did not take it, so Redis is told once more after the file side.
  await debts.owe('off', 'k', 0)
  await debts.owe('on', 'l', 0)
  expect(debts.count('on')).toBe(1)
  const due = { now: 1000, latest: 2000 }
  expect(await debts.list('on', 10, due)).toEqual([])
  for (const { settle } of await debts.list('off', 10, due)) await settle()
  expect((await debts.list('on', 10, due)).map(({ key }) => key)).toEqual(['k'])
})

test('of two stores that are out, whichever answers within five seconds is told of what is distrusted', async () => {
  vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout'] })
  let answers = false
  const reply = async <T>(value: T): Promise<T> => {
    if (answers) return value
    throw new Error('no answer')
  }
  const sideOf = (side: 'off' | 'on'): object => {
    const board = { tick: () => reply({ stamp: side }), note: () => reply(undefined) }
    const backend = { now: () => 0, renew: () => reply(undefined), board }
    const hold = <T>(result: T): T => result
    return { side, usable: true, deadlineMs: 100, mayLandUntil: () => 200, hold, backend }
  }
  const sides = { off: sideOf('off'), on: sideOf('on') }
  const boards = new Boards({ sides, maxOwed: 10, recorder: {}, notify: () => {} } as never)
  try {
    const isTold = boards.distrust('on')
    await vi.advanceTimersByTimeAsync(3000)
    answers = true
    await vi.advanceTimersByTimeAsync(3000)
    expect(await isTold).toBe(true)
    answers = false
    const isLost = boards.distrust('on')
    await vi.advanceTimersByTimeAsync(6000)
    expect(await isLost).toBe(false)
  } finally {
    boards.close()
    vi.useRealTimers()
  }
})

test.each([false, true])(
  'what is delivered is pending until the store has taken it: %s',
  async (done) => {
    const told: number[] = []
    const settled: string[] = []
    const sideOf = (side: 'off' | 'on'): object => ({
      side,
      usable: true,
      backend: { name: 'any', now: () => 5000, tombstoneTtl: 1000 },
      // By its own clock, of which this process knows an estimate.
      invalidate: async (_key: string, _successor: string, notBefore: number) => {
        told.push(notBefore)
        return { done, existed: false, token: '' }
      },
    })
    const settle = (): boolean => settled.push('k') > 0
    const debts = {
      count: (side: string) => (side === 'on' ? 1 - settled.length : 0),
      list: async () => [{ key: 'k', notBefore: 4000, settle }],
      handOver: async () => undefined,
      mendFence: async () => undefined,
    }
    const sides = { off: sideOf('off'), on: sideOf('on') }
    const parts = { sides, debts, intervalMs: 1e9, recorder: { event: () => {} }, notify: () => {} }
    const upkeep = new Upkeep(parts as never)
    await upkeep.repay()
    await upkeep.close()
    expect(told).toEqual([4000])
    expect(settled).toEqual(done ? ['k'] : [])
  },
)

test('a tombstone may have ended by the clock of the process, or by that of its store', () => {
  let now = 1_000_000
  const backend = { name: 'any', tombstoneTtl: 60_000, now: () => now }
  const parts = { backend, deadlineMs: 100, breaker: {}, recorder: {}, notify: () => {} }
  const side = new GuardedSide({ side: 'on', ...parts } as never)
  try {
    const at = performance.now()
    expect(side.outlived(at, now)).toBe(false)
    expect(side.outlived(at - 30_000, now)).toBe(true)
    now += 30_001
    expect(side.outlived(at, 1_000_000)).toBe(true)
    expect(side.outlived(at, 0)).toBe(false)
    // Set back by an hour while a loader ran.
    now -= 3_600_000
    expect(side.outlived(at - 30_000, 1_000_000)).toBe(true)
  } finally {
    side.close()
  }
})

describe('memory ledger', () => {
  test('settles only what has not been owed again, and keeps the latest bound', () => {
    const ledger = new MemoryLedger()
    ledger.owe('on', 'k', 500)
    const [first] = ledger.list('on', 10)
    ledger.owe('on', 'k', 0)
    expect(ledger.settle(first!)).toBe(false)
    expect(ledger.owes('on', 'k')).toBe(true)
    expect(ledger.owes('off', 'k')).toBe(false)
    const [second] = ledger.list('on', 10)
    expect(second!.notBefore).toBe(500)
    expect(ledger.settle(second!)).toBe(true)
    expect(ledger.count('on')).toBe(0)
  })

  test('a fence only ever moves forward, and what is owed stays owed until it is written off', () => {
    const ledger = new MemoryLedger()
    ledger.owe('on', 'k', 0)
    ledger.fence('on', 10)
    ledger.fence('on', 5)
    expect(ledger.fencedBefore('on')).toBe(10)
    expect(ledger.fencedBefore('off')).toBe(0)
    expect(ledger.count('on')).toBe(1)
    ledger.owe('on', 'again', 0)
    const forget = ledger.writeOff('on')
    ledger.owe('on', 'again', 0)
    ledger.owe('on', 'new', 0)
    forget()
    expect(ledger.list('on', 10).map(({ key }) => key)).toEqual(['again', 'new'])
    expect(ledger.fencedBefore('on')).toBe(10)
  })
})

describe('repeat misses', () => {
  test('counts a loss once, within 0.8 of the TTL, and never a key that was dropped', () => {
    const misses = new RepeatMisses()
    misses.stored('a', 1000, 0)
    expect(misses.isRepeat('b', 1)).toBe(false)
    expect(misses.isRepeat('a', 799)).toBe(true)
    expect(misses.isRepeat('a', 799)).toBe(false)
    misses.stored('a', 1000, 0)
    expect(misses.isRepeat('a', 800)).toBe(false)
    misses.stored('a', 1000, 0)
    misses.dropped('a')
    expect(misses.isRepeat('a', 1)).toBe(false)
  })
})

test('what one process alone knows of two stores is delivered after to the one that took the write', () => {
  const ledger = new MemoryLedger()
  ledger.owe('on', 'k', 0)
  ledger.oweAfter('off', 'k')
  // The other one may have lost it: until it is told, the tombstone here would be all that is left.
  expect(ledger.list('off', 10)).toEqual([])
  expect(ledger.trustedFrom('off', 'k')).toBe(Number.POSITIVE_INFINITY)
  ledger.settle(ledger.list('on', 10)[0]!)
  expect(ledger.list('off', 10).map(({ key }) => key)).toEqual(['k'])
})
