import { describe, expect, test } from 'vitest'
import type { Struck } from './fault.ts'
import type { Finding } from './ground.ts'
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
}

function circumstances(given: Given): Circumstances {
  const { struck = [], setEnd = 0, killedAt, stall = 0, tombstoneTtl = 120_000 } = given
  const lives = killedAt === undefined ? undefined : { from: 0, to: killedAt }
  return {
    ground: { setEnd: () => setEnd, longestStall: () => stall },
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

  test('a process that stood still for more than T/2 may store an old load', () => {
    const frozen = { stall: 800, tombstoneTtl: 1500 }
    expect(judge(staleLoad(), circumstances(frozen)).outcome).toBe('allowed')
    expect(judge(staleLoad(), circumstances({ ...frozen, stall: 300 })).outcome).toBe('stale')
    expect(judge(staleLoad(), circumstances({ stall: 800 })).outcome).toBe('stale')
  })

  test('machines with an old side of their own see what others wrote a second later, or ten', () => {
    const old = { ...staleLoad(), servedBy: 'off', freshHere: 0 }
    const machines = circumstances({ machines: true })
    const at = (from: number): typeof old => ({ ...old, from: from * SECOND })
    expect(judge(at(2.9), machines)).toMatchObject({ outcome: 'allowed', lateMs: 900 })
    expect(judge(at(3.5), machines).outcome).toBe('stale')
    const freeze = { name: 'freeze', from: 1.9 * SECOND, to: 20 * SECOND }
    const out = circumstances({ machines: true, struck: [freeze] })
    expect(judge(at(11), out).outcome).toBe('allowed')
    expect(judge(at(14), out).outcome).toBe('stale')
    // From Redis itself, or of what the machine wrote itself: at once.
    expect(judge({ ...at(2.1), servedBy: 'on' }, out).outcome).toBe('stale')
    expect(judge({ ...at(2.1), freshHere: 1.5 * SECOND }, out).outcome).toBe('stale')
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
