import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { compileFlag, probeUsers, readFlagSet } from '../../src/flagfile/index.ts'
import {
  changeBack,
  changeShare,
  changeUndo,
  describe as describeFlag,
  editText,
  expectationOf,
  judgeProcess,
  readFlags,
  readHistory,
  rollBack,
  validate,
} from '../../src/rollout/index.ts'

const flag = 'use-redis'
const split = (on: unknown = 100, off: unknown = 0) => ({
  fractional: [
    ['on', on],
    ['off', off],
  ],
})
const usual = { state: 'ENABLED', variants: { on: true, off: false }, defaultVariant: 'off' }

function fileOf(own: object, top: object = {}): string {
  const flags = { other: usual, [flag]: { ...usual, ...own }, last: usual }
  return JSON.stringify({ ...top, flags }, null, 2)
}

/** What each user gets from a process that reads this text, by its own evaluator. */
function answersOf(text: string, attributes: object = {}): Set<unknown> {
  const definition = readFlagSet(text, 'flags.json').flags.get(flag)
  if (definition === undefined) throw new Error('the flag is gone')
  const evaluate = compileFlag(definition)
  return new Set(
    probeUsers(flag).map((targetingKey) => {
      const { reason, value, errorCode } = evaluate({ targetingKey, ...attributes })
      if (reason === 'DISABLED') return 'disabled'
      return errorCode === '' ? value : errorCode
    }),
  )
}

/** Rules that flagd serves, or fails for, and whose split cannot be set so that everyone is back. */
const notSettable: [name: string, text: string, because: RegExp][] = [
  ['text variants', fileOf({ variants: { on: 'true', off: 'false' }, targeting: split() }), /true/],
  [
    'an unknown operator',
    fileOf({ targeting: { if: [{ frob: [1] }, 'on', split()] } }),
    /no operator "frob"; everyone gets PARSE_ERROR/,
  ],
  [
    'a condition that fails',
    fileOf({ targeting: { if: [{ merge: { '*': [{ var: '' }, 2] } }, 'off', split()] } }),
    /fails with PARSE_ERROR/,
  ],
  [
    'a variant that is not there, for some users only',
    fileOf({ targeting: { if: [{ '==': [{ var: 'plan' }, 'x'] }, 'onn', split()] } }),
    /"onn" is not one of the variants/,
  ],
  ['a split of one', fileOf({ targeting: { fractional: [['onn', 100]] } }), /1 entry, not two/],
  [
    'a shared rule that is gone',
    fileOf({ targeting: { if: [{ $ref: 'gone' }, 'on', split()] } }),
    /"gone" is missing/,
  ],
  ['a shared split', fileOf({ targeting: { $ref: 's' } }, { $evaluators: { s: split() } }), /"s"/],
  [
    'a third variant',
    fileOf({
      variants: { on: true, off: false, canary: true },
      targeting: {
        fractional: [
          ['canary', 40],
          ['off', 60],
        ],
      },
    }),
    /which variant is on/,
  ],
  [
    'on twice in the split',
    fileOf({
      targeting: {
        fractional: [
          ['on', 10],
          ['off', 10],
          ['on', 80],
        ],
      },
    }),
    /3 entries/,
  ],
  ['a rule that is a text', fileOf({ targeting: 'on' }), /not an object/],
  ['or', fileOf({ targeting: { or: [false, 'on'] } }), /"or" decides/],
  ['var', fileOf({ targeting: { var: 'side' } }), /"var" decides/],
  ['?:', fileOf({ targeting: { '?:': [true, 'on', 'off'] } }), /"\?:" decides/],
  [
    'a weight from the time',
    fileOf({ targeting: split({ '%': [{ var: '$flagd.timestamp' }, 100] }, 10) }),
    /computed from the time/,
  ],
  [
    'a split twice in one object',
    fileOf({ targeting: { fractional: 'HERE' } }).replace(
      '"fractional": "HERE"',
      '"fractional": [["on", 1], ["off", 1]], "fractional": [["on", 100], ["off", 0]]',
    ),
    /repeated/,
  ],
]

