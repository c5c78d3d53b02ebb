import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  armOverdispersion,
  Baseline,
  designEffect,
  edgeOf,
  effectiveBuckets,
  emptyPair,
  HarmEvidence,
  increment,
  logFactorial,
  logSumExp,
  nearestNull,
  shareMended,
  shareMismatch,
} from '../../src/guard/rule/index.ts'
import type { ArmPair } from '../../src/guard/rule/index.ts'
import { Random } from '../../bench/guard/random.ts'
import { Traffic } from '../../bench/guard/traffic.ts'

const rate = fc.double({ min: 1e-6, max: 0.9, noNaN: true })
const count = fc.integer({ min: 0, max: 100_000 })
const margin = fc.record({
  ratio: fc.double({ min: 1, max: 2, noNaN: true }),
  add: fc.oneof(fc.constant(0), fc.double({ min: 1e-5, max: 0.3, noNaN: true })),
})

describe('the increment', () => {
  test('has an expectation of at most one at every point of the null, whatever control does', () => {
    const setting = fc.record({
      margin,
      betControl: rate,
      factor: fc.double({ min: 0.05, max: 30, noNaN: true }),
      treatment: count,
      control: count,
      trueControl: rate,
      beyond: fc.double({ min: 0, max: 0.5, noNaN: true }),
    })
    fc.assert(
      fc.property(setting, ({ margin, betControl, factor, treatment, control, ...world }) => {
        const edge = edgeOf(margin, betControl)
        const bet = edge * factor
        fc.pre(Math.abs(factor - 1) > 1e-3 && treatment > 0)
        const c = nearestNull(margin, treatment, control, bet, betControl)
        const g = edgeOf(margin, c)
        // A bet on harm faces the rates below the margin, a bet on safety those above it.
        const boundary = edgeOf(margin, world.trueControl)
        const trueTreatment = factor > 1 ? boundary * (1 - world.beyond) : boundary + world.beyond
        fc.pre(c > 0)
        // The exponent of E[exp dL] for Poisson counts.
        const terms = [
          treatment * trueTreatment * (bet / g - 1),
          control * world.trueControl * (betControl / c - 1),
          -treatment * (bet - g),
          -control * (betControl - c),
        ]
        const scale = Math.max(1, ...terms.map((term) => Math.abs(term)))
        expect(terms.reduce((sum, term) => sum + term, 0) / scale).toBeLessThan(1e-9)
      }),
      { numRuns: 3000, seed: 7 },
    )
  })

  test('summed over all that could be counted, its evidence is worth at most one', () => {
    const poisson = (mean: number, x: number): number =>
      Math.exp(x * Math.log(mean) - mean - logFactorial(x))
    for (const [ratio, add, factor] of [
      [1.05, 0, 2.5],
      [1.25, 0.05, 0.5],
      [1.1, 0.02, 3],
    ] as const) {
      for (const control of [0.02, 0.1, 0.3]) {
        const margin = { ratio, add }
        const bet = edgeOf(margin, 0.08) * factor
        const treatment = edgeOf(margin, control)
        let expectation = 0
        for (let t = 0; t < 80; t++) {
          for (let c = 0; c < 80; c++) {
            const stratum = { badTreatment: t, treatment: 20, badControl: c, control: 60 }
            const weight = poisson(20 * treatment, t) * poisson(60 * control, c)
            expectation += weight * Math.exp(increment(margin, stratum, bet, 0.08))
          }
        }
        expect(expectation).toBeLessThan(1 + 1e-6)
        expect(expectation).toBeGreaterThan(0.9)
      }
    }
  })

  test('is a number for any counts, and nothing without treatment', () => {
    fc.assert(
      fc.property(margin, rate, rate, count, count, (margin, bet, control, n, m) => {
        const whole = { badTreatment: n, treatment: n, badControl: m, control: m }
        expect(increment(margin, whole, bet, control)).not.toBeNaN()
        expect(
          increment(margin, { ...whole, badControl: 0, control: 0 }, bet, control),
        ).not.toBeNaN()
        const none = { ...whole, badTreatment: 0, treatment: 0 }
        expect(increment(margin, none, bet, control)).toBe(0)
      }),
      { seed: 7 },
    )
  })
})

function counts(bad: readonly number[], total: readonly number[]): ArmPair['control'] {
  return { bad: Float64Array.from(bad), total: Float64Array.from(total) }
}

