import * as fc from 'fast-check'

/** A flags file as people write them: any formatting, other flags, unknown fields, several shapes. */
export interface MadeFile {
  readonly text: string
  readonly kind: 'none' | 'plain' | 'segment first' | 'nested'
  readonly flag: string
  /** Weights of the split, `undefined` with `none`. */
  readonly weights: { readonly on: number; readonly off: number } | undefined
}

const word = fc.constantFrom('use-redis', 'a', 'new.cache', 'früh', 'x/y~z', '日本')
const scalar = fc.oneof(fc.string({ maxLength: 8 }), fc.integer(), fc.boolean())

const condition = fc.oneof(
  fc.record({ in: fc.tuple(fc.constant({ var: 'plan' }), fc.constant(['internal', 'beta'])) }),
  fc.record({ '==': fc.tuple(fc.constant({ var: 'feature' }), fc.constant('avatars')) }),
  fc.record({ ends_with: fc.tuple(fc.constant({ var: 'email' }), fc.constant('@example.com')) }),
)

const bucketing = fc.constantFrom(
  undefined,
  { var: 'targetingKey' },
  { cat: [{ var: '$flagd.flagKey' }, { var: 'targetingKey' }] },
  { cat: ['salt', { var: 'account' }] },
)

/** Key order is the order in which the properties are made, shuffled. */
function shuffled(entries: readonly (readonly [string, unknown])[]): fc.Arbitrary<object> {
  return fc
    .shuffledSubarray([...entries], { minLength: entries.length })
    .map((some) => Object.fromEntries(some))
}

const split = fc
  .record({
    on: fc.nat({ max: 1000 }),
    off: fc.nat({ max: 1000 }),
    onFirst: fc.boolean(),
    by: bucketing,
  })
  .filter(({ on, off }) => on + off > 0)
  .map(({ on, off, onFirst, by }) => {
    const entries = onFirst
      ? [
          ['on', on],
          ['off', off],
        ]
      : [
          ['off', off],
          ['on', on],
        ]
    return {
      weights: { on, off },
      rule: { fractional: by === undefined ? entries : [by, ...entries] },
    }
  })

const targeting = split.chain(({ weights, rule }) =>
  fc.oneof(
    fc.constant({ kind: 'plain' as const, weights, rule: rule as unknown }),
    condition.map((test) => ({
      kind: 'segment first' as const,
      weights,
      rule: { if: [test, 'on', rule] } as unknown,
    })),
    fc.tuple(condition, condition).map(([one, two]) => ({
      kind: 'segment first' as const,
      weights,
      rule: { if: [one, 'on', two, 'off', rule] } as unknown,
    })),
    fc.tuple(condition, condition).map(([one, two]) => ({
      kind: 'nested' as const,
      weights,
      rule: { if: [one, { if: [two, rule, 'off'] }, 'off'] } as unknown,
    })),
    fc.constant({ kind: 'none' as const, weights: undefined, rule: undefined as unknown }),
  ),
)

const otherFlag = fc
  .record({ note: scalar, value: fc.constantFrom('a', 'b') })
  .map(({ note, value }) => ({
    state: 'ENABLED',
    variants: { a: 'x', b: 'y' },
    defaultVariant: value,
    targeting: {
      if: [
        { $ref: 'internal' },
        'b',
        {
          fractional: [
            ['a', 3],
            ['b', 4],
          ],
        },
      ],
    },
    owner: note,
  }))

const format = fc.record({
  indent: fc.constantFrom<string | number | undefined>(undefined, 2, 4, '\t'),
  crlf: fc.boolean(),
  newline: fc.boolean(),
})

/** Valid flags files whose flag `flag` has a known shape. */
export const flagsFile: fc.Arbitrary<MadeFile> = fc
  .record({
    flag: word,
    targeting,
    others: fc.array(otherFlag, { maxLength: 2 }),
    format,
    extra: scalar,
  })
  .chain(({ flag, targeting: { kind, weights, rule }, others, format: style, extra }) =>
    shuffled([
      ['state', 'ENABLED'],
      ['variants', { on: true, off: false }],
      ['defaultVariant', 'off'],
      ['metadata', { team: extra }],
      ['unknownField', { deep: [1, 1.5, null, extra] }],
      ...(rule === undefined ? [] : [['targeting', rule] as const]),
    ])
      .chain((definition) =>
        shuffled([
          [flag, definition],
          ...others.map((other, at) => [`other-${at}`, other] as const),
        ]),
      )
      .chain((flags) =>
        shuffled([
          ['$schema', 'https://flagd.dev/schema/v0/flags.json'],
          ['flags', flags],
          ['$evaluators', { internal: { in: ['@x.com', { var: 'email' }] } }],
          ['metadata', { version: '3' }],
        ]),
      )
      .map((file) => {
        const json = JSON.stringify(file, null, style.indent) + (style.newline ? '\n' : '')
        const text = style.crlf ? json.replaceAll('\n', '\r\n') : json
        return { text, kind, flag, weights }
      }),
  )