describe('a rollback always works', () => {
  test.each(notSettable)('%s: the flag is disabled, and nothing else', (_, text, because) => {
    const document = readFlags(text)
    const edit = rollBack(document, { flag })

    expect([...answersOf(edit.after.text)]).toEqual(['disabled'])
    expect([edit.action, edit.to]).toEqual(['disable', 0])
    expect(edit.because).toMatch(because)
    expect(edit.changes).toEqual([
      { path: ['flags', flag, 'state'], from: 'ENABLED', to: 'DISABLED' },
    ])
    const at = text.indexOf('"ENABLED"', text.indexOf('"use-redis"'))
    expect(edit.after.text).toBe(
      `${text.slice(0, at)}"DISABLED"${text.slice(at + '"ENABLED"'.length)}`,
    )
    const again = rollBack(edit.after, { flag })
    expect([again.action, again.changes, again.because]).toEqual(['disable', [], undefined])
  })

  test('what fails for one user only is disabled too: an app leaves that user on the new side', () => {
    const text = fileOf({
      targeting: { if: [{ '==': [{ var: 'plan' }, 'x'] }, { substr: ['on', 2, 'a'] }, split()] },
    })
    expect(rollBack(readFlags(text), { flag }).action).toBe('disable')
  })

  test('where the split can be set, it is set, and the flag stays enabled', () => {
    const text = fileOf({
      targeting: { if: [{ in: [{ var: 'plan' }, ['beta']] }, 'on', split(25, 75)] },
    })
    const { action, after, because } = rollBack(readFlags(text), { flag })
    expect([action, because]).toEqual(['rollback', undefined])
    expect([...answersOf(after.text), ...answersOf(after.text, { plan: 'beta' })]).toEqual([
      false,
      false,
    ])
  })
})

describe('a process whose evaluations fail', () => {
  const split50 = {
    feature: '',
    probes: 100,
    on: 50,
    kind: 'exact',
    mode: 'rpc',
    hash: '',
  } as const
  const reading = {
    instance: 'a',
    knowsFlag: true,
    others: [],
    up: false,
    refused: undefined,
    operations: { off: 0, on: 0 },
    newSide: 'redis',
    newSideUp: true,
    stages: [],
    owed: 0,
  }
  const causes = (text: string, up: boolean): string[] =>
    [[{ ...split50, since: undefined }], []].map(
      (splits) =>
        judgeProcess(
          { process: 'p', at: 0, error: '', reading: { ...reading, up, splits } },
          { flag, expected: expectationOf(readFlags(text), flag) },
        ).cause,
    )

  test.each([
    ['TYPE_MISMATCH', notSettable[0]?.[1]],
    ['PARSE_ERROR', notSettable[1]?.[1]],
    ['GENERAL', notSettable[4]?.[1]],
  ])('is said to get %s, not to be cut off', (code, text = '') => {
    // In-process the flag source answers all the same.
    for (const cause of [...causes(text, false), ...causes(text, true)]) {
      expect(cause).toContain(`the flag as written answers ${code}`)
      expect(cause).not.toMatch(/unreachable|not answered yet/)
    }
  })

  test('is cut off where the flag as written does not fail', () => {
    for (const cause of causes(fileOf({ targeting: split() }), false)) {
      expect(cause).toContain('its flags are unreachable')
    }
  })
})

describe('a process that has retired a side', () => {
  const judged = (stages: readonly string[], percent: number) => {
    const split = { feature: '', probes: 100, kind: 'sample', mode: 'rpc', hash: '' } as const
    const reading = {
      instance: 'a',
      splits: [{ ...split, on: percent, since: undefined }],
      knowsFlag: true,
      others: [],
      up: true,
      refused: undefined,
      operations: { off: 0, on: 0 },
      newSide: 'redis',
      newSideUp: true,
      stages,
      owed: 0,
    }
    const text = fileOf({ targeting: split100(percent) })
    const expected = expectationOf(readFlags(text), flag)
    return judgeProcess({ process: 'p', at: 0, error: '', reading }, { flag, expected })
  }
  const split100 = (percent: number) => split(percent, 100 - percent)

  test.each([
    ['retire-off', 0, 'retired the old side'],
    ['retire-off', 70, 'retired the old side'],
    ['retire-on', 10, 'retired the new side'],
  ])('%s, at %i %%: does not do what the file says', (stage, percent, cause) => {
    expect(judged([stage], percent)).toMatchObject({
      agrees: false,
      cause: expect.stringContaining(cause) as string,
    })
  })

  test.each([
    [['retire-off'], 100],
    [['retire-on'], 0],
    [['both'], 0],
    // Which of its caches asks this flag is not known.
    [['both', 'retire-off'], 0],
    [[], 0],
  ])('%j, at %i %%: does', (stages, percent) => {
    expect(judged(stages, percent).agrees).toBe(true)
  })
})