describe('overdispersion', () => {
  test('is about one for independent errors and the cluster size for clustered ones', () => {
    const random = new Random(3)
    const independent = Array.from({ length: 32 }, () => 0)
    for (let i = 0; i < 640; i++) independent[random.below(32)]!++
    const even = independent.map(() => 1000)
    expect(armOverdispersion(counts(independent, even))).toBeLessThan(1.8)
    const clustered = independent.map((x) => x * 10)
    const single = armOverdispersion(counts(independent, even))
    expect(armOverdispersion(counts(clustered, even)) / single).toBeGreaterThan(7)
  })

  test('is not fooled by one user who makes most of the traffic and of the errors', () => {
    const bad = Array.from({ length: 32 }, (_, i) => (i === 0 ? 300 : 1))
    const total = Array.from({ length: 32 }, (_, i) => (i === 0 ? 9000 : 300))
    expect(armOverdispersion(counts(bad, total))).toBeGreaterThan(50)
  })

  test('never divides by nothing', () => {
    const zero = counts([0, 0], [0, 0])
    const one = counts([5, 0], [9, 0])
    for (const arm of [zero, one, counts([0, 0], [4, 4])]) expect(armOverdispersion(arm)).toBe(1)
    expect(designEffect({ control: zero, treatment: one })).toBeGreaterThanOrEqual(1)
    expect(effectiveBuckets(zero)).toBe(0)
    expect(effectiveBuckets(one)).toBe(1)
    expect(effectiveBuckets(counts([0, 0], [4, 4]))).toBe(2)
  })
})

describe('harm', () => {
  function evidenceAfter(
    seconds: number,
    treatment: (second: number) => number,
  ): { harm: HarmEvidence; traffic: Traffic; baseline: Baseline } {
    const traffic = new Traffic({ seed: 5 })
    const baseline = new Baseline()
    const harm = new HarmEvidence({ ratio: 1.05, add: 0 }, 32)
    for (let second = -30; second < seconds; second++) {
      const pair = traffic.second(second < 0 ? 0 : 0.25, 0.01, treatment(second))
      if (second >= 0) harm.add(second, [pair], baseline.rate)
      baseline.add(pair.control, 1)
    }
    return { harm, traffic, baseline }
  }

  test('a saved state goes on as if nothing had happened', () => {
    const { harm, traffic, baseline } = evidenceAfter(700, () => 0.012)
    const copy = new HarmEvidence({ ratio: 1.05, add: 0 }, 32)
    copy.restore(JSON.parse(JSON.stringify(harm.state())))
    for (let second = 700; second < 900; second++) {
      const pair = traffic.second(0.25, 0.01, 0.02)
      harm.add(second, [pair], baseline.rate)
      copy.add(second, [pair], baseline.rate)
    }
    expect(copy.read()).toEqual(harm.read())
  })

  test('watches stay few over a day, and an old run still sees a late regression', () => {
    const { harm } = evidenceAfter(20_000, (second) => (second < 19_000 ? 0.01 : 0.05))
    expect(harm.watches).toBeLessThan(45)
    expect(harm.read().logEvidence).toBeGreaterThan(Math.log(300))
    expect(harm.read().since).toBeGreaterThan(15_000)
  })

  test('thinning moves mass but makes none, and evidence does not rise by it', () => {
    const { harm } = evidenceAfter(12_000, (second) => (second < 11_000 ? 0.01 : 0.016))
    const masses = harm.state().watches.map(({ mass }) => mass)
    expect(masses.reduce((sum, mass) => sum + mass, 0)).toBeLessThanOrEqual(1)
    expect(Math.max(...masses)).toBeLessThan(0.9)
  })

  test('a young watch knows the habits of the run: users who retry are no outage', () => {
    const traffic = new Traffic({ seed: 8, weather: { retries: 10 } })
    const harm = new HarmEvidence({ ratio: 1.05, add: 0 }, 32)
    for (let at = 0; at < 1201; at++) harm.add(at, [traffic.second(0.25, 0.01, 0.01)], 0.01)
    const retrying = emptyPair(32)
    retrying.control.total.fill(3)
    for (const bucket of [3, 11, 19, 27]) {
      retrying.treatment.bad[bucket] = 11
      retrying.treatment.total[bucket] = 11
    }
    harm.add(1261, [retrying], 0.01)
    const { designEffect: effect, logEvidence } = harm.read()
    expect(effect).toBeGreaterThan(8)
    expect(logEvidence).toBeLessThan(Math.log(100))
  })

  test('the shortcut never hides evidence that matters', () => {
    const traffic = new Traffic({ seed: 11, weather: { retries: 10 } })
    const harm = new HarmEvidence({ ratio: 1, add: 0 }, 32)
    for (let second = 0; second < 1500; second++) {
      harm.add(second, [traffic.second(0.25, 0.01, second > 1000 ? 0.03 : 0.01)], 0.01)
      const exact = harm.read().logEvidence
      const quick = harm.read(2)
      expect(quick.exact ? quick.logEvidence === exact : exact < 2).toBe(true)
    }
  })

  test('several replicas are strata: a sick one hurts both arms and proves nothing', () => {
    const random = new Random(9)
    const harm = new HarmEvidence({ ratio: 1.05, add: 0 }, 32)
    for (let second = 0; second < 3000; second++) {
      const replicas = [0.2, 0.001, 0.001].map((rate) => {
        const pair = emptyPair(32)
        for (let i = 0; i < 40; i++) {
          // More of the sick replica's users are on: pooled, the arms would differ.
          const arm = random.next() < (rate > 0.1 ? 0.6 : 0.2) ? pair.treatment : pair.control
          const bucket = random.below(32)
          arm.total[bucket]!++
          if (random.next() < rate) arm.bad[bucket]!++
        }
        return pair
      })
      harm.add(second, replicas, 0.05)
    }
    const { treatment, control } = harm.totals
    const rates = [treatment, control].map(
      ({ bad, total }) => bad.reduce((a, b) => a + b, 0) / total.reduce((a, b) => a + b, 0),
    )
    expect(rates[0]! / rates[1]!).toBeGreaterThan(1.5)
    expect(harm.read().logEvidence).toBeLessThan(Math.log(20))
  })
})

