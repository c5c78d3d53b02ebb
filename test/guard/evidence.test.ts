import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  armOverdispersion,
  designEffect,
  edgeOf,
  effectiveBuckets,
  emptyPair,
  expectedRate,
  evidenceRate,
  increment,
  logFactorial,
  logSumExp,
  MetricEvidence,
  nearestNull,
  secondsUntil,
  shareMended,
  shareMismatch,
  Tally,
  timeEffect,
} from '../../src/guard/rule/index.ts'
import type { ArmPair, MetricRule } from '../../src/guard/rule/index.ts'
import { Random } from '../../bench/guard/random.ts'
import { Traffic } from '../../bench/guard/traffic.ts'
import { inFull } from '../support/full.ts'

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
      { numRuns: inFull(750, 3000), seed: 7 },
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

const failed: MetricRule = { id: 'failed', harm: 0.001, patienceS: 3, buckets: 32 }
const single = (pair: ArmPair): Map<string, ArmPair> => new Map([['a', pair]])

/** Errors on treatment, spread over the buckets. */
function withErrors(pair: ArmPair, errors: number): ArmPair {
  for (let i = 0; i < errors; i++) {
    pair.treatment.bad[i % 32]!++
    pair.treatment.total[i % 32]!++
  }
  return pair
}

describe('clusters in time', () => {
  test('a slot in which everything fails is one witness, errors all over are many', () => {
    const at = (seconds: number, errors: (second: number) => number): number => {
      const tally = new Tally({ buckets: 32, fixedEffect: 1, slotS: 2 })
      for (let second = 0; second < seconds; second++) {
        tally.add(second, 1, [withErrors(quiet(), errors(second))])
      }
      return tally.effect(undefined, 0.0001).time
    }
    const quiet = (): ArmPair => {
      const pair = emptyPair(32)
      pair.treatment.total.fill(1)
      return pair
    }
    const burst = at(60, (second) => (second === 30 ? 40 : 0))
    expect(burst).toBeGreaterThan(25)
    expect(burst).toBeLessThan(41)
    expect(at(60, (second) => (second % 3 === 0 ? 1 : 0))).toBeLessThan(1.5)
  })

  test('is at least one, of nothing too', () => {
    const none = { x: 0, n: 0, xx: 0, xn: 0, nn: 0, k: 0 }
    expect(timeEffect(none, 0.1)).toBe(1)
    expect(timeEffect({ x: 1, n: 10, xx: 1, xn: 10, nn: 100, k: 1 }, 0.1)).toBeGreaterThanOrEqual(1)
  })

  test('what one look of many seconds brought is one slot, and no incident falls into three', () => {
    const rule = { ...failed, patienceS: 3 }
    const metric = new MetricEvidence(rule, [])
    const pair = (errors: number): Map<string, ArmPair> => {
      const counts = emptyPair(32)
      counts.control.total.fill(300)
      counts.treatment.total.fill(100)
      return single(withErrors(counts, errors))
    }
    // A scrape every 15 s, of an incident that two of them have seen.
    for (let i = 0; i < 20; i++)
      metric.observe(i * 15, 15, pair(i === 9 || i === 10 ? 400 : 0), false)
    expect(metric.harm.read(metric.baseline.rate).logEvidence).toBeLessThan(Math.log(300))
  })
})

