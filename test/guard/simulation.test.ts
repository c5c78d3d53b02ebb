import { expect, test } from 'vitest'
import { CHANGES, detectionTimes, quantile } from '../../bench/guard/detection.ts'
import { ROWS } from '../../bench/guard/false-rollbacks.ts'
import { Traffic } from '../../bench/guard/traffic.ts'
import { guardWatcher, trial } from '../../bench/guard/trial.ts'
import { competitorWatcher } from '../../bench/guard/trial.ts'
import { peekedZ } from '../../bench/guard/competitors.ts'

function change(name: string): (typeof CHANGES)[number] {
  const found = CHANGES.find((entry) => entry.name === name)
  if (found === undefined) throw new Error(name)
  return found
}

test.each(ROWS.map((row) => [row.name, row] as const))(
  'healthy rollouts go on: %s',
  (_, row) => {
    const runs = 60
    const rolledBack = new Map([
      ['guard', 0],
      ['z 0.01 peeked', 0],
    ])
    for (let run = 0; run < runs; run++) {
      const traffic = new Traffic({ seed: 40 + run, weather: row.weather })
      const watchers = [guardWatcher(), competitorWatcher(peekedZ(0.01))]
      const fired = trial(traffic, watchers, 2500, (second) => {
        const step = row.drift === true ? Math.floor(second / 500) : 2
        const rate = row.drift === true ? 0.01 * (1 + step) : 0.01
        return { share: [0.01, 0.05, 0.25, 0.25, 0.5][step]!, control: rate, treatment: rate }
      })
      for (const name of fired.keys()) rolledBack.set(name, rolledBack.get(name)! + 1)
    }
    // At alpha 1 %, three of 60 would be an accident of one in forty.
    expect(rolledBack.get('guard')).toBeLessThanOrEqual(2)
    // The same traffic is a trap: a test that may not be peeked at walks into it.
    expect(rolledBack.get('z 0.01 peeked')).toBeGreaterThanOrEqual(3)
  },
  30_000,
)

test('an outage is seen within two polls at 5 treatment operations a second', () => {
  const times = detectionTimes(change('outage'), 0.05, { runs: 40, seed: 3 }).get('guard')!
  expect(times).toHaveLength(40)
  expect(quantile(times, 0.5)).toBeLessThanOrEqual(2)
  expect(quantile(times, 0.9)).toBeLessThanOrEqual(4)
})

test.each([
  ['.1→1 %', 3.3],
  ['slow 1→5 %', 4],
])('%s is seen in not much more time than a test that knows both rates', (name, factor) => {
  const times = detectionTimes(change(name), 0.25, { runs: 60, seed: 3 })
  const median = quantile(times.get('guard')!, 0.5)
  expect(median).toBeLessThan(factor * quantile(times.get('SPRT')!, 0.5))
})

test('a regression after a healthy hour is seen in minutes', () => {
  const late = { ...change('1→2 % after 1 healthy h'), treatment: 0.03 }
  const times = detectionTimes(late, 0.25, { runs: 12, seed: 3 }).get('guard')!
  expect(quantile(times, 0.5)).toBeLessThan(240)
})
