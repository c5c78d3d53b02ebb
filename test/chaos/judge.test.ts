import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Struck } from './fault.ts'
import { type Finding, Ground } from './ground.ts'
import { type Circumstances, judge } from './judge.ts'

const SECOND = 1_000_000

interface Given {
  readonly struck?: readonly Struck[]
  /** When the set was acknowledged. */
  readonly setEnd?: number
  /** When the process that wrote the value was killed. */
  readonly killedAt?: number
  /** For how long that process stood still meanwhile, in milliseconds. */
  readonly stall?: number
  readonly tombstoneTtl?: number
  readonly twoMachines?: boolean
  readonly machines?: boolean
  readonly pair?: boolean
  /** The process that found it could not use the new side just then. */
  readonly out?: boolean
}

function circumstances(given: Given): Circumstances {
  const { struck = [], setEnd = 0, killedAt, stall = 0, tombstoneTtl = 120_000 } = given
  const lives = killedAt === undefined ? undefined : { from: 0, to: killedAt }
  return {
    ground: {
      setEnd: () => setEnd,
      longestStall: () => stall,
      wasOut: () => given.out ?? false,
    },
    workers: [
      {
        id: 'p0',
        options: { index: 0, tombstoneTtls: [tombstoneTtl] },
        lifeAt: () => lives,
        lives: lives === undefined ? [] : [lives],
      },
    ],
    struck,
    tombstoneTtl,
    twoMachines: given.twoMachines ?? false,
    cluster: false,
    machines: given.machines ?? false,
    pair: given.pair ?? false,
  } as unknown as Circumstances
}

/** A value loaded at 1 s, a delete acknowledged at 2 s, a read at 3 s. */
function staleLoad(ttl = 600_000): Finding {
  const value = { w: 0, n: -1, at: SECOND, ms: 0, ttl }
  const times = { foundAt: 3.1 * SECOND, from: 3 * SECOND, fresh: 2 * SECOND, until: SECOND }
  return { kind: 'stale', by: 'p1', key: 'k', value, side: 'on', servedBy: 'on', ...times }
}

/** The same of a set that was never acknowledged. */
function unacknowledged(): Finding {
  const { until: _, ...finding } = staleLoad()
  return { ...finding, kind: 'unacknowledged', value: { ...finding.value!, n: 7 } }
}

describe('what the records of a process say of an outage', () => {
  const from = (lines: readonly string[]): ((from: number, to: number) => boolean) => {
    const logs = mkdtempSync(join(tmpdir(), 'switchback-ground-'))
    try {
      const ground = new Ground(logs, 1, 1)
      writeFileSync(join(logs, 'p0.log'), lines.map((line) => `${line}\n`).join(''))
      const answers = new Map<string, boolean>()
      for (let a = 0; a <= 100; a += 10) {
        for (let b = a; b <= 100; b += 10) answers.set(`${a} ${b}`, ground.wasOut('p0', a, b))
      }
      ground.close()
      return (a, b) => answers.get(`${a} ${b}`)!
    } finally {
      rmSync(logs, { recursive: true })
    }
  }

  test('it is out from an event to another, or to a new life', () => {
    const out = from([
      '15\tevent\t\tside-out\toff\tfull',
      '25\tevent\t\tside-out\ton\tno answer',
      '45\tevent\t\tside-back\ton\tafter 20 ms',
      '65\tevent\t\tside-out\ton\tno answer',
      '85\tmade\t\tcache\t{}\tT 1',
    ])
    expect([out(0, 20), out(20, 30), out(30, 40), out(40, 50)]).toEqual([false, true, true, true])
    expect([out(50, 60), out(60, 70), out(90, 100)]).toEqual([false, true, false])
  })

  test('an answer that did not come counts for who was waiting', () => {
    const out = from(['35\tunanswered\tkey 7', '36\tread\tkey 7\tload 0.-1\toff\toff'])
    expect([out(0, 30), out(30, 40), out(40, 50)]).toEqual([false, true, false])
  })
})

