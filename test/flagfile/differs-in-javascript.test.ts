import { FlagdCore } from '@openfeature/flagd-core'
import { describe, expect, test } from 'vitest'
import { compileFlag, differsInJavaScript, readFlagSet } from '../../src/flagfile/index.ts'
import type { JsonObject, JsonValue } from '../../src/flagfile/index.ts'

const silent = { error() {}, warn() {}, info() {}, debug() {} }
const when = (condition: JsonValue): JsonValue => ({ if: [condition, 'on', 'off'] })
const users = Array.from({ length: 20 }, (_, index) => ({ targetingKey: `user_${index}` }))

/** A rule, the operator that differs, and contexts for one of which it does. */
const DIFFERING: readonly (readonly [operator: string, rule: JsonValue, JsonObject[]])[] = [
  ['==', when({ '==': [{ var: 'a' }, null] }), [{ a: 0 }]],
  ['==', when({ '==': [{ var: 'a' }, 0] }), [{}]],
  ['!=', when({ '!=': [{ var: 'a' }, null] }), [{ a: false }]],
  ['>=', when({ '>=': [{ var: 'a' }, 'b'] }), [{ a: 1 }]],
  ['missing', when({ missing: ['a'] }), [{ a: null }]],
  ['all', when({ all: [{ var: 'list' }, { '===': [{ var: '' }, 1] }] }), [{}]],
  ['in', when({ in: [{ var: 'a' }, ['1', 'x']] }), [{ a: 1 }]],
  ['abs', when({ '===': [{ abs: -1 }, 1] }), [{}]],
  ['cat', when({ '===': [{ cat: [{ var: 'a' }, 'x'] }, 'x'] }), [{}]],
  ['fractional', { fractional: [{ var: 'email' }, ['on', 50], ['off', 50]] }, users],
  [
    'fractional',
    {
      fractional: [
        ['on', { var: 'weight' }],
        ['off', 1],
      ],
    },
    users,
  ],
]

const ALIKE: readonly (readonly [rule: JsonValue, JsonObject[]])[] = [
  [
    {
      fractional: [
        ['on', 50],
        ['off', 50],
      ],
    },
    users,
  ],
  [when({ '==': [{ var: 'plan' }, 'beta'] }), [{ plan: 'beta' }, { plan: 'x' }, {}]],
  [when({ in: [{ var: 'plan' }, ['a', 'b']] }), [{ plan: 'a' }, {}]],
  [when({ '>=': [{ var: 'age' }, 18] }), [{ age: 18 }, { age: 3 }, {}]],
  [when({ ends_with: [{ var: 'email' }, '@x'] }), [{ email: 'a@x' }, {}]],
  [when({ sem_ver: [{ var: 'v' }, '>=', '1.2.0'] }), [{ v: '1.3.0' }, { v: '1.0.0' }]],
]

function differs(targeting: JsonValue, contexts: readonly JsonObject[]): boolean {
  const variants = { on: true, off: false }
  const flag = { state: 'ENABLED', variants, defaultVariant: 'off', targeting }
  const text = JSON.stringify({ flags: { f: flag } })
  const evaluate = compileFlag(readFlagSet(text, 'x').flags.get('f') as never)
  const core = new FlagdCore(undefined, silent)
  core.setConfigurations(text)
  return contexts.some((context) => {
    const ours = evaluate(context)
    const theirs = core.resolveBooleanEvaluation('f', false, context as never, silent)
    return (ours.errorCode || ours.variant) !== (theirs.errorCode ?? theirs.variant)
  })
}

describe('what the JavaScript evaluator decides in another way', () => {
  test.each(DIFFERING)('%s: %j', (operator, rule, contexts) => {
    expect(differs(rule, contexts)).toBe(true)
    expect(differsInJavaScript(rule).map((each) => each.operator)).toContain(operator)
  })

  test.each(ALIKE)('and what it decides alike: %j', (rule, contexts) => {
    expect(differs(rule, contexts)).toBe(false)
  })

  test('is told with its place', () => {
    expect(differsInJavaScript(when({ missing: ['a'] }))).toMatchObject([
      { path: ['if', 0, 'missing'], operator: 'missing' },
    ])
  })

  test('plain splits and segments are told of nothing', () => {
    for (const [rule] of ALIKE.filter(([each]) => !JSON.stringify(each).includes('"in"'))) {
      expect(differsInJavaScript(rule)).toEqual([])
    }
  })
})
