import { readFile } from 'node:fs/promises'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { isSwitchbackError } from '../../src/errors.ts'
import { parsePlan } from '../../src/guard/index.ts'
import { planChanges, planLines } from '../../src/guard/plan/plan-changes.ts'
import { inFull } from '../support/full.ts'

function problem(text: string): string {
  try {
    parsePlan(text)
  } catch (error) {
    if (isSwitchbackError(error)) return `${error.code} ${error.message} ${error.hint ?? ''}`
    throw error
  }
  return ''
}

test('an empty plan is the design’s', () => {
  for (const text of ['', '{}', '# nothing']) {
    const plan = parsePlan(text)
    expect(plan.steps).toEqual([1, 5, 10, 25, 50, 100])
    expect(plan.metrics.map(({ id }) => id)).toEqual(['failed', 'degraded', 'repeat-misses'])
    expect(plan.judge).toMatchObject({ alpha: 0.01, advanceEvidence: 20, minHoldS: 60 })
    expect(plan.metrics[0]).toMatchObject({ harm: 0.001, patienceS: 3 })
    expect(plan.judge.shares).toEqual([0.01, 0.05, 0.1, 0.25, 0.5, 1])
    expect(plan).toMatchObject({ lost: 'page', lateS: 0.025, advance: 'auto', intervalMs: 1000 })
  }
})

test('a full plan, as YAML and as JSON', () => {
  const yaml = `
flag: use-redis
steps: [0.5, 10, 95]
hold: 5m
users: 50
alpha: 2%
lost: { after: 1m, giveUpAfter: 5m, then: rollback, quorum: 80% }
metrics:
  failed: { harm: 0.2%, patience: 6s }
  degraded: { late: 40ms }
  repeat-misses: off
custom:
  - { id: checkout, bad: 'orders_failed{kind="card"}', total: orders_total, designEffect: 3 }
limits:
  - { rate: 'origin_loads_total', above: 500, for: 1m, then: rollback }
advance: ask
interval: 15s
replicas: ['http://10.0.0.1:9090/metrics']
`
  const plan = parsePlan(yaml)
  expect(plan).toMatchObject({
    flag: 'use-redis',
    steps: [0.5, 10, 95],
    minUsers: 50,
    lost: 'rollback',
    lateS: 0.05,
    advance: 'ask',
    intervalMs: 15_000,
  })
  expect(plan.metrics.map(({ id }) => id)).toEqual(['failed', 'degraded', 'checkout'])
  expect(plan.metrics[0]).toMatchObject({ harm: 0.002, patienceS: 6 })
  expect(plan.metrics[2]).toMatchObject({ buckets: 1, designEffect: 3 })
  expect(plan.limits).toMatchObject([{ of: 'rate', above: 500, forS: 60, action: 'rollback' }])
  expect(plan.judge).toMatchObject({ alpha: 0.02, minHoldS: 300 })
  const json =
    '{"steps":[1,100],"hold":"2m","prometheus":{"url":"http://prom:9090","matchers":"job=\\"a\\""}}'
  expect(parsePlan(json).sources.prometheus).toEqual({
    url: 'http://prom:9090/',
    matchers: 'job="a"',
  })
})

test.each([
  ['steps: [10, 5]', 'steps must rise'],
  ['steps: [0]', 'steps[0]: expected a number'],
  ['steps: [1.00001]', 'three decimals'],
  ['steps: []', 'no steps'],
  ['steps: 5', 'steps: expected a list, got 5'],
  ['stepz: [1]', 'unknown key "stepz"; steps?'],
  ['hold: 60', 'hold: expected a duration'],
  ['hold: -1s', 'expected a duration'],
  ['interval: 10ms', 'of at least 100 ms'],
  ['alpha: 50%', 'alpha'],
  ['alpha: yes please', 'alpha: expected a share'],
  ['metrics: { failed: { harm: 0 } }', 'nothing can ever be proven safe'],
  ['metrics: { failed: { late: 5ms } }', 'unknown key "late"'],
  ['metrics: { degraded: { patience: 10ms } }', 'of at least 1000 ms'],
  ['metrics: { latency: off }', 'unknown key "latency"'],
  ['custom: [{ id: failed, bad: a, total: b }]', 'needs a unique name'],
  ['custom: [{ id: x, bad: "rate(a[5m])", total: b }]', 'custom[0].bad'],
  ['custom: [{ id: x, bad: a }]', 'custom[0].total: needs a selector'],
  ['limits: [{ above: 3 }]', 'needs either value or rate'],
  ['limits: [{ value: a }]', 'needs above'],
  ['replicas: [ftp://x]', 'is not an http URL'],
  ['- 1', 'the plan: expected a map'],
  ['steps: [1', 'not YAML'],
  ['"a": &a [*a]', 'unknown key'],
])('%s: %s', (text, what) => {
  expect(problem(text)).toContain('SB_PLAN_INVALID')
  expect(problem(text)).toContain(what)
})

