import { readFile } from 'node:fs/promises'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { isSwitchbackError } from '../../src/errors.ts'
import { parsePlan } from '../../src/guard/index.ts'

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
    expect(plan.metrics.map(({ id }) => id)).toEqual(['errors', 'slow', 'repeat-misses'])
    expect(plan.judge).toMatchObject({ alpha: 0.01, advanceEvidence: 20, minHoldS: 60 })
    expect(plan.metrics[0]).toMatchObject({
      tolerate: { ratio: 1.05, add: 0 },
      allow: { ratio: 1.25, budget: 0.001 },
    })
    expect(plan).toMatchObject({ lost: 'page', starved: 'hold', advance: 'auto', intervalMs: 1000 })
  }
})

test('a full plan, as YAML and as JSON', () => {
  const yaml = `
flag: use-redis
steps: [0.5, 10, 95]
hold: 5m
users: 50
alpha: 2%
starved: { after: 30m, then: rollback }
lost: { after: 1m, giveUpAfter: 5m, then: rollback, quorum: 80% }
latencyBudget: 50ms
metrics:
  errors: { tolerate: { ratio: 1.2, add: 0.1% }, allow: { budget: 0.5% } }
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
    starved: 'rollback',
    lost: 'rollback',
    latencyBudgetS: 0.05,
    advance: 'ask',
    intervalMs: 15_000,
  })
  expect(plan.metrics.map(({ id }) => id)).toEqual(['errors', 'slow', 'checkout'])
  expect(plan.metrics[0]?.tolerate).toEqual({ ratio: 1.2, add: 0.001 })
  expect(plan.metrics[2]).toMatchObject({ buckets: 1, designEffect: 3 })
  expect(plan.limits).toMatchObject([{ of: 'rate', above: 500, forS: 60, action: 'rollback' }])
  expect(plan.judge).toMatchObject({ alpha: 0.02, minHoldS: 300, starvedAfterS: 1800 })
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
  ['starved: { then: advance }', 'starved.then: "advance" is not one of hold, rollback'],
  ['metrics: { errors: { tolerate: { ratio: 0.5 } } }', 'metrics.errors.tolerate.ratio'],
  ['metrics: { errors: { allow: { ratio: 1, budget: 0 } } }', 'nothing can ever be proven safe'],
  ['metrics: { latency: off }', 'unknown key "latency"'],
  ['custom: [{ id: errors, bad: a, total: b }]', 'needs a unique name'],
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
    { numRuns: 500, seed: 7 },
  )
})

test('the plan in the documentation is the plan of no plan, plus what it shows', async () => {
  const text = await readFile(new URL('../../docs/guard.md', import.meta.url), 'utf8')
  const [, yaml = ''] = /```yaml\n([\s\S]*?)```/.exec(text) ?? []
  const plan = parsePlan(yaml)
  const usual = parsePlan('')
  expect(plan.metrics.slice(0, 3)).toEqual(usual.metrics)
  const shown = { metrics: 0, custom: 0, limits: 0, sources: 0, flag: 0 }
  expect({ ...plan, ...shown }).toEqual({ ...usual, ...shown })
  expect(plan.custom).toHaveLength(1)
  const [{ selector, above, forS, action } = usual.limits[0]!] = plan.limits
  expect({ above, forS, action }).toMatchObject({ above: 0.5, forS: 30, action: 'hold' })
  expect(selector.text).toBe(usual.limits[0]?.selector.text)
  for (const code of ['metrics-lost', 'share-mismatch', 'not-served', 'rollback-failed']) {
    expect(text).toContain(`\`${code}\``)
  }
})