describe('harm', () => {
  function evidenceAfter(
    seconds: number,
    treatment: (second: number) => number,
  ): { metric: MetricEvidence; traffic: Traffic } {
    const traffic = new Traffic({ seed: 5 })
    const metric = new MetricEvidence(failed, [])
    for (let second = -30; second < seconds; second++) {
      const pair = traffic.second(second < 0 ? 0 : 0.25, 0.01, treatment(second))
      metric.observe(second, 1, single(pair), false)
    }
    return { metric, traffic }
  }
  const read = (metric: MetricEvidence): ReturnType<MetricEvidence['harm']['read']> =>
    metric.harm.read(metric.baseline.rate)

  test('a saved state goes on as if nothing had happened', () => {
    const { metric, traffic } = evidenceAfter(700, () => 0.012)
    const copy = new MetricEvidence(failed, [])
    expect(copy.restore(JSON.parse(JSON.stringify(metric.state())), 0.25, 0)).toBe(true)
    for (let second = 700; second < 900; second++) {
      const pair = traffic.second(0.25, 0.01, 0.02)
      metric.observe(second, 1, single(pair), false)
      copy.observe(second, 1, single(pair), false)
    }
    expect(read(copy).logEvidence).toBeCloseTo(read(metric).logEvidence, 9)
    expect(read(copy).effect).toEqual(read(metric).effect)
  })

  test('a state about something else begins at nothing', () => {
    const { metric } = evidenceAfter(200, () => 0.05)
    const copy = new MetricEvidence({ ...failed, harm: 0.01 }, [])
    expect(copy.restore(metric.state(), 0.25, 0)).toBe(false)
    expect([read(copy).logEvidence, copy.baseline.seen]).toEqual([0, 0])
  })

  test('watches stay few over a day, and an old run still sees a late regression', () => {
    const { metric } = evidenceAfter(20_000, (second) => (second < 19_000 ? 0.01 : 0.05))
    expect(metric.harm.watches).toBeLessThan(45)
    expect(read(metric).logEvidence).toBeGreaterThan(Math.log(300))
    expect(read(metric).watch?.openedAt).toBeGreaterThan(15_000)
  })

  test('thinning moves mass but makes none, and evidence does not rise by it', () => {
    const { metric } = evidenceAfter(12_000, (second) => (second < 11_000 ? 0.01 : 0.016))
    const masses = metric.harm.state().watches.map(({ mass }) => mass)
    expect(masses.reduce((sum, mass) => sum + mass, 0)).toBeLessThanOrEqual(1)
    expect(Math.max(...masses)).toBeLessThan(0.9)
  })

  test('a young watch knows the habits of the run: users who retry are no outage', () => {
    const traffic = new Traffic({ seed: 8, weather: { retries: 10 } })
    const metric = new MetricEvidence(failed, [])
    for (let at = 0; at < 1201; at++)
      metric.observe(at, 1, single(traffic.second(0.25, 0.01, 0.01)), false)
    const retrying = emptyPair(32)
    retrying.control.total.fill(3)
    for (const bucket of [3, 11, 19, 27]) {
      retrying.treatment.bad[bucket] = 11
      retrying.treatment.total[bucket] = 11
    }
    metric.observe(1261, 1, single(retrying), false)
    expect(read(metric).effect.user).toBeGreaterThan(8)
    expect(read(metric).logEvidence).toBeLessThan(Math.log(100))
  })

  test('the shortcut never hides evidence that matters', () => {
    const traffic = new Traffic({ seed: 11, weather: { retries: 10 } })
    const metric = new MetricEvidence(failed, [])
    let shortened = 0
    for (let second = 0; second < 1500; second++) {
      metric.observe(
        second,
        1,
        single(traffic.second(0.25, 0.01, second > 1000 ? 0.03 : 0.01)),
        false,
      )
      const exact = read(metric).logEvidence
      const quick = metric.harm.read(metric.baseline.rate, 2)
      if (!quick.exact) shortened++
      expect(quick.exact ? quick.logEvidence === exact : exact < 2).toBe(true)
    }
    expect(shortened).toBeGreaterThan(500)
  })

  test('several replicas are strata: a sick one hurts both arms and proves nothing', () => {
    const random = new Random(9)
    const metric = new MetricEvidence({ ...failed, harm: 0.0001 }, [])
    for (let second = 0; second < 3000; second++) {
      const replicas = [0.2, 0.001, 0.001].map((rate, i) => {
        const pair = emptyPair(32)
        for (let n = 0; n < 40; n++) {
          // More of the sick replica's users are on: pooled, the arms would differ.
          const arm = random.next() < (rate > 0.1 ? 0.6 : 0.2) ? pair.treatment : pair.control
          const bucket = random.below(32)
          arm.total[bucket]!++
          if (random.next() < rate) arm.bad[bucket]!++
        }
        return [`replica-${i}`, pair] as const
      })
      metric.observe(second, 1, new Map(replicas), false)
    }
    const { treatment, control } = metric.tallies.harm.pair
    const rates = [treatment, control].map(
      ({ bad, total }) => bad.reduce((a, b) => a + b, 0) / total.reduce((a, b) => a + b, 0),
    )
    expect(rates[0]! / rates[1]!).toBeGreaterThan(1.5)
    expect(read(metric).logEvidence).toBeLessThan(Math.log(20))
  })

  test('of one replica that alone cannot reach the new side, its name is told', () => {
    const traffic = [1, 2, 3].map((seed) => new Traffic({ seed, perSecond: 40 }))
    const metric = new MetricEvidence(failed, [])
    for (let second = -60; second < 60; second++) {
      const sick = second > 30 ? 0.3 : 0
      const pairs = traffic.map(
        (one, i) => [`app-${i}`, one.second(0.25, 0, i === 1 ? sick : 0)] as const,
      )
      metric.observe(second, 1, new Map(pairs), false)
    }
    const reading = read(metric)
    expect(reading.logEvidence).toBeGreaterThan(Math.log(300))
    expect(metric.harm.worst(reading)).toEqual({ replica: 'app-1', share: 1, alone: true })
  })

  test('few operations are gathered with what the old side does beside them', () => {
    const evidence = (gather: boolean): number => {
      const traffic = new Traffic({ seed: 4, perSecond: 1, users: 500 })
      const metric = new MetricEvidence(failed, [])
      for (let second = -2000; second < 0; second++) {
        metric.observe(second, 1, single(traffic.second(0, 0, 0)), false)
      }
      for (let second = 0; second < 120; second++) {
        // What is begun at each second is a stratum of its own, as before there were any.
        if (!gather) metric.beginStep(0.1)
        metric.observe(second, 1, single(traffic.second(0.1, 0, 1)), false)
      }
      return read(metric).logEvidence
    }
    expect(evidence(true)).toBeGreaterThan(2 * evidence(false))
  })
})