/** Other ways to write the same that a real flagd serves. */
const otherForms: [name: string, text: string][] = [
  [
    'a list',
    JSON.stringify(
      {
        flags: [
          { key: 'other', ...usual },
          { key: flag, ...usual, targeting: split() },
        ],
      },
      null,
      2,
    ),
  ],
  [
    'a list with odd names',
    JSON.stringify({
      FLAGS: [{ Key: flag, State: 'ENABLED', Variants: usual.variants, Targeting: split() }],
    }),
  ],
  ['"Flags"', fileOf({ targeting: split() }).replace('"flags"', '"Flags"')],
  ['"Targeting"', fileOf({ Targeting: split() })],
  ['"DefaultVariant"', fileOf({ DefaultVariant: 'on', defaultVariant: undefined })],
]

describe('flags that are written in another way', () => {
  let file: string
  const by = { who: 'ann', via: 'test' }
  beforeEach(async () => {
    file = join(await mkdtemp(join(tmpdir(), 'sb-always-')), 'flags.json')
  })
  afterEach(async () => rm(join(file, '..'), { recursive: true }))

  test.each(otherForms)('%s: rolled back, disabled and undone', async (_, text) => {
    const base = { file, flag, by, flagd: false } as const
    for (const disable of [false, true]) {
      await writeFile(file, text)
      expect([...answersOf(text)]).toEqual([true])
      expect(describeFlag(readFlags(text), flag).share).toBe(100)

      const { edit } = await changeBack({ ...base, disable })
      const back = await readFile(file, 'utf8')
      expect([...answersOf(back)]).toEqual([disable ? 'disabled' : false])
      expect([edit.action, edit.because]).toEqual([disable ? 'disable' : 'rollback', undefined])
      expect((await readHistory(file)).at(-1)?.changes?.length).toBeGreaterThan(0)

      await changeUndo(base)
      expect(await readFile(file, 'utf8')).toBe(text)
    }
  })

  test.each(otherForms)('%s: a share is set', async (_, text) => {
    await writeFile(file, text)
    await changeShare({ file, flag, by, flagd: false, percent: 30 })
    const after = await readFile(file, 'utf8')
    expect([...answersOf(after)].toSorted()).toEqual([false, true])
    expect(describeFlag(readFlags(after), flag).share).toBe(30)
  })

  test('a list that was put in another order: undo finds its flag by the key', async () => {
    const flags = [
      { key: flag, ...usual, targeting: split() },
      { key: 'other', ...usual, state: 'DISABLED' },
    ]
    const base = { file, flag, by, flagd: false } as const
    await writeFile(file, JSON.stringify({ flags }))
    await changeBack({ ...base, disable: true })
    const [first, second] = JSON.parse(await readFile(file, 'utf8')).flags
    await writeFile(file, JSON.stringify({ flags: [second, first] }))
    await changeUndo(base)
    expect(JSON.parse(await readFile(file, 'utf8')).flags).toEqual(flags.toReversed())
  })
})

test('of a name in two flag sets of a list, what flagd still serves is not said to be back', () => {
  const flags = ['a', 'b'].map((flagSetId) => ({
    key: flag,
    ...usual,
    targeting: { or: ['on'] },
    metadata: { flagSetId },
  }))
  const text = JSON.stringify({ flags: flags.toReversed() })
  expect(validate(text)).toEqual([])
  expect(() => rollBack(readFlags(text), { flag })).toThrow(/in 2 flag sets \("a", "b"\)/)
})

test('a flag is added to a list of flags as its last one, and the rest stays', () => {
  const text = '{ "flags": [{"key": "a"}] }'
  const to = { key: flag, ...usual }
  const { text: after } = editText(readFlags(text), [
    { path: ['flags', flag], from: undefined, to },
  ])
  expect(after.startsWith('{ "flags": [{"key": "a"}, {')).toBe(true)
  expect(JSON.parse(after)).toEqual({ flags: [{ key: 'a' }, to] })
})
