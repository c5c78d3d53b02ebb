import { expect, test } from 'vitest'
import { emptyPair, Judge } from '../../src/guard/rule/index.ts'
import type { ArmPair, JudgeSettings, MetricRule, Verdict } from '../../src/guard/rule/index.ts'
import { Traffic } from '../../bench/guard/traffic.ts'

const errors: MetricRule = {
  id: 'errors',
  tolerate: { ratio: 1.05, add: 0 },
  allow: { ratio: 1.25, budget: 0.001 },
  buckets: 32,
  outage: true,
}
const settings: JudgeSettings = { metrics: [errors] }

interface World {
  readonly treatment: number
  readonly traffic: Traffic
  readonly share?: number
  readonly judge?: Judge
}

function baseline(judge: Judge, traffic: Traffic): void {
  for (let second = -30; second < 0; second++) {
    judge.observe(second, 1, new Map([['errors', [traffic.second(0, 0.001, 0)]]]))
  }
}

/** Runs until the answer is no more `undecided`, or the time is over. */
function decide(world: World, seconds: number): { verdict: Verdict; at: number } {
  const { traffic, treatment, share = 0.25 } = world
  const judge = world.judge ?? new Judge(settings)
  if (world.judge === undefined) {
    baseline(judge, traffic)
    judge.beginStep({ at: 0, share, next: 0.5 })
  }
  for (let at = 1; ; at++) {
    const poll: ArmPair = traffic.second(share, 0.001, treatment)
    judge.observe(at, 1, new Map([['errors', [poll]]]))
    const verdict = judge.verdict(at)
    if (verdict.answer !== 'undecided' || at >= seconds) return { verdict, at }
  }
}

test('equal arms are safe, after the minimum hold', () => {
  const { verdict, at } = decide({ treatment: 0.001, traffic: new Traffic({ seed: 2 }) }, 1500)
  expect(verdict.answer).toBe('safe')
  expect(at).toBeGreaterThanOrEqual(60)
  expect(verdict.metrics[0]?.safety?.logEvidence).toBeGreaterThanOrEqual(Math.log(20))
})

test('a regression is named with its numbers', () => {
  const { verdict } = decide({ treatment: 0.05, traffic: new Traffic({ seed: 2 }) }, 300)
  expect(verdict).toMatchObject({ answer: 'regressed', because: ['errors'] })
  expect(verdict.reason).toMatch(/errors [\d.]+ % on the new side, [\d.]+ % on the old side/)
})

test('no safety before the baseline, and the metric that lacks it is named', () => {
  const judge = new Judge(settings)
  judge.beginStep({ at: 0, share: 0.25, next: 0.5 })
  judge.observe(1, 1, new Map([['errors', [new Traffic({ seed: 1 }).second(0.25, 0, 0)]]]))
  expect(judge.unready).toEqual(['errors'])
  expect(judge.verdict(4000)).toMatchObject({ answer: 'undecided', because: ['errors'] })
  expect(judge.verdict(4000).reason).toContain('baseline')
})

test('too little traffic holds, and says that operations are what is missing', () => {
  const traffic = new Traffic({ seed: 2, perSecond: 1 })
  const judge = new Judge({ ...settings, baselineOperations: 10 })
  baseline(judge, traffic)
  judge.beginStep({ at: 0, share: 0.01, next: 0.05 })
  const { verdict, at } = decide({ treatment: 0.001, traffic, share: 0.01, judge }, 4000)
  expect(verdict.answer).toBe('starved')
  expect(at).toBe(3600)
  expect(verdict.metrics[0]?.lacks).toBe('operations')
})

test('one user who retries takes nobody back; an outage of many does at once', () => {
  const judge = new Judge(settings)
  const traffic = new Traffic({ seed: 6 })
  baseline(judge, traffic)
  judge.beginStep({ at: 0, share: 0.05, next: 0.1 })
  const second = (at: number, change: (pair: ArmPair) => void): Verdict => {
    const pair = traffic.second(0.05, 0.001, 0.001)
    change(pair)
    judge.observe(at, 1, new Map([['errors', [pair]]]))
    return judge.verdict(at)
  }
  for (let at = 1; at < 120; at++) {
    const verdict = second(at, ({ treatment }) => {
      treatment.bad[7]! += 30
      treatment.total[7]! += 30
    })
    expect(verdict.answer).not.toBe('regressed')
  }
  const answers = Array.from(
    { length: 60 },
    (_, i) =>
      second(200 + i, ({ treatment }) => {
        for (let b = 0; b < 32; b++) {
          treatment.bad[b]! += 2
          treatment.total[b]! += 2
        }
      }).answer,
  )
  expect(answers).toContain('regressed')
})

test('a step begins with no proof of safety, but harm is not forgotten', () => {
  const traffic = new Traffic({ seed: 2 })
  const judge = new Judge(settings)
  baseline(judge, traffic)
  judge.beginStep({ at: 0, share: 0.25, next: 0.5 })
  expect(decide({ treatment: 0.001, traffic, judge }, 1500).verdict.answer).toBe('safe')
  const harm = judge.verdict(1500).metrics[0]?.harm.logEvidence
  judge.beginStep({ at: 1500, share: 0.5, next: 1 })
  const after = judge.verdict(1501)
  expect(after.answer).toBe('undecided')
  expect(after.metrics[0]).toMatchObject({ treatment: { total: 0 }, harm: { logEvidence: harm } })
})

