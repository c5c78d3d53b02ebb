import { expect, test } from 'vitest'
import { BLIPS, blipsTimes } from '../../bench/guard/blips.ts'
import { CHANGES, detectionTimes } from '../../bench/guard/detection.ts'
import { ROWS } from '../../bench/guard/false-rollbacks.ts'
import { rollout, SECOND_ATTEMPTS } from '../../bench/guard/rollouts.ts'
import { Traffic } from '../../bench/guard/traffic.ts'
import {
  competitorWatcher,
  DEGRADED,
  FAILED,
  guardWatcher,
  quantile,
  trial,
} from '../../bench/guard/trial.ts'
import { peekedZ } from '../../bench/guard/competitors.ts'
import { inFull } from '../support/full.ts'

function named<T extends { readonly name: string }>(list: readonly T[], name: string): T {
  const found = list.find((entry) => entry.name === name)
  if (found === undefined) throw new Error(name)
  return found
}

test.each(ROWS.map((row) => [row.name, row] as const))(
  'healthy rollouts go on: %s',
  (_, row) => {
    const runs = inFull(4, 12)
    const rolledBack = new Map([
      ['failed', 0],
      ['degraded', 0],
      ['z 0.01 peeked', 0],
    ])
    for (let run = 0; run < runs; run++) {
      const traffic = new Traffic({
        seed: 40 + run,
        users: row.users ?? 2000,
        weather: row.weather,
      })
      const watchers = [
        guardWatcher(FAILED),
        guardWatcher(DEGRADED),
        competitorWatcher(peekedZ(0.01)),
      ]
      const fired = trial(traffic, watchers, 2000, (second) => {
        const step = row.drift === true ? Math.floor(second / 400) : 2
        const rate = row.drift === true ? 0.01 * (1 + step) : 0.01
        return { share: [0.01, 0.05, 0.25, 0.25, 0.5][step]!, control: rate, treatment: rate }
      })
      for (const name of fired.keys()) rolledBack.set(name, rolledBack.get(name)! + 1)
    }
    // At a third of 1 %, one of 12 would be an accident of one in twenty-five.
    expect(rolledBack.get('failed')).toBe(0)
    expect(rolledBack.get('degraded')).toBe(0)
    // The same traffic is a trap: a test that may not be peeked at walks into it.
    expect(rolledBack.get('z 0.01 peeked')).toBeGreaterThanOrEqual(1)
  },
  60_000,
)

test.each(['one, 0.3 s', 'one, 2 s', 'one, 5 s, at 10 min'])(
  'an incident of the new side alone ends nothing: %s',
  (name) => {
    const { times } = blipsTimes(named(BLIPS, name), 0.25, { runs: inFull(6, 20), seed: 3 })
    for (const id of ['failed', 'degraded']) {
      expect(times.get(id)!.filter((time) => time < Infinity)).toEqual([])
    }
    if (name === 'one, 0.3 s') return
    // A test per user, as the peers have it, goes back for it.
    expect(times.get('per-user aCS')!.filter((time) => time < Infinity).length).toBeGreaterThan(
      inFull(1, 5),
    )
  },
  60_000,
)

test('incidents that come back each minute are judged by their sum', () => {
  const { times } = blipsTimes(named(BLIPS, 'minutely 2 s'), 0.25, { runs: 8, seed: 3 })
  expect(quantile(times.get('failed')!, 0.5)).toBeLessThanOrEqual(180)
  expect(quantile(times.get('degraded')!, 0.5)).toBeLessThanOrEqual(480)
}, 60_000)

test('an outage is taken back after 5 s, or 11 s when callers are served; each a slot more late in a rollout', () => {
  for (const [name, failed, degraded] of [
    ['outage', 6, 12],
    ['outage after 1 h', 12, 22],
  ] as const) {
    const times = detectionTimes(named(CHANGES, name), 0.25, { runs: 8, seed: 3 })
    expect(times.get('failed')).toHaveLength(8)
    expect(quantile(times.get('failed')!, 0.5)).toBeGreaterThan(3)
    expect(quantile(times.get('failed')!, 0.5)).toBeLessThanOrEqual(failed)
    expect(quantile(times.get('degraded')!, 0.5)).toBeLessThanOrEqual(degraded)
  }
}, 60_000)

test('a regression of a tenth is seen in little more than a minute', () => {
  const times = detectionTimes(named(CHANGES, '.1→1 %'), 0.25, { runs: inFull(10, 20), seed: 3 })
  expect(quantile(times.get('failed')!, 0.5)).toBeLessThan(110)
}, 60_000)

test('a second attempt is judged by what happens in it', () => {
  const end = (name: string): string[] =>
    [1, 2].map((seed) => rollout(named(SECOND_ATTEMPTS, name), seed, true).end)
  expect(end('cause gone')).toEqual(['finished', 'finished'])
  expect(end('the outage is still there')).toEqual(['rolled back', 'rolled back'])
}, 60_000)
