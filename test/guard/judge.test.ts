import { expect, test } from 'vitest'
import { emptyPair, Judge } from '../../src/guard/rule/index.ts'
import type {
  ArmPair,
  Incident,
  JudgeSettings,
  MetricRule,
  Verdict,
} from '../../src/guard/rule/index.ts'
import { Traffic } from '../../bench/guard/traffic.ts'

const failed: MetricRule = { id: 'failed', harm: 0.001, patienceS: 3, buckets: 32 }
const settings: JudgeSettings = { metrics: [failed] }

/** What one replica did. */
function poll(pair: ArmPair, id = 'failed'): Map<string, Map<string, ArmPair>> {
  return new Map([[id, new Map([['a', pair]])]])
}

interface World {
  readonly treatment: number
  readonly traffic: Traffic
  readonly share?: number
  readonly judge?: Judge
}

function baseline(judge: Judge, traffic: Traffic): void {
  for (let second = -30; second < 0; second++) {
    judge.observe(second, 1, poll(traffic.second(0, 0.001, 0)))
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
    judge.observe(at, 1, poll(traffic.second(share, 0.001, treatment)))
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
  expect(verdict).toMatchObject({ answer: 'regressed', because: ['failed'] })
  expect(verdict.reason).toMatch(
    /failed [\d.]+ % on the new side, [\d.]+ % on the old side, in \d+ slots within \d+ s$/,
  )
})

test('no safety before the baseline, and the metric that lacks it is named', () => {
  const judge = new Judge(settings)
  judge.beginStep({ at: 0, share: 0.25, next: 0.5 })
  judge.observe(1, 1, poll(new Traffic({ seed: 1 }).second(0.25, 0, 0)))
  expect(judge.unready).toEqual(['failed'])
  expect(judge.verdict(4000)).toMatchObject({ answer: 'undecided', because: ['failed'] })
  expect(judge.verdict(4000).reason).toContain('baseline')
})

test('too little traffic holds, and says what is missing; what takes an hour says how long', () => {
  const answerAt = (share: number, seconds: number): Verdict => {
    const traffic = new Traffic({ seed: 2, perSecond: 1 })
    const judge = new Judge({ ...settings, baselineOperations: 10 })
    for (let at = -2000; at < 0; at++) judge.observe(at, 1, poll(traffic.second(0, 0, 0)))
    judge.beginStep({ at: 0, share, next: 2 * share })
    return decide({ treatment: 0, traffic, share, judge }, seconds).verdict
  }
  const starved = answerAt(0.002, 400)
  expect(starved.answer).toBe('starved')
  expect(starved.metrics[0]?.waits).toMatchObject({ cause: 'traffic' })
  expect(starved.reason).toMatch(
    /^failed 0 of \d+ cannot be decided: no operations on the new side for 60 s, 1\/s on the old side$/,
  )
  const waits = answerAt(0.25, 100)
  expect(waits.answer).toBe('undecided')
  expect(waits.reason).toMatch(
    /^waits for failed 0 of \d+: about \d+ more operations on the new side, [\d.]+ to [\d.]+ (min|h) at 0\.\d+\/s$/,
  )
})