test('the last step looks for harm only', () => {
  const traffic = new Traffic({ seed: 2 })
  const judge = new Judge(settings)
  baseline(judge, traffic)
  judge.beginStep({ at: 0, share: 0.95, next: undefined })
  expect(decide({ treatment: 0.001, traffic, share: 0.95, judge }, 300).verdict.answer).toBe(
    'undecided',
  )
  expect(decide({ treatment: 0.5, traffic, share: 0.95, judge }, 300).verdict.answer).toBe(
    'regressed',
  )
})

test('saved and restored in the middle of a step, it says the same', () => {
  const traffic = new Traffic({ seed: 2 })
  const judge = new Judge(settings)
  baseline(judge, traffic)
  judge.beginStep({ at: 0, share: 0.25, next: 0.5 })
  decide({ treatment: 0.002, traffic, judge }, 50)
  const copy = Judge.restore(settings, JSON.parse(JSON.stringify(judge.state())))
  for (let at = 51; at < 120; at++) {
    const strata = new Map([['errors', [traffic.second(0.25, 0.001, 0.002)]]])
    judge.observe(at, 1, strata)
    copy.observe(at, 1, strata)
  }
  expect(copy.verdict(120)).toEqual(judge.verdict(120))
})

test('a metric that is not counted by user is judged by its fixed design effect', () => {
  const rule = { ...errors, id: 'orders', buckets: 1, designEffect: 4, outage: false }
  const answer = (designEffect: number): number => {
    const judge = new Judge({ metrics: [{ ...rule, designEffect }], baselineOperations: 100 })
    const pair = emptyPair(1)
    pair.control.total[0] = 1000
    pair.control.bad[0] = 1
    judge.observe(0, 1, new Map([['orders', [pair]]]))
    judge.beginStep({ at: 0, share: 0.5, next: 1 })
    const worse = emptyPair(1)
    worse.control.total[0] = 1000
    worse.control.bad[0] = 1
    worse.treatment.total[0] = 1000
    worse.treatment.bad[0] = 12
    judge.observe(1, 1, new Map([['orders', [worse]]]))
    return judge.verdict(1).metrics[0]!.harm.logEvidence
  }
  expect(answer(1)).toBeGreaterThan(answer(4) + 1)
})

test('a step is not left before its hold and its operations, however clear the evidence', () => {
  const safeAfter = (extra: Partial<JudgeSettings>, seconds: number): number => {
    const traffic = new Traffic({ seed: 3, perSecond: 3000, users: 5000 })
    const judge = new Judge({ ...settings, ...extra })
    baseline(judge, traffic)
    judge.beginStep({ at: 0, share: 0.25, next: 0.5 })
    return decide({ treatment: 0.001, traffic, judge }, seconds).at
  }
  expect(safeAfter({ minHoldS: 75 }, 200)).toBe(75)
  expect(safeAfter({ minHoldS: 0, minOperations: 40_000 }, 200)).toBeGreaterThan(50)
  expect(safeAfter({ minHoldS: 0 }, 200)).toBeLessThan(40)
})

test('what happens while a step settles is no evidence of safety, but may be harm', () => {
  const traffic = new Traffic({ seed: 3 })
  const judge = new Judge(settings)
  baseline(judge, traffic)
  judge.beginStep({ at: 0, share: 0.25, next: 0.5 })
  const treated = (at: number): number => {
    judge.observe(at, 1, new Map([['errors', [traffic.second(0.25, 0.001, 0.001)]]]))
    return judge.verdict(at).metrics[0]!.treatment.total
  }
  for (let at = 1; at <= 10; at++) expect(treated(at)).toBe(0)
  expect(treated(11)).toBeGreaterThan(0)
  expect(judge.verdict(11).metrics[0]!.harm.treatment.total).toBeGreaterThan(200)
})

test('a stall that makes all in flight slow is one second’s evidence; slowness that lasts is harm', () => {
  const slow = { ...errors, id: 'slow', outage: false, harmPerSecond: 2 }
  const judge = new Judge({ metrics: [slow] })
  const traffic = new Traffic({ seed: 4 })
  const second = (at: number, share: number, stalled: boolean): Verdict => {
    const pair = traffic.second(share, 0.001, stalled ? 0.5 : 0.001)
    judge.observe(at, 1, new Map([['slow', [pair]]]))
    return judge.verdict(at)
  }
  for (let at = -40; at < 0; at++) second(at, 0, false)
  judge.beginStep({ at: 0, share: 0.25, next: 0.5 })
  for (let at = 1; at < 300; at++) {
    expect(second(at, 0.25, at % 150 === 5).answer).not.toBe('regressed')
  }
  const answers = Array.from({ length: 25 }, (_, i) => second(300 + i, 0.25, true).answer)
  expect(answers.indexOf('regressed')).toBeGreaterThan(0)
})