describe('share mismatch', () => {
  test('logarithms of factorials are exact', () => {
    let exact = 0
    for (let n = 1; n < 2000; n++) {
      exact += Math.log(n)
      expect(Math.abs(logFactorial(n) - exact)).toBeLessThan(1e-8)
    }
    expect(logFactorial(0)).toBe(0)
    expect(logSumExp([1000, 1000])).toBeCloseTo(1000 + Math.LN2, 9)
  })

  test('looked at a thousand times, it cries wolf in almost no run', () => {
    const random = new Random(4)
    let alarms = 0
    for (let run = 0; run < 400; run++) {
      let [t, c, worst] = [0, 0, -Infinity]
      for (let look = 0; look < 1000; look++) {
        for (let i = 0; i < 5; i++) {
          if (random.next() < 0.25) t++
          else c++
        }
        worst = Math.max(worst, shareMismatch(t, c, 0.25))
      }
      if (worst >= Math.log(1000)) alarms++
    }
    expect(alarms).toBeLessThanOrEqual(2)
  })

  test('25 % seen as 20 % is found within a few thousand users', () => {
    const random = new Random(4)
    let [t, c] = [0, 0]
    while (shareMismatch(t, c, 0.25) < Math.log(1000)) {
      if (random.next() < 0.2) t++
      else c++
    }
    expect(t + c).toBeGreaterThan(300)
    expect(t + c).toBeLessThan(4000)
    expect(shareMismatch(250, 0, 0.25)).toBeGreaterThan(Math.log(1000))
  })

  test('that 20 % are 25 % again is found within a few thousand users', () => {
    const random = new Random(5)
    let [t, c] = [0, 0]
    while (shareMended(t, c, 0.25, 0.2) < Math.log(1000)) {
      if (random.next() < 0.25) t++
      else c++
    }
    expect(t + c).toBeGreaterThan(300)
    expect(t + c).toBeLessThan(4000)
  })

  test.each([0.2, 0.15])(
    'while %d are still seen, hardly any count says that it is mended',
    (now) => {
      const random = new Random(6)
      let [mended, confirmed] = [0, 0]
      for (let run = 0; run < 1000; run++) {
        let [t, c, log] = [0, 0, 0]
        while (Math.abs(log) < Math.log(1000)) {
          if (random.next() < now) t++
          else c++
          log = shareMended(t, c, 0.25, 0.2)
        }
        if (log > 0) mended++
        else confirmed++
      }
      expect(mended).toBeLessThanOrEqual(4)
      expect(confirmed).toBeGreaterThanOrEqual(996)
    },
  )
})