test('one user who retries takes nobody back; an outage of many does at once', () => {
  const judge = new Judge(settings)
  const traffic = new Traffic({ seed: 6 })
  baseline(judge, traffic)
  judge.beginStep({ at: 0, share: 0.05, next: 0.1 })
  const second = (at: number, change: (pair: ArmPair) => void): Verdict => {
    const pair = traffic.second(0.05, 0.001, 0.001)
    change(pair)
    judge.observe(at, 1, poll(pair))
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

test('evidence goes on over the steps, of safety too, but each step has operations of its own', () => {
  const traffic = new Traffic({ seed: 2 })
  const judge = new Judge(settings)
  baseline(judge, traffic)
  judge.beginStep({ at: 0, share: 0.25, next: 0.5 })
  expect(decide({ treatment: 0.001, traffic, judge }, 1500).verdict.answer).toBe('safe')
  const before = judge.verdict(1500).metrics[0]!
  judge.beginStep({ at: 1500, share: 0.5, next: 1 })
  const after = judge.verdict(1501)
  expect(after.answer).toBe('undecided')
  expect(after.metrics[0]).toMatchObject({
    treatment: before.treatment,
    harm: { logEvidence: before.harm.logEvidence },
    waits: { for: 'evidence' },
  })
  expect(after.metrics[0]!.safety!.logEvidence).toBeGreaterThan(0)
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
  const copy = Judge.restore(settings, JSON.parse(JSON.stringify(judge.state()))).judge
  for (let at = 51; at < 120; at++) {
    const strata = poll(traffic.second(0.25, 0.001, 0.002))
    judge.observe(at, 1, strata)
    copy.observe(at, 1, strata)
  }
  expect(copy.verdict(120)).toEqual(judge.verdict(120))
})

test('a metric that is not counted by user is judged by its fixed design effect', () => {
  const rule = { ...failed, id: 'orders', buckets: 1, designEffect: 4 }
  const answer = (designEffect: number): number => {
    const judge = new Judge({ metrics: [{ ...rule, designEffect }], baselineOperations: 100 })
    const pair = emptyPair(1)
    pair.control.total[0] = 1000
    pair.control.bad[0] = 1
    judge.observe(0, 1, poll(pair, 'orders'))
    judge.beginStep({ at: 0, share: 0.5, next: 1 })
    const worse = emptyPair(1)
    worse.control.total[0] = 100
    worse.treatment.total[0] = 100
    worse.treatment.bad[0] = 1
    for (let at = 1; at <= 24; at++) judge.observe(at, 1, poll(worse, 'orders'))
    return judge.verdict(24).metrics[0]!.harm.logEvidence
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
    judge.observe(at, 1, poll(traffic.second(0.25, 0.001, 0.001)))
    return judge.verdict(at).metrics[0]!.treatment.total
  }
  for (let at = 1; at <= 10; at++) expect(treated(at)).toBe(0)
  expect(treated(11)).toBeGreaterThan(0)
  expect(judge.verdict(11).metrics[0]!.harm.treatment.total).toBeGreaterThan(200)
})

test('one incident proves nothing and is told; what comes back each few seconds is harm', () => {
  const degraded: MetricRule = { id: 'degraded', harm: 0.005, patienceS: 7.5, buckets: 32 }
  const judge = new Judge({ metrics: [degraded] })
  const traffic = new Traffic({ seed: 4 })
  const told: Incident[] = []
  const second = (at: number, share: number, spoilt: number): Verdict => {
    const pair = traffic.second(share, 0, spoilt)
    told.push(...judge.observe(at, 1, poll(pair, 'degraded')))
    return judge.verdict(at)
  }
  for (let at = -40; at < 0; at++) second(at, 0, 0)
  judge.beginStep({ at: 0, share: 0.25, next: 0.5 })
  for (let at = 1; at < 400; at++) {
    // Seven seconds in which nothing of the new side is served in time.
    const spoilt = at >= 300 && at < 307 ? 1 : 0
    expect(second(at, 0.25, spoilt).answer).not.toBe('regressed')
  }
  expect(told).toMatchObject([{ metric: 'degraded', lastedS: 7, allowed: 0.005 }])
  expect(told[0]!.bad).toBeGreaterThan(100)
  const answers = Array.from({ length: 300 }, (_, i) => second(400 + i, 0.25, i % 10 === 0 ? 1 : 0))
  expect(answers.findIndex(({ answer }) => answer === 'regressed')).toBeGreaterThan(20)
})

test('a side that spoils four times what is allowed goes back, one that spoils half of it goes on', () => {
  const answer = (treatment: number): string => {
    const traffic = new Traffic({ seed: 9, perSecond: 400 })
    const judge = new Judge(settings)
    for (let at = -30; at < 0; at++) judge.observe(at, 1, poll(traffic.second(0, 0, 0)))
    judge.beginStep({ at: 0, share: 0.5, next: 1 })
    for (let at = 1; at < 900; at++) {
      judge.observe(at, 1, poll(traffic.second(0.5, 0, treatment)))
      const verdict = judge.verdict(at, false).answer
      if (verdict === 'regressed' || verdict === 'safe') return verdict
    }
    return 'undecided'
  }
  expect(answer(0.004)).toBe('regressed')
  expect(answer(0.0005)).toBe('safe')
})

test('a resumed rollout begins at nothing: what condemned it once says nothing now', () => {
  const traffic = new Traffic({ seed: 4 })
  const judge = new Judge(settings)
  baseline(judge, traffic)
  judge.beginStep({ at: 0, share: 0.25, next: 0.5 })
  expect(decide({ treatment: 0.3, traffic, judge }, 60).verdict.answer).toBe('regressed')
  judge.beginEpoch()
  expect(judge.step).toBeUndefined()
  expect(judge.unready).toEqual([])
  judge.beginStep({ at: 100, share: 0.25, next: 0.5 })
  const { metrics, answer } = judge.verdict(100)
  expect([answer, metrics[0]?.harm.logEvidence, metrics[0]?.treatment.total]).toEqual([
    'undecided',
    0,
    0,
  ])
  for (let at = 101; at < 400; at++) {
    judge.observe(at, 1, poll(traffic.second(0.25, 0.001, 0.001)))
    expect(judge.verdict(at).answer).not.toBe('regressed')
  }
})

test('of a changed metric the evidence begins at nothing, of the others it goes on', () => {
  const traffic = new Traffic({ seed: 4 })
  const other = { ...failed, id: 'degraded', harm: 0.005 }
  const judge = new Judge({ metrics: [failed, other] })
  const both = (pair: ArmPair): Map<string, Map<string, ArmPair>> =>
    new Map([...poll(pair), ...poll(pair, 'degraded')])
  for (let at = -40; at < 0; at++) judge.observe(at, 1, both(traffic.second(0, 0.001, 0)))
  judge.beginStep({ at: 0, share: 0.25, next: 0.5 })
  for (let at = 1; at < 60; at++) judge.observe(at, 1, both(traffic.second(0.25, 0.001, 0.001)))
  const metrics = [failed, { ...other, basis: 'later than 50 ms' }]
  const restored = Judge.restore({ metrics }, judge.state())
  expect(restored.anew).toEqual(['degraded'])
  expect(restored.judge.unready).toEqual(['degraded'])
  const [kept, anew] = restored.judge.verdict(60).metrics
  expect(kept!.treatment.total).toBeGreaterThan(500)
  expect(anew!.treatment.total).toBe(0)
})

test('a baseline that nobody has looked after for ten minutes is taken anew', () => {
  const traffic = new Traffic({ seed: 4 })
  const judge = new Judge(settings)
  baseline(judge, traffic)
  expect(Judge.restore(settings, judge.state(), 500).judge.unready).toEqual([])
  expect(Judge.restore(settings, judge.state(), 700).judge.unready).toEqual(['failed'])
})
