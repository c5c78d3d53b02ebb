import { describe, expect, it } from 'vitest'
import { OPERATOR_NAMES } from '../../src/flagfile/index.ts'
import {
  createEvaluator,
  type FindingCode,
  operandCounts,
  readFlags,
  type User,
  validate,
} from '../../src/rollout/index.ts'

const users: readonly User[] = Array.from({ length: 400 }, (_, index) => `user_${index}`)

function fileWith(flag: object, more: object = {}): string {
  const definition = {
    state: 'ENABLED',
    variants: { on: true, off: false },
    defaultVariant: 'off',
    ...flag,
  }
  return JSON.stringify({ ...more, flags: { f: definition } }, null, 2)
}

function codes(text: string): FindingCode[] {
  return validate(text).map(({ code }) => code)
}

/** Everyone's answers, for the claim that a finding makes about flagd. */
function answers(text: string): Set<string> {
  return new Set(users.map(createEvaluator(readFlags(text), 'f')))
}

const split = {
  fractional: [
    ['on', 50],
    ['off', 50],
  ],
}
const pilot = { in: [{ var: 'plan' }, ['beta']] }

describe('validate', () => {
  it('finds nothing in a file that is fine', () => {
    expect(validate(fileWith({ targeting: split }))).toEqual([])
    expect(validate(fileWith({ targeting: {} }))).toEqual([])
    expect(validate(fileWith({ targeting: { if: [pilot, 'on', split] } }))).toEqual([])
    expect(
      validate(fileWith({ targeting: { if: [pilot, split, null] }, defaultVariant: null })),
    ).toEqual([])
    expect(
      validate(
        fileWith(
          { targeting: { if: [{ $ref: 'team' }, 'on', split] }, metadata: { owner: 'x' } },
          { $evaluators: { team: { ends_with: [{ var: 'email' }, '@x.com'] } } },
        ),
      ),
    ).toEqual([])
    const boolean = { variants: { true: 'a', false: 'b' }, defaultVariant: 'true' }
    expect(validate(fileWith({ ...boolean, targeting: { if: [pilot, true, false] } }))).toEqual([])
  })

  it.each<[string, string, FindingCode, number, number]>([
    ['a comment', '{\n  // split\n  "flags": {}\n}', 'comment', 2, 3],
    ['a trailing comma', '{\n  "flags": {},\n}', 'syntax', 3, 1],
    ['a byte order mark', '\uFEFF{"flags":{}}', 'byte-order-mark', 1, 1],
    ['an empty file', '', 'syntax', 1, 1],
    ['a torn file', '{"flags": {"f": ', 'syntax', 1, 17],
    ['text behind the end', '{"flags":{}} x', 'syntax', 1, 14],
    ['a raw tab in a string', '{"flags":{"a\tb":{}}}', 'syntax', 1, 11],
    ['single quotes', "{'flags':{}}", 'syntax', 1, 2],
    ['an array', '[]', 'wrong-type', 1, 1],
    ['null', 'null', 'wrong-type', 1, 1],
    ['an empty object', '{}', 'no-flags', 1, 1],
    ['a flag that is a string', '{"flags":{"f":"on"}}', 'wrong-type', 1, 15],
    ['flags that are a string', '{"flags":"on"}', 'wrong-type', 1, 10],
    [
      'variants that are a list',
      '{"flags":{"f":{"state":"ENABLED","variants":[true]}}}',
      'variants',
      1,
      45,
    ],
    ['a state that is true', '{"flags":{"f":{"state":true}}}', 'state', 1, 24],
    ['metadata that is a list', '{"flags":{"f":null},"metadata":[]}', 'wrong-type', 1, 32],
    ['evaluators that are a list', '{"flags":{"f":null},"$evaluators":[]}', 'wrong-type', 1, 35],
    ['an empty evaluator', '{"flags":{"f":null},"$evaluators":{"a":{}}}', 'wrong-type', 1, 40],
    [
      '1e999',
      '{"flags":{"f":{"state":"ENABLED","variants":{"on":1e999}}}}',
      'number-too-large',
      1,
      51,
    ],
    ['a list of flags with a number', '{"flags":[1]}', 'wrong-type', 1, 11],
    ['a key that is a number', '{"flags":[{"key":1}]}', 'wrong-type', 1, 18],
    [
      'a default variant that is missing',
      fileWith({ defaultVariant: 'new' }),
      'default-variant',
      9,
      25,
    ],
  ])('%s: flagd rejects the file', (_, text, code, line, column) => {
    const [finding] = validate(text)
    expect(finding).toMatchObject({ code, severity: 'error', rejected: true, line, column })
    expect(finding?.fix).not.toBe('')
  })

  it.each<[string, unknown, FindingCode, string | number]>([
    [
      'weights all zero',
      {
        fractional: [
          ['on', 0],
          ['off', 0],
        ],
      },
      'weights-zero',
      '/fractional',
    ],
    [
      'a string weight',
      {
        fractional: [
          ['on', '0'],
          ['off', 90],
        ],
      },
      'weights',
      '/fractional/0/1',
    ],
    [
      'a weight of 12.5',
      {
        fractional: [
          ['on', 12.5],
          ['off', 87],
        ],
      },
      'weights',
      '/fractional/0/1',
    ],
    [
      'weights beyond 2^31',
      {
        fractional: [
          ['on', 2_147_483_647],
          ['off', 1],
        ],
      },
      'weights',
      '/fractional',
    ],
    ['an entry without a list', { fractional: ['on', 'off'] }, 'weights', '/fractional/1'],
    ['no list at all', { fractional: 'on' }, 'weights', '/fractional'],
  ])('%s: everyone silently gets the default', (_, targeting, code, at) => {
    const text = fileWith({ targeting })
    const finding = validate(text).find((each) => each.code === code)
    expect(finding).toMatchObject({ severity: 'error', rejected: false, flag: 'f' })
    expect(finding?.pointer).toBe(`/flags/f/targeting${at}`)
    expect(answers(text)).toEqual(new Set(['off']))
  })

  it('a fractional as a condition: found, and it splits nobody', () => {
    const text = fileWith({ targeting: { if: [split, 'on', 'off'] } })
    expect(validate(text)).toMatchObject([{ code: 'fractional-in-condition', line: 12 }])
    expect(answers(text)).toEqual(new Set(['on']))
  })

  it('a fractional as an operand', () => {
    expect(codes(fileWith({ targeting: { if: [{ '==': [split, 'on'] }, 'on', 'off'] } }))).toEqual([
      'fractional-in-condition',
    ])
  })

  it('an unknown variant: those who land on it get an error', () => {
    const text = fileWith({
      targeting: {
        fractional: [
          ['on', 50],
          ['of', 50],
        ],
      },
    })
    expect(validate(text)).toMatchObject([{ code: 'unknown-variant', fix: 'did you mean "off"?' }])
    expect(answers(text)).toEqual(new Set(['on', '(error)']))
    expect(codes(fileWith({ targeting: { if: [pilot, 'onn', split] } }))).toEqual([
      'unknown-variant',
    ])
  })

  it('an unknown operator, shared or not: nobody gets an answer', () => {
    const text = fileWith({ targeting: { if: [{ equals: [1, 1] }, 'on', split] } })
    expect(codes(text)).toEqual(['unknown-operator'])
    expect(answers(text)).toEqual(new Set(['(error)']))
    const typo = fileWith({ targeting: { fractionl: [['on', 1]] } })
    expect(validate(typo)[0]?.fix).toBe('did you mean "fractional"?')
    const shared = fileWith({ targeting: split }, { $evaluators: { a: { foo: [1] } } })
    expect(codes(shared)).toEqual(['unknown-operator'])
    const proto = fileWith({ targeting: { if: [{ constructor: [1] }, 'on', 'off'] } })
    expect(codes(proto)).toEqual(['unknown-operator'])
  })

  it('only operators that flagd does not know: the evaluator and the check have one list', () => {
    expect(Object.keys(operandCounts).toSorted()).toEqual([...OPERATOR_NAMES].toSorted())
    for (const condition of [
      { '?:': [true, true, false] },
      { '==': [{ abs: -1 }, 1] },
      { contains_all: [['a', 'b'], ['a']] },
      { contains_any: [['a'], ['a']] },
      { contains_none: [['a'], ['b']] },
      { '!': { set: [0] } },
    ]) {
      const text = fileWith({ targeting: { if: [condition, 'on', 'off'] } })
      expect(validate(text).filter(({ severity }) => severity === 'error')).toEqual([])
      expect(answers(text)).toEqual(new Set(['on']))
    }
  })

  it('an unknown $ref', () => {
    const text = fileWith(
      { targeting: { if: [{ $ref: 'tean' }, 'on', split] } },
      { $evaluators: { team: { in: ['x', { var: 'email' }] } } },
    )
    expect(validate(text)).toMatchObject([{ code: 'unknown-ref', fix: 'did you mean "team"?' }])
    expect(answers(text)).toEqual(new Set(['(error)']))
  })

  it('an anonymous bucket: all users without a key on one side', () => {
    const cat = { cat: [{ var: '$flagd.flagKey' }, { var: 'targetingKey' }] }
    const text = fileWith({ targeting: { fractional: [cat, ['on', 50], ['off', 50]] } })
    expect(validate(text)).toMatchObject([
      { code: 'anonymous-bucket', severity: 'warning' },
      { code: 'javascript-differs', severity: 'warning' },
    ])
    const evaluate = createEvaluator(readFlags(text), 'f')
    const anonymous = Array.from({ length: 50 }, () => evaluate({ targetingKey: '' }))
    expect(new Set(anonymous).size).toBe(1)
    const fixed = fileWith({ targeting: { fractional: ['all', ['on', 50], ['off', 50]] } })
    expect(validate(fixed)).toMatchObject([{ code: 'anonymous-bucket', severity: 'error' }])
    expect(answers(fixed).size).toBe(1)
  })

  it('a state that is missing or misspelt', () => {
    const text = fileWith({ state: 'enabled', targeting: split })
    expect(validate(text)).toMatchObject([{ code: 'state', line: 4, column: 16, rejected: false }])
    expect(codes('{"flags":{"f":{"variants":{"on":true}}}}')).toEqual(['state'])
    // flagd serves it, and so does a preview.
    expect(answers(text)).toEqual(new Set(['on', 'off']))
  })

  it('mixed variant types', () => {
    expect(codes(fileWith({ variants: { on: true, off: 'no' } }))).toEqual(['variant-types'])
    expect(codes(fileWith({ variants: { on: null, off: null } }))).toEqual(['variant-types'])
  })

  it('misspelt fields, which flagd ignores', () => {
    expect(validate(fileWith({ targetting: split }))).toMatchObject([
      { code: 'unknown-field', severity: 'warning', fix: 'did you mean "targeting"?' },
    ])
    expect(codes('{"flag":{}}')).toEqual(['no-flags', 'unknown-field'])
    expect(codes('{"flags":{}}')).toEqual(['no-flags'])
  })

  it('keys that stand twice, swapped variants, a default of on, a list of flags, a substring', () => {
    expect(
      codes('{"flags":{"f":{"state":"ENABLED","state":"DISABLED","variants":{"a":1}}}}'),
    ).toEqual(['duplicate-key'])
    expect(codes(fileWith({ variants: { on: false, off: true } }))).toEqual(['variant-swapped'])
    expect(codes(fileWith({ defaultVariant: 'on', targeting: split }))).toEqual([
      'default-variant-on',
    ])
    expect(
      codes(fileWith({ targeting: { if: [{ in: [{ var: 'plan' }, 'beta'] }, 'on', 'off'] } })),
    ).toEqual(['substring'])
  })

  it.each([
    ['a flag without variants and default', { f: { state: 'ENABLED' } }],
    ['a null flag', { f: null }],
    ['numbers as names of variants', { f: { state: 'ENABLED', variants: { 1: true, 2: false } } }],
    ['no default', { f: { state: 'ENABLED', variants: { on: true }, defaultVariant: '' } }],
    ['a list', [{ key: 'f', state: 'ENABLED', variants: { on: true }, defaultVariant: 'on' }]],
  ])('finds nothing in what flagd serves: %s', (_, flags) => {
    expect(validate(JSON.stringify({ flags }))).toEqual([])
  })

  it('takes YAML from its name', () => {
    const yaml = 'flags:\n  f:\n    state: ENABLED\n    variants:\n      a: 1\n'
    expect(validate(yaml, { name: 'flags.yaml' })).toEqual([])
    expect(validate(yaml.replace('    state', '\tstate'), { name: 'flags.yml' })).toMatchObject([
      { code: 'refused', severity: 'error', rejected: true, line: 3 },
    ])
    expect(codes(yaml)).toEqual(['syntax'])
  })

  it.each<[string, unknown, FindingCode, RegExp]>([
    ['a range', { sem_ver: [{ var: 'v' }, '>=', '1.x'] }, 'never-met', /"1.x" is not a version/],
    ['an operator', { sem_ver: [{ var: 'v' }, '=>', '1.0.0'] }, 'never-met', /"=>" is not an/],
    ['a list', { starts_with: [{ var: 'v' }, ['a', 'b']] }, 'never-met', /got an array/],
    ['two lists', { ends_with: [['a'], ['b']] }, 'never-met', /got an array/],
    ['a number', { starts_with: [{ var: 'v' }, 1] }, 'never-met', /got a number/],
    ['a property', { '>': [{ var: '$flagd.timestmp' }, 1] }, 'unknown-property', /no value for/],
  ])('a condition that nobody meets: %s', (_, condition, code, message) => {
    const text = fileWith({ targeting: { if: [condition, 'on', 'off'] } })
    const [finding] = validate(text)
    expect(finding).toMatchObject({ code, severity: 'error', rejected: false })
    expect(finding?.message).toMatch(message)
    for (const v of ['1.0.0', '1', 'a', 'ab', ''] as const) {
      expect(createEvaluator(readFlags(text), 'f')({ targetingKey: 'x', v })).toBe('off')
    }
  })

  it('no alarm for versions and texts that can be met', () => {
    for (const condition of [
      { sem_ver: [{ var: 'v' }, '^', '1'] },
      { sem_ver: [{ var: 'v' }, '>=', 'v1.2.3-rc.1'] },
      { sem_ver: [{ var: 'v' }, '<', { var: 'w' }] },
      { starts_with: [{ var: 'v' }, 'a'] },
      { '<': [{ var: '$flagd.timestamp' }, 4_000_000_000] },
      { '==': [{ var: '$flagd.flagKey' }, 'f'] },
    ]) {
      expect(codes(fileWith({ targeting: { if: [condition, 'on', 'off'] } }))).toEqual([])
    }
  })

  it('shared rules that refer to themselves', () => {
    const loop = { if: [{ $ref: 'b' }, true] }
    const text = fileWith({ targeting: split }, { $evaluators: { a: loop, b: { $ref: 'a' } } })
    expect(codes(text)).toEqual(['self-ref', 'self-ref'])
  })

  it('a split that moves by itself', () => {
    const hours = { '/': [{ var: '$flagd.timestamp' }, 3600] }
    const text = fileWith({
      targeting: {
        fractional: [
          ['on', hours],
          ['off', 50],
        ],
      },
    })
    expect(validate(text)).toMatchObject([{ code: 'moving-split', severity: 'warning' }])
  })

  it('variants of the edited flag that are not true and false', () => {
    const text = fileWith({ variants: { on: 'true', off: 'false' }, targeting: split })
    expect(validate(text)).toEqual([])
    const [finding] = validate(text, { flag: 'f' })
    expect(finding).toMatchObject({ code: 'variants-not-boolean', severity: 'error' })
    expect(finding?.message).toMatch(/on = \\?"true\\?".*off = /)
    expect(validate(text, { flag: 'other' })).toEqual([])
    expect(validate(fileWith({ variants: { on: 1, off: 0 } }), { flag: 'f' })).toHaveLength(1)
    expect(validate(fileWith({ targeting: split }), { flag: 'f' })).toEqual([])
  })

  it('variants of the edited flag that are all true, or all false', () => {
    for (const value of [true, false]) {
      const text = fileWith({ variants: { on: value, off: value }, targeting: split })
      expect(validate(text)).toEqual([])
      const [finding] = validate(text, { flag: 'f' })
      expect(finding).toMatchObject({ code: 'variants-one-sided', severity: 'error' })
      expect(finding?.message).toContain(`none of its variants is ${!value} ("on = ${value}", "off`)
    }
    const named = fileWith({ variants: { on: true, off: false, control: false }, targeting: split })
    expect(validate(named, { flag: 'f' })).toEqual([])
    expect(validate(fileWith({ variants: {}, defaultVariant: null }), { flag: 'f' })).toEqual([])
  })

  it('rules with two operators and operators with the wrong number of operands', () => {
    expect(codes(fileWith({ targeting: { if: [pilot, 'on'], or: [1] } }))).toEqual([
      'operator-count',
    ])
    expect(codes(fileWith({ targeting: { if: [{ in: ['a'] }, 'on', 'off'] } }))).toEqual([
      'arguments',
    ])
    expect(codes(fileWith({ targeting: { if: [{ sem_ver: ['1.0.0', '='] }, 'on'] } }))).toEqual([
      'arguments',
    ])
  })

  it.each([
    ['an attribute that may be missing', { fractional: [{ var: 'a' }, ['on', 50], ['off', 50]] }],
    ['what is missing beside null', { if: [{ '==': [{ var: 'a' }, null] }, 'on', 'off'] }],
    ['a number among texts', { if: [{ in: [{ var: 'a' }, ['1', 'x']] }, 'on', 'off'] }],
  ])('what the JavaScript evaluator decides otherwise: %s', (_, targeting) => {
    const found = validate(fileWith({ targeting }))
    expect(found).toMatchObject([{ code: 'javascript-differs', severity: 'warning', flag: 'f' }])
    const [{ line, message } = { line: 0, message: '' }] = found
    expect(line).toBeGreaterThan(1)
    expect(message).toMatch(
      /^flagd and the JavaScript evaluator decide this differently: flagd's "/,
    )
  })

  it('no word of JavaScript about segments and pilots as everyone writes them', () => {
    const targeting = { if: [{ in: [{ var: 'plan' }, ['internal', 'beta']] }, 'on', split] }
    expect(validate(fileWith({ targeting }))).toEqual([])
  })

  it('between two versions: order swapped, bucketing changed, default variant edited', () => {
    const before = fileWith({
      targeting: {
        fractional: [
          ['on', 10],
          ['off', 90],
        ],
      },
    })
    const compare = (flag: object) => validate(fileWith(flag), { before }).map(({ code }) => code)
    expect(
      compare({
        targeting: {
          fractional: [
            ['off', 90],
            ['on', 10],
          ],
        },
      }),
    ).toEqual(['order-changed'])
    expect(
      compare({ targeting: { fractional: [{ var: 'account' }, ['on', 10], ['off', 90]] } }),
    ).toEqual(['javascript-differs', 'bucketing-changed'])
    expect(
      compare({
        defaultVariant: 'on',
        targeting: {
          fractional: [
            ['on', 10],
            ['off', 90],
          ],
        },
      }),
    ).toEqual(['default-variant-on', 'default-variant-changed'])
    expect(
      compare({
        targeting: {
          fractional: [
            ['on', 20],
            ['off', 80],
          ],
        },
      }),
    ).toEqual([])
  })

  it('never throws, whatever the text', () => {
    for (const text of [
      '{"flags":{"f":{"targeting":[[[[]]]],"variants":[1]}}}',
      '['.repeat(100_000),
      '"',
      '{"__proto__":{"flags":1},"flags":{"__proto__":{}}}',
      '{"flags":{"f":{"state":1,"variants":{"":null},"defaultVariant":{},"targeting":{"if":[]}}}}',
    ]) {
      expect(validate(text).length).toBeGreaterThan(0)
    }
  })
})
