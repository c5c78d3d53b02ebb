import * as fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { createTelemetry, noTelemetry } from '../../src/telemetry/index.ts'
import type { Operation, Outcome, Telemetry } from '../../src/telemetry/index.ts'
import { readExposition, valueOf } from './strict-exposition.ts'
import { inFull } from '../support/full.ts'
import { anyText } from '../support/any-text.ts'

const open: Telemetry[] = []
function telemetry(options: Parameters<typeof createTelemetry>[0] = {}): Telemetry {
  const made = createTelemetry({ meter: false, ...options })
  open.push(made)
  return made
}
afterEach(() => {
  for (const made of open.splice(0)) made.close()
})

const operations = ['get', 'set', 'getOrSet', 'has', 'delete', 'clear'] as const
const outcomes = [
  'hit',
  'miss',
  'stored',
  'deleted',
  'stale',
  'failed',
  'timed_out',
  'fell_back',
] as const
const side = fc.constantFrom('off' as const, 'on' as const)
const recorded = fc.record({
  side,
  operation: fc.constantFrom<Operation>(...operations),
  outcome: fc.constantFrom<Outcome>(...outcomes),
  duration: fc.oneof(
    fc.double({ min: 0, max: 8000, noNaN: true }),
    fc.constantFrom(0, 0.05, 1, 5000, -3, Number.NaN, Infinity),
  ),
  user: fc.string({ maxLength: 8 }),
  elsewhere: fc.boolean(),
})

test('whatever is recorded, every view adds up to it', () => {
  fc.assert(
    fc.property(fc.array(recorded, { maxLength: 300 }), (list) => {
      const counts = telemetry()
      for (const { side, operation, outcome, duration, user, elsewhere } of list) {
        counts.operation(side, operation, outcome, duration, counts.bucketOf(user), elsewhere)
      }
      const families = readExposition(counts.prometheus())
      const snapshot = counts.snapshot()
      for (const arm of ['off', 'on'] as const) {
        const mine = list.filter((entry) => entry.side === arm)
        const bad = mine.filter((e) => ['failed', 'timed_out', 'fell_back'].includes(e.outcome))
        expect(snapshot.arms[arm]).toMatchObject({ total: mine.length, bad: bad.length })
        expect(snapshot.arms[arm].distinctUsers).toBe(new Set(mine.map((e) => e.user)).size)
        const users = snapshot.arms[arm].users
        const fellBack = bad.filter((entry) => entry.elsewhere).length
        expect(users.reduce((sum, user) => sum + user.fellBack, 0)).toBe(fellBack)
        expect(users.reduce((sum, user) => sum + user.failed, 0)).toBe(bad.length - fellBack)
        for (const [bucket, user] of users.entries()) {
          const own = mine.filter((entry) => (counts.bucketOf(entry.user) & 31) === bucket)
          expect(user.operations).toBe(own.length)
          const labels = { side: arm, bucket: String(bucket) }
          expect(valueOf(families, 'switchback_user_operations_total', labels)).toBe(own.length)
          for (const ended of ['failed', 'fell_back']) {
            const those = own.filter((e) => bad.includes(e) && e.elsewhere === (ended !== 'failed'))
            const name = 'switchback_user_bad_operations_total'
            expect(valueOf(families, name, { ...labels, ended })).toBe(those.length)
          }
          // What was bad is not slow besides.
          const slow = own.filter((e) => e.duration > 25 && !bad.includes(e)).length
          expect(
            valueOf(families, 'switchback_user_slow_operations_total', {
              ...labels,
              over: '0.025',
            }),
          ).toBe(slow)
        }
        for (const operation of operations) {
          for (const outcome of outcomes) {
            const count = mine.filter((e) => e.operation === operation && e.outcome === outcome)
            const labels = { side: arm, operation, outcome }
            expect(valueOf(families, 'switchback_operations_total', labels)).toBe(count.length)
          }
        }
        const writes = mine.filter((e) => ['set', 'delete', 'clear'].includes(e.operation)).length
        const name = 'switchback_operation_duration_seconds_count'
        expect(valueOf(families, name, { side: arm, class: 'write' })).toBe(writes)
        expect(valueOf(families, name, { side: arm, class: 'read' })).toBe(mine.length - writes)
      }
      counts.close()
    }),
    { numRuns: inFull(12, 40), seed: 7 },
  )
})

test('a duration on a boundary belongs to the bucket that it bounds', () => {
  const counts = telemetry()
  for (const ms of [0.05, 0.051, 5000, 5000.1]) counts.operation('on', 'get', 'hit', ms, 0)
  const { latency } = counts.snapshot().arms.on
  expect(latency.read.counts.map((count, i) => [latency.read.bounds[i], count])).toEqual(
    latency.read.bounds.map((bound) => [
      bound,
      [0.000_05, 0.000_1, 5, Infinity].includes(bound) ? 1 : 0,
    ]),
  )
  expect(latency.read.sumSeconds).toBeCloseTo(10.000_201, 9)
})

