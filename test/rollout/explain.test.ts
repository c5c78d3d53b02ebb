import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compileFlag, type JsonObject, readFlagSet } from '../../src/flagfile/index.ts'
import { explain, type Explanation, readFlags } from '../../src/rollout/index.ts'

const flag = 'use-redis'

function explained(
  definition: object,
  user: Record<string, string | number | null>,
  evaluators: object = {},
): Explanation {
  const full = {
    state: 'ENABLED',
    variants: { on: true, off: false },
    defaultVariant: 'off',
    ...definition,
  }
  const text = JSON.stringify({ flags: { [flag]: full }, $evaluators: evaluators }, null, 1)
  return explain(readFlags(text), flag, { targetingKey: 'ann', ...user })
}

const half = {
  fractional: [
    ['on', 50],
    ['off', 50],
  ],
}

describe('explain', () => {
  it.each([
    ['disabled', { state: 'DISABLED' }, {}, 'state', '"state": "DISABLED",'],
    ['no targeting', {}, {}, 'default', '"defaultVariant": "off"'],
    ['no default', { defaultVariant: null }, {}, 'code default', '"defaultVariant": null'],
    ['nobody to bucket by', { targeting: half }, { targetingKey: '' }, 'default', null],
    ['a split', { targeting: half }, {}, 'split', null],
    [
      'a condition',
      { targeting: { if: [{ var: 'vip' }, 'on', half] } },
      { vip: 1 },
      'variant',
      '"on",',
    ],
    ['no else', { targeting: { if: [{ var: 'vip' }, 'on'] } }, {}, 'default', null],
    ['a shared rule', { targeting: { $ref: 'split' } }, {}, 'split', null],
    ['an operator', { targeting: { cat: ['o', 'n'] } }, {}, 'rule', null],
    [
      'its own key',
      { targeting: { fractional: [{ var: 'email' }, ['on', 1]] } },
      { email: 'x' },
      'split',
      null,
    ],
  ] as const)('names the line: %s', (_, definition, user, by, line) => {
    const { decided } = explained(definition, { ...user }, { split: half })
    expect(decided.by).toBe(by)
    if (line !== null) expect(decided.text).toBe(line)
  })

  it('tells what was hashed: flag key and targeting key where the own key has no value', () => {
    const targeting = { fractional: [{ var: 'email' }, ['on', 50], ['off', 50]] }
    expect(explained({ targeting }, { email: 'a@b.c' }).bucket?.hashed).toBe('a@b.c')
    const without = explained({ targeting }, {}).bucket
    expect(without?.hashed).toBe('use-redisann')
    expect(without?.by).toMatch(/its own key has no value/)
  })

  it('agrees with the evaluation, and its place with its answer, for any user and weights', () => {
    fc.assert(
      fc.property(
        fc.string({ minLength: 1 }),
        fc.array(fc.nat(1000), { minLength: 1, maxLength: 5 }),
        fc.option(fc.string(), { nil: undefined }),
        (targetingKey, weights, email) => {
          const names = weights.map((_, index) => `v${index}`)
          const entries = weights.map((weight, index) => [`v${index}`, weight])
          const definition = {
            variants: Object.fromEntries(names.map((name, index) => [name, index % 2 === 0])),
            defaultVariant: 'v0',
            targeting: { fractional: [{ var: 'email' }, ...entries] },
          }
          const user = email === undefined ? { targetingKey } : { targetingKey, email }
          const { variant, side, value, bucket, decided } = explained(definition, user)
          const text = JSON.stringify({ flags: { [flag]: { state: 'ENABLED', ...definition } } })
          const own = compileFlag(readFlagSet(text, 'x.json').flags.get(flag)!)(user as JsonObject)
          expect([variant, value]).toEqual([own.variant, own.value])
          expect(side).toBe(value === true ? 'on' : 'off')
          if (weights.every((weight) => weight === 0)) {
            expect(decided.by).toBe('default')
            return
          }
          expect(bucket?.variant).toBe(variant)
          expect(bucket?.place).toBeGreaterThanOrEqual(bucket!.from - 1e-9)
          expect(bucket?.place).toBeLessThan(bucket!.to + 1e-9)
        },
      ),
    )
  })
})