describe('what a finding amounts to', () => {
  test('an old value is stale', () => {
    expect(judge(staleLoad(), circumstances({})).outcome).toBe('stale')
  })

  test('a set that was under way when the other write began may stay', () => {
    expect(judge(unacknowledged(), circumstances({})).outcome).toBe('fine')
    expect(judge(unacknowledged(), circumstances({ setEnd: 2.1 * SECOND })).outcome).toBe('fine')
    expect(judge(unacknowledged(), circumstances({ setEnd: 1.9 * SECOND })).outcome).toBe('stale')
  })

  test('a set whose process was killed may land within the deadline, not later', () => {
    const soon = circumstances({ killedAt: 1.9 * SECOND })
    expect(judge(unacknowledged(), soon).outcome).toBe('fine')
    const late = circumstances({ killedAt: 1.5 * SECOND })
    expect(judge(unacknowledged(), late).outcome).toBe('stale')
  })

  test('an evicted tombstone is allowed for as long as the value lives', () => {
    const evict = { name: 'evict', from: 2.5 * SECOND, to: 2.6 * SECOND }
    const evicted = judge(staleLoad(), circumstances({ struck: [evict] }))
    expect(evicted).toMatchObject({ outcome: 'allowed', lateMs: 1000 })
    const before = { name: 'evict', from: 0.5 * SECOND, to: 0.6 * SECOND }
    expect(judge(staleLoad(), circumstances({ struck: [before] })).outcome).toBe('stale')
    const expired = { ...staleLoad(1000), from: 20 * SECOND }
    expect(judge(expired, circumstances({ struck: [evict] })).outcome).toBe('stale')
  })

  test('a deleted directory allows nothing', () => {
    const deleted = { name: 'deleteDirectory', from: 2.9 * SECOND, to: 2.95 * SECOND }
    expect(judge(staleLoad(), circumstances({ struck: [deleted] })).outcome).toBe('stale')
  })

  test('a copy may be seen until the next look at the era', () => {
    const copied = { name: 'replicaOf', from: 2.1 * SECOND, to: 2.5 * SECOND }
    expect(judge(staleLoad(), circumstances({ struck: [copied] })).outcome).toBe('allowed')
    const before = { ...copied, from: 0, to: SECOND }
    expect(judge(staleLoad(), circumstances({ struck: [before] })).outcome).toBe('stale')
  })

  test('of a pair, what one of two masters of a store was given is lost when it steps down', () => {
    const two = { name: 'twoMasters', from: 1.5 * SECOND, to: 2.1 * SECOND }
    expect(judge(staleLoad(), circumstances({ pair: true, struck: [two] })).outcome).toBe('allowed')
    // When it was acknowledged is not known any more, since its process has written again.
    const forgotten = { ...staleLoad(), freshAt: 0 }
    expect(judge(forgotten, circumstances({ pair: true, struck: [two] })).outcome).toBe('allowed')
    // Files have a ledger of their own.
    expect(judge(staleLoad(), circumstances({ struck: [two] })).outcome).toBe('stale')
    const before = { ...two, to: 1.9 * SECOND }
    const after = { ...two, from: 2.2 * SECOND, to: 9 * SECOND }
    for (const struck of [[before], [after]]) {
      expect(judge(staleLoad(), circumstances({ pair: true, struck })).outcome).toBe('stale')
    }
  })

  test('a process that stood still for more than T/2 may store an old load', () => {
    const frozen = { stall: 800, tombstoneTtl: 1500 }
    expect(judge(staleLoad(), circumstances(frozen)).outcome).toBe('allowed')
    expect(judge(staleLoad(), circumstances({ ...frozen, stall: 300 })).outcome).toBe('stale')
    expect(judge(staleLoad(), circumstances({ stall: 800 })).outcome).toBe('stale')
  })

  describe('machines with an old side of their own', () => {
    const [live, out] = [false, true].map((gone) => circumstances({ machines: true, out: gone }))
    /** A user of the old side, that long after another machine's write was acknowledged. */
    const late = (seconds: number, how: Partial<Finding> = {}): Finding => ({
      ...staleLoad(),
      side: 'off',
      servedBy: 'off',
      outcome: 'hit',
      freshHere: 0,
      from: (2 + seconds) * SECOND,
      foundAt: (2.1 + seconds) * SECOND,
      ...how,
    })
    const outcome = (finding: Finding, where: Circumstances): string =>
      judge(finding, where).outcome

    test.each(['off', 'origin', 'on'])(
      'users of the old side see what others wrote a second later, from %s too',
      (servedBy) => {
        expect(judge(late(0.9, { servedBy }), live!)).toMatchObject({
          outcome: 'allowed',
          lateMs: 900,
        })
        expect(outcome(late(1.5, { servedBy }), live!)).toBe('stale')
      },
    )

    test('without Redis ten seconds later, and what Redis itself said never', () => {
      expect(outcome(late(9), out!)).toBe('allowed')
      expect(outcome(late(9, { servedBy: 'origin' }), out!)).toBe('allowed')
      expect(outcome(late(9, { servedBy: 'on' }), out!)).toBe('stale')
      expect(outcome(late(12), out!)).toBe('stale')
      // That something happened to somebody is no reason: this process has Redis.
      const freeze = { name: 'freeze', from: 1.9 * SECOND, to: 20 * SECOND }
      expect(outcome(late(9), circumstances({ machines: true, struck: [freeze] }))).toBe('stale')
    })

    test('what the machine wrote itself, at once', () => {
      for (const where of [live!, out!]) {
        expect(outcome(late(0.1, { freshHere: 1.5 * SECOND }), where)).toBe('stale')
      }
    })

    test.each(['off', 'origin', 'on'])('users of Redis see nothing older, from %s', (servedBy) => {
      for (const missed of ['hit', 'miss']) {
        const found = late(0.02, { side: 'on', servedBy, outcome: missed })
        expect(outcome(found, live!)).toBe('stale')
        expect(outcome(found, out!)).toBe('stale')
      }
    })

    test('unless their machine cannot use Redis: as users of the old side', () => {
      const fallenBack = { side: 'on', outcome: 'fell_back' }
      expect(outcome(late(0.9, fallenBack), live!)).toBe('allowed')
      expect(outcome(late(0.9, { ...fallenBack, servedBy: 'origin' }), live!)).toBe('allowed')
      expect(outcome(late(0.9, { ...fallenBack, servedBy: 'on' }), live!)).toBe('stale')
      expect(outcome(late(9, fallenBack), live!)).toBe('stale')
      expect(outcome(late(9, fallenBack), out!)).toBe('allowed')
      expect(outcome(late(9, { ...fallenBack, outcome: 'timed_out' }), live!)).toBe('allowed')
      expect(outcome(late(12, fallenBack), out!)).toBe('stale')
    })
  })

  test('another fault allows nothing', () => {
    for (const name of ['freeze', 'diskFull', 'deleteDirectory', 'frozenWriter']) {
      const fault = { name, from: 0, to: 10 * SECOND }
      const started = { struck: [fault], killedAt: 0.9 * SECOND }
      expect(judge(staleLoad(), circumstances(started)).outcome).toBe('stale')
    }
  })

  test('a hang, a rejection, a foreign value are failures', () => {
    for (const kind of ['slow', 'failed', 'foreign', 'outlived', 'afterClose']) {
      expect(judge({ ...staleLoad(), kind }, circumstances({})).outcome).toBe('failed')
    }
  })
})