test('the other counters reach the text', () => {
  const counts = telemetry()
  const ann = counts.bucketOf('ann')
  counts.event('on', 'repeat_miss', ann)
  counts.event('off', 'backfill')
  counts.originLoad('on', 12, true)
  counts.originLoad('on', 3, false)
  counts.bytes('off', 'written', 10)
  counts.bytes('off', 'written', 5)
  counts.comparison('mismatch')
  const families = readExposition(counts.prometheus())
  const value = (name: string, labels: Record<string, string>): number =>
    valueOf(families, `switchback_${name}`, labels)
  expect(value('events_total', { side: 'on', event: 'repeat_miss' })).toBe(1)
  const bucket = String(ann & 31)
  expect(value('user_repeat_misses_total', { side: 'on', bucket })).toBe(1)
  expect(value('events_total', { side: 'off', event: 'backfill' })).toBe(1)
  expect(value('origin_load_duration_seconds_count', { side: 'on' })).toBe(2)
  expect(value('origin_load_duration_seconds_bucket', { side: 'on', le: '0.005' })).toBe(1)
  expect(value('origin_failures_total', { side: 'on' })).toBe(1)
  expect(value('bytes_total', { side: 'off', direction: 'written' })).toBe(15)
  expect(value('comparisons_total', { result: 'mismatch' })).toBe(1)
  expect(value('cpu_seconds_total', { mode: 'user' })).toBeGreaterThan(0)
  expect(families.get('switchback_event_loop_delay_seconds')?.samples).toHaveLength(2)
})

test('a process is told from its successor', () => {
  const first = telemetry({ now: () => 1_000_500 })
  const second = telemetry()
  expect(first.snapshot().instance).not.toBe(second.snapshot().instance)
  const families = readExposition(first.prometheus())
  expect(valueOf(families, 'switchback_start_time_seconds', {})).toBe(1000.5)
  const labels = { instance_id: first.snapshot().instance }
  expect(valueOf(families, 'switchback_instance_info', labels)).toBe(1)
})

describe('labels', () => {
  test('any variant and gauge label survives the text and comes back', () => {
    const text = anyText({ maxLength: 60 }).filter((s) => !/[\r\u2028\u2029]/.test(s))
    fc.assert(
      fc.property(fc.uniqueArray(text, { maxLength: 8 }), text, (variants, label) => {
        const counts = telemetry()
        for (const variant of variants) counts.decision('on', variant, 'STATIC', 'live')
        counts.gauge('switchback_test', `help ${label}`, { label }, () => 1)
        const families = readExposition(counts.prometheus())
        const seen = families.get('switchback_decisions_total')?.samples ?? []
        expect(seen.map((sample) => sample.labels['variant']).sort()).toEqual([...variants].sort())
        expect(valueOf(families, 'switchback_test', { label })).toBe(1)
        counts.close()
      }),
      { numRuns: inFull(50, 200), seed: 7 },
    )
  })

  test('a thousand variants and reasons do not become a million series, and none is lost', () => {
    const counts = telemetry()
    for (let i = 0; i < 1000; i++) counts.decision('off', `v${i}`, `R${i % 100}`, 'live')
    counts.decision('off', 'x'.repeat(10_000), 'STATIC', 'live')
    const { decisions } = counts.snapshot()
    expect(decisions.length).toBeLessThanOrEqual(13 * 13)
    expect(decisions.reduce((sum, { count }) => sum + count, 0)).toBe(1001)
    expect(decisions.some(({ variant }) => variant === 'other')).toBe(true)
    expect(counts.prometheus()).not.toContain('xxxx')
  })
})

describe('gauges', () => {
  test('are read when somebody looks, and go when told', () => {
    const counts = telemetry()
    let owed = 3
    const remove = counts.gauge('switchback_owed', 'Owed.', { side: 'on' }, () => owed)
    counts.gauge('switchback_owed', 'Owed.', { side: 'off' }, () => 0)
    owed = 4
    const value = (): number | undefined =>
      readExposition(counts.prometheus())
        .get('switchback_owed')
        ?.samples.find((sample) => sample.labels['side'] === 'on')?.value
    expect(value()).toBe(4)
    remove()
    expect(value()).toBeUndefined()
  })

  test('one that throws takes nothing else down', () => {
    const counts = telemetry()
    counts.gauge('switchback_broken', 'x', {}, () => {
      throw new Error('no')
    })
    counts.gauge('switchback_fine', 'x', {}, () => Infinity)
    const families = readExposition(counts.prometheus())
    expect(families.has('switchback_broken')).toBe(false)
    expect(valueOf(families, 'switchback_fine', {})).toBe(Infinity)
  })

  test.each([
    ['bad name', {}],
    ['switchback_x', { 'bad-label': 'v' }],
  ])('refuses %s %o', (name, labels) => {
    expect(() => telemetry().gauge(name, 'x', labels as Record<string, string>, () => 1)).toThrow(
      expect.objectContaining({ code: 'SB_METRIC_NAME_INVALID' }),
    )
  })
})

test('noTelemetry counts nothing and never fails', () => {
  noTelemetry.operation('on', 'get', 'hit', 1, noTelemetry.bucketOf('ann'))
  noTelemetry.event('on', 'fill')
  expect(noTelemetry.bucketOf('ann')).toBe(0)
})