describe('the estimate', () => {
  test('is when the evidence is enough, if all goes on as it did', () => {
    const traffic = new Traffic({ seed: 3 })
    const metric = new MetricEvidence(failed, [0.5])
    for (let second = -30; second < 0; second++) {
      metric.observe(second, 1, single(traffic.second(0, 0, 0)), false)
    }
    metric.beginStep(0.25)
    const safety = metric.safetyFor(0.5)
    const need = Math.log(20)
    let said: number | undefined
    let took = 0
    while (safety.read(metric.baseline.rate).logEvidence < need && took < 2000) {
      metric.observe(took++, 1, single(traffic.second(0.25, 0, 0)), true)
      if (took !== 30) continue
      said = metric.secondsUntil(safety, safety.read(metric.baseline.rate), need)
    }
    expect((took - 30) / said!).toBeGreaterThan(0.6)
    expect((took - 30) / said!).toBeLessThan(1.3)
  })

  test('of a side that is as bad as allowed is never, and of what is proven is at once', () => {
    const margin = { ratio: 1.1, add: 0.01 }
    const pace = { treatment: 10, control: 30, treatmentRate: 0.02, controlRate: 0.001 }
    const bets = [0.001, 0.003, 0.007]
    const nothing = new Float64Array(18)
    const grows = (treatmentRate: number): Float64Array =>
      evidenceRate(margin, bets, { ...pace, treatmentRate })
    expect(secondsUntil(nothing, undefined, grows(0.02), 1, 3)).toBeUndefined()
    const better = secondsUntil(nothing, undefined, grows(0.001), 1, 3)!
    expect(better).toBeGreaterThan(10)
    expect(
      secondsUntil(
        nothing.map(() => 4),
        undefined,
        grows(0.001),
        1,
        3,
      ),
    ).toBe(0)
    expect(expectedRate(0, 0, 0.0001, 0.01)).toBeCloseTo(0.001)
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