test.each([
  [
    'metrics: { errors: { tolerate: { ratio: 1.05 }, allow: { budget: 0.2% } } }',
    'metrics.errors: is two metrics now; write failed: { harm: 0.2% }',
  ],
  [
    '{ latencyBudget: 50ms, metrics: { slow: { allow: { budget: 1% } } } }',
    'metrics.slow: is part of degraded now; write degraded: { harm: 1%, late: 50ms }',
  ],
  [
    'latencyBudget: 100ms',
    'latencyBudget: is part of a metric now; write metrics: { degraded: { late: 100ms } }',
  ],
  ['starved: { after: 1h, then: hold }', 'starved: was removed'],
  [
    'metrics: { repeat-misses: { tolerate: { add: 3% } } }',
    'metrics.repeat-misses: tolerate and allow are one number now; write repeat-misses: { harm: 3% }',
  ],
  [
    'custom: [{ id: x, bad: a, total: b, allow: { budget: 0.4% } }]',
    'custom[0]: tolerate and allow are one number now; write harm: 0.4%',
  ],
])('a plan of the first edition, %s, is refused with what to write', (text, what) => {
  const found = problem(text)
  expect(found).toContain('SB_PLAN_INVALID')
  expect(found).toContain(what)
  expect(found).not.toContain('unknown key')
})

test('what is late is a bound of the histogram, and told', () => {
  expect(parsePlan('metrics: { degraded: { late: 3ms } }').lateS).toBe(0.005)
  expect(parsePlan('metrics: { degraded: off }').metrics.map(({ id }) => id)).toEqual([
    'failed',
    'repeat-misses',
  ])
})

test('another plan is told line by line', () => {
  const lines = (text: string): ReturnType<typeof planLines> => planLines(parsePlan(text))
  expect(planChanges(lines(''), lines(''))).toEqual([])
  const now = lines('{ hold: 5m, metrics: { degraded: { late: 250ms }, repeat-misses: off } }')
  expect(planChanges(lines(''), now)).toEqual([
    'hold is now 5 min (was 60 s)',
    'degraded.late is now 250 ms (was 25 ms)',
    'repeat-misses.harm is gone (was 2 %)',
    'repeat-misses.patience is gone (was 7.5 s)',
  ])
})

test('all that is wrong is told at once', () => {
  expect(problem('{ steps: [0], hold: 1, advance: never }')).toMatch(
    /and 2 more.*steps.*hold.*advance/,
  )
})

test('any JSON is a plan or is refused with a code', () => {
  const keys = fc.constantFrom(
    'steps',
    'hold',
    'metrics',
    'custom',
    'limits',
    'lost',
    'replicas',
    'x',
  )
  fc.assert(
    fc.property(fc.dictionary(keys, fc.jsonValue()), (value) => {
      const found = problem(JSON.stringify(value))
      expect(found === '' || found.startsWith('SB_PLAN_INVALID')).toBe(true)
    }),
    { numRuns: inFull(125, 500), seed: 7 },
  )
})

test('the plan in the documentation is the plan of no plan, plus what it shows', async () => {
  const text = await readFile(new URL('../../docs/guard.md', import.meta.url), 'utf8')
  const [, yaml = ''] = /```yaml\n([\s\S]*?)```/.exec(text) ?? []
  const plan = parsePlan(yaml)
  const usual = parsePlan('')
  expect(plan.metrics.slice(0, 3)).toEqual(usual.metrics)
  const shown = { metrics: 0, custom: 0, limits: 0, sources: 0, flag: 0, notify: 0 }
  expect({ ...plan, ...shown }).toEqual({ ...usual, ...shown })
  expect(plan.custom).toHaveLength(1)
  const [{ selector, above, forS, action } = usual.limits[0]!] = plan.limits
  expect({ above, forS, action }).toMatchObject({ above: 0.5, forS: 30, action: 'hold' })
  expect(selector.text).toBe(usual.limits[0]?.selector.text)
  for (const code of ['metrics-lost', 'share-mismatch', 'not-served', 'rollback-failed']) {
    expect(text).toContain(`\`${code}\``)
  }
})
