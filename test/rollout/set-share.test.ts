import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  addPilot,
  changedLines,
  codeDefault,
  createEvaluator,
  describe as describeFlag,
  type FlagsDocument,
  type FlagsEdit,
  type HistoryEntry,
  readFlags,
  removePilot,
  rollBack,
  setShare,
  undo,
  type User,
  validate,
} from '../../src/rollout/index.ts'
import { flagsFile } from '../support/flags-arbitrary.ts'
import { inFull } from '../support/full.ts'

const share = fc.integer({ min: 0, max: 100_000 }).map((thousandths) => thousandths / 1000)

/** Users of all kinds: plain, in segments, anonymous, with attributes that rules bucket by. */
const users: readonly User[] = Array.from({ length: 120 }, (_, index) => {
  const key = index % 7 === 0 ? `üser_${index}` : `user_${index}`
  if (index % 3 === 0) return key
  return {
    targetingKey: index % 41 === 1 ? '' : key,
    account: key,
    plan: index % 5 === 0 ? 'beta' : 'free',
    feature: index % 11 === 0 ? 'avatars' : 'users',
    email: index % 13 === 0 ? 'a@example.com' : 'b@example.org',
  }
})

function answers(document: FlagsDocument, flag: string): string[] {
  return users.map(createEvaluator(document, flag))
}

/** The file's values without the weights of the flag's own split. */
function withoutWeights(text: string, flag: string): unknown {
  const parsed = JSON.parse(text)
  const strip = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return
    if ('fractional' in node && Array.isArray(node.fractional)) {
      for (const entry of node.fractional) if (Array.isArray(entry)) entry.length = 1
    }
    for (const child of Object.values(node)) strip(child)
  }
  strip(parsed.flags[flag])
  return parsed
}

function historyOf(edit: FlagsEdit, id = 'one'): HistoryEntry {
  return {
    version: 1,
    id,
    at: '2026-11-22T00:00:00.000Z',
    who: 'test',
    via: 'test',
    action: edit.action,
    flag: edit.flag,
    before: edit.before.hash,
    after: edit.after.hash,
    changes: edit.changes.map(({ path, from, to }) => ({
      path,
      ...(from === undefined ? {} : { from }),
      ...(to === undefined ? {} : { to }),
    })),
  }
}

describe('set share', () => {
  it('status then says the share that was set, for every valid file', () => {
    fc.assert(
      fc.property(flagsFile, share, (file, percent) => {
        const { flag, text } = file
        const edit = setShare(readFlags(text), { flag, percent })
        expect(describeFlag(edit.after, flag).share).toBe(percent)
        expect(edit.to).toBe(percent)
      }),
      { numRuns: inFull(75, 300) },
    )
  })

  it('recognises the shape and the share of a file', () => {
    fc.assert(
      fc.property(flagsFile, ({ text, flag, kind, weights }) => {
        const description = describeFlag(readFlags(text), flag)
        expect(description.shape).toBe(kind)
        expect(description.weights).toEqual(weights)
      }),
    )
  })

  it('changes weights and nothing else, keeps order and bucketing, and touches no other line', () => {
    fc.assert(
      fc.property(flagsFile, share, ({ text, flag, kind }, percent) => {
        fc.pre(kind !== 'none')
        const { after } = setShare(readFlags(text), { flag, percent })
        expect(withoutWeights(after.text, flag)).toEqual(withoutWeights(text, flag))
        expect(JSON.stringify(withoutWeights(after.text, flag))).toBe(
          JSON.stringify(withoutWeights(text, flag)),
        )
        const digits = /\d+/g
        expect(after.text.replace(digits, '0')).toBe(text.replace(digits, '0'))
      }),
      { numRuns: inFull(75, 300) },
    )
  })

  it('loses nobody on a widening and gains nobody on a narrowing', () => {
    fc.assert(
      fc.property(flagsFile, share, share, ({ text, flag }, a, b) => {
        const document = setShare(readFlags(text), { flag, percent: Math.min(a, b) }).after
        const wider = setShare(document, { flag, percent: Math.max(a, b) }).after
        const [before, after] = [answers(document, flag), answers(wider, flag)]
        for (const [index, was] of before.entries()) {
          if (was === 'on') expect(after[index]).toBe('on')
        }
        expect(answers(setShare(wider, { flag, percent: Math.min(a, b) }).after, flag)).toEqual(
          before,
        )
      }),
      { numRuns: inFull(25, 80) },
    )
  })

  it('is undone to the same meaning, even to the same text', () => {
    fc.assert(
      fc.property(flagsFile, share, ({ text, flag }, percent) => {
        const edit = setShare(readFlags(text), { flag, percent })
        fc.pre(edit.changes.length > 0)
        const back = undo(edit.after, { flag, history: [historyOf(edit)] })
        expect(back.after.text).toBe(text)
        expect(back.undoes).toBe('one')
      }),
      { numRuns: inFull(50, 200) },
    )
  })

  it('keeps everything over parse, print, parse', () => {
    fc.assert(
      fc.property(flagsFile, ({ text }) => {
        const document = readFlags(text)
        expect(document.text).toBe(text)
        expect(readFlags(document.text).hash).toBe(document.hash)
      }),
    )
  })

  it('brings in nothing that validation finds', () => {
    fc.assert(
      fc.property(flagsFile, share, ({ text, flag }, percent) => {
        const known = validate(text).length
        expect(validate(setShare(readFlags(text), { flag, percent }).after.text).length).toBe(known)
      }),
    )
  })

  it('writes whole weights of the smallest plain total, and keeps a total of a person’s own', () => {
    const weights = (on: number, off: number, percent: number | string) => {
      const text = JSON.stringify(
        flagWith({
          fractional: [
            ['on', on],
            ['off', off],
          ],
        }),
      )
      const described = describeFlag(setShare(readFlags(text), { flag: 'f', percent }).after, 'f')
      return [described.weights?.on, described.weights?.off]
    }
    expect(weights(10, 90, 25)).toEqual([25, 75])
    expect(weights(10, 90, 0.5)).toEqual([5, 995])
    expect(weights(5, 995, 25)).toEqual([25, 75])
    expect(weights(10, 90, '0.001%')).toEqual([1, 99_999])
    expect(weights(1, 3, 75)).toEqual([3, 1])
    expect(weights(1, 3, 33)).toEqual([33, 67])
    expect(weights(0, 0, 10)).toEqual([10, 90])
    expect(weights(10, 90, 100)).toEqual([100, 0])
  })

  it.each([-1, 100.001, 12.3456, NaN, '25 percent', '', '1e1', '٢'])(
    'refuses the share %s',
    (percent) => {
      const document = readFlags(
        JSON.stringify(
          flagWith({
            fractional: [
              ['on', 1],
              ['off', 9],
            ],
          }),
        ),
      )
      expect(() => setShare(document, { flag: 'f', percent })).toThrow(
        expect.objectContaining({ code: 'SB_SHARE_INVALID' }),
      )
    },
  )

  it('refuses when the share is no longer what the caller saw', () => {
    const document = readFlags(
      JSON.stringify(
        flagWith({
          fractional: [
            ['on', 10],
            ['off', 90],
          ],
        }),
      ),
    )
    expect(setShare(document, { flag: 'f', percent: 25, from: '10.0' }).to).toBe(25)
    expect(() => setShare(document, { flag: 'f', percent: 25, from: 5 })).toThrow(
      expect.objectContaining({
        code: 'SB_SHARE_MOVED',
        message: 'the share of "f" is 10 %, not 5 %',
      }),
    )
  })

  it('adds weights to entries that have none', () => {
    const document = readFlags(JSON.stringify(flagWith({ fractional: [['on'], ['off']] })))
    expect(describeFlag(document, 'f').share).toBe(50)
    const { after } = setShare(document, { flag: 'f', percent: 25 })
    expect(JSON.parse(after.text).flags.f.targeting).toEqual({
      fractional: [
        ['on', 25],
        ['off', 75],
      ],
    })
  })
})

function flagWith(targeting: unknown, more: object = {}): object {
  return {
    flags: {
      f: {
        state: 'ENABLED',
        variants: { on: true, off: false },
        defaultVariant: 'off',
        targeting,
        ...more,
      },
    },
  }
}

describe('shapes that are refused', () => {
  const on = { in: [{ var: 'plan' }, ['x']] }
  const plain = {
    fractional: [
      ['on', 10],
      ['off', 90],
    ],
  }
  it.each<[string, unknown, RegExp]>([
    ['two splits', { if: [on, plain, plain] }, /2 splits/],
    ['a split inside a condition', { if: [plain, 'on', 'off'] }, /inside a condition/],
    ['a shared rule', { $ref: 'split' }, /shared rule "split"/],
    ['another operator', { or: [on, plain] }, /operator "or"/],
    ['two operators in one rule', { if: [on, 'on', 'off'], fractional: [] }, /one operator/],
    ['no split', { if: [on, 'on', 'off'] }, /no split/],
    [
      'three entries',
      {
        fractional: [
          ['on', 1],
          ['off', 1],
          ['x', 1],
        ],
      },
      /3 entries/,
    ],
    ['one entry', { fractional: [['on', 1]] }, /1 entry, not two/],
    [
      'another variant',
      {
        fractional: [
          ['on', 1],
          ['new', 1],
        ],
      },
      /between "on" and "off"/,
    ],
    [
      'the same variant twice',
      {
        fractional: [
          ['on', 1],
          ['on', 1],
        ],
      },
      /between "on" and "off"/,
    ],
    [
      'a string weight',
      {
        fractional: [
          ['on', '10'],
          ['off', 90],
        ],
      },
      /weight "10"/,
    ],
    [
      'a fractional weight',
      {
        fractional: [
          ['on', 12.5],
          ['off', 87.5],
        ],
      },
      /weight 12.5/,
    ],
    [
      'a negative weight',
      {
        fractional: [
          ['on', -1],
          ['off', 2],
        ],
      },
      /weight -1/,
    ],
    [
      'a computed weight',
      {
        fractional: [
          ['on', { var: 'w' }],
          ['off', 2],
        ],
      },
      /weight \{/,
    ],
    [
      'a computed variant',
      {
        fractional: [
          [{ var: 'v' }, 1],
          ['off', 2],
        ],
      },
      /not \["variant", weight\]/,
    ],
    [
      'weights beyond 2^31',
      {
        fractional: [
          ['on', 2_147_483_647],
          ['off', 1],
        ],
      },
      /add up to/,
    ],
    ['a targeting that is a string', 'on', /not an object/],
  ])('%s', (_, targeting, reason) => {
    const document = readFlags(JSON.stringify(flagWith(targeting), null, 2))
    const description = describeFlag(document, 'f')
    expect(description.shape).toBe('unknown')
    expect(description.reason).toMatch(reason)
    expect(description.at?.line).toBeGreaterThan(1)
    expect(() => setShare(document, { flag: 'f', percent: 25 })).toThrow(
      expect.objectContaining({ code: 'SB_SHAPE_UNKNOWN', message: expect.stringMatching(reason) }),
    )
    expect(() => addPilot(document, { flag: 'f', attribute: 'plan', values: ['x'] })).toThrow(
      expect.objectContaining({ code: 'SB_SHAPE_UNKNOWN' }),
    )
  })

  it('a key that is repeated', () => {
    const text = `{"flags":{"f":{"state":"ENABLED","variants":{"on":true,"off":false},"defaultVariant":"off",
      "targeting":{"fractional":[["on",10],["off",90]]},
      "targeting":{"fractional":[["on",20],["off",80]]}}}}`
    expect(() => setShare(readFlags(text), { flag: 'f', percent: 25 })).toThrow(
      /"targeting" is repeated/,
    )
    expect(() =>
      setShare(readFlags('{"flags":{},"flags":{"f":{}}}'), { flag: 'f', percent: 1 }),
    ).toThrow(/"flags" is repeated/)
  })

  it('variants whose sides are unclear', () => {
    const document = readFlags(
      JSON.stringify(
        flagWith(
          {
            fractional: [
              ['a', 1],
              ['b', 1],
            ],
          },
          { variants: { a: 1, b: 2 } },
        ),
      ),
    )
    expect(() => setShare(document, { flag: 'f', percent: 25 })).toThrow(
      /unclear which variant is on/,
    )
  })

  it('a flag that is not there, with those that are', () => {
    const document = readFlags(JSON.stringify(flagWith({})))
    expect(() => setShare(document, { flag: 'other', percent: 25 })).toThrow(
      expect.objectContaining({ code: 'SB_FLAG_UNKNOWN', hint: 'its flags: "f"' }),
    )
  })

  it('takes the sides from the values of a boolean flag', () => {
    const file = flagWith(
      {
        fractional: [
          ['redis', 1],
          ['files', 3],
        ],
      },
      {
        variants: { redis: true, files: false },
        defaultVariant: 'files',
      },
    )
    expect(describeFlag(readFlags(JSON.stringify(file)), 'f')).toMatchObject({
      share: 25,
      on: 'redis',
    })
  })
})

describe('roll back', () => {
  it('takes everybody back from every valid file, and undo brings the text back', () => {
    fc.assert(
      fc.property(flagsFile, share, ({ text, flag }, percent) => {
        const document = setShare(readFlags(text), { flag, percent }).after
        const edit = rollBack(document, { flag })
        expect(answers(edit.after, flag)).not.toContain('on')
        if (edit.changes.length === 0) return
        expect(undo(edit.after, { flag, history: [historyOf(edit)] }).after.text).toBe(
          document.text,
        )
      }),
      { numRuns: inFull(50, 200) },
    )
  })

  it('works where the share is not settable: several splits, default on, zero weights', () => {
    const condition = { in: [{ var: 'plan' }, ['beta']] }
    const some = {
      fractional: [
        ['on', 10],
        ['off', 90],
      ],
    }
    for (const targeting of [
      {
        if: [
          condition,
          some,
          {
            fractional: [
              ['off', 1],
              ['on', 7],
            ],
          },
        ],
      },
      { if: [condition, 'on'] },
      {
        fractional: [
          ['on', 0],
          ['off', 0],
        ],
      },
      {},
    ]) {
      const document = readFlags(JSON.stringify(flagWith(targeting, { defaultVariant: 'on' })))
      expect(answers(document, 'f')).toContain('on')
      expect(answers(rollBack(document, { flag: 'f' }).after, 'f')).not.toContain('on')
    }
  })

  it('can leave pilots on', () => {
    const targeting = {
      if: [
        { in: [{ var: 'plan' }, ['beta']] },
        'on',
        {
          fractional: [
            ['on', 1],
            ['off', 1],
          ],
        },
      ],
    }
    const { after } = rollBack(readFlags(JSON.stringify(flagWith(targeting))), {
      flag: 'f',
      keepPilots: true,
    })
    const evaluate = createEvaluator(after, 'f')
    expect(evaluate({ targetingKey: 'user_1', plan: 'beta' })).toBe('on')
    expect(
      users.map((user) => evaluate(typeof user === 'string' ? user : user.targetingKey)),
    ).not.toContain('on')
  })

  it('disables what could still give on, and says why', () => {
    const document = readFlags(JSON.stringify(flagWith({ or: [{ var: 'x' }, 'on'] })))
    for (const disable of [false, true]) {
      const { after, because } = rollBack(document, { flag: 'f', disable })
      expect(new Set(answers(after, 'f'))).toEqual(new Set([codeDefault]))
      if (disable) expect(because).toBeUndefined()
      else expect(because).toContain('the operator "or" decides')
    }
  })
})

describe('pilots', () => {
  const pilot = { attribute: 'tier', values: ['gold', 'ünïcode'] }

  it('give on to their users and leave all others as they were; taken away, the text is the same', () => {
    fc.assert(
      fc.property(flagsFile, ({ text, flag, kind }) => {
        fc.pre(kind !== 'none')
        const document = readFlags(text)
        const { after } = addPilot(document, { flag, ...pilot })
        expect(answers(after, flag)).toEqual(answers(document, flag))
        const evaluate = createEvaluator(after, flag)
        for (const tier of pilot.values)
          expect(evaluate({ targetingKey: 'user_1', tier })).toBe('on')
        expect(describeFlag(after, flag).share).toBe(describeFlag(document, flag).share)
        expect(removePilot(after, { flag, attribute: 'tier' }).after.text).toBe(text)
      }),
    )
  })

  it('stand before a fresh flag with a split of nobody behind them', () => {
    const document = readFlags(JSON.stringify(flagWith(undefined)))
    const { after } = addPilot(document, { flag: 'f', ...pilot })
    expect(describeFlag(after, 'f')).toMatchObject({ shape: 'segment first', share: 0 })
    expect(answers(after, 'f')).toEqual(answers(document, 'f'))
    expect(setShare(after, { flag: 'f', percent: 10 }).to).toBe(10)
  })

  it('replace those on the same attribute, and come back after a rollback', () => {
    const document = readFlags(
      JSON.stringify(
        flagWith({
          fractional: [
            ['on', 1],
            ['off', 9],
          ],
        }),
      ),
    )
    const first = addPilot(document, { flag: 'f', ...pilot }).after
    const rolledBack = rollBack(first, { flag: 'f' }).after
    const again = addPilot(rolledBack, { flag: 'f', attribute: 'tier', values: ['gold'] })
    expect(again.pilot?.replaces).toBe(true)
    const evaluate = createEvaluator(again.after, 'f')
    expect(evaluate({ targetingKey: 'u', tier: 'gold' })).toBe('on')
    expect(evaluate({ targetingKey: 'u', tier: 'ünïcode' })).toBe('off')
    expect(
      addPilot(again.after, { flag: 'f', attribute: 'tier', values: ['gold'] }).changes,
    ).toEqual([])
  })

  it('are refused without an attribute or values', () => {
    const document = readFlags(JSON.stringify(flagWith({})))
    for (const [attribute, values] of [
      ['', ['x']],
      ['a b', ['x']],
      ['plan', []],
      ['plan', ['']],
    ] as const) {
      expect(() => addPilot(document, { flag: 'f', attribute, values })).toThrow(
        expect.objectContaining({ code: 'SB_PILOT_INVALID' }),
      )
    }
    expect(() => removePilot(document, { flag: 'f', attribute: 'plan' })).toThrow(
      expect.objectContaining({ code: 'SB_PILOT_UNKNOWN' }),
    )
  })
})

describe('undo', () => {
  const document = readFlags(
    JSON.stringify(
      flagWith({
        fractional: [
          ['on', 10],
          ['off', 90],
        ],
      }),
    ),
  )

  it('goes back further each time', () => {
    const one = setShare(document, { flag: 'f', percent: 20 })
    const two = setShare(one.after, { flag: 'f', percent: 30 })
    const history = [historyOf(one, '1'), historyOf(two, '2')]
    const first = undo(two.after, { flag: 'f', history })
    expect([first.from, first.to, first.undoes]).toEqual([30, 20, '2'])
    history.push({ ...historyOf(first, '3'), undoes: '2' })
    const second = undo(first.after, { flag: 'f', history })
    expect(second.after.text).toBe(document.text)
    history.push({ ...historyOf(second, '4'), undoes: '1' })
    expect(() => undo(second.after, { flag: 'f', history })).toThrow(
      expect.objectContaining({ code: 'SB_UNDO_NOTHING' }),
    )
  })

  it('refuses when somebody else changed it since', () => {
    const one = setShare(document, { flag: 'f', percent: 20 })
    const byHand = readFlags(one.after.text.replace('["on",20]', '["on",40]'))
    expect(() => undo(byHand, { flag: 'f', history: [historyOf(one)] })).toThrow(
      expect.objectContaining({ code: 'SB_UNDO_CONFLICT' }),
    )
  })
})

describe('changed lines', () => {
  it('are what turns one text into the other', () => {
    const lines = fc.array(fc.constantFrom('a', 'b', 'c', ''), { maxLength: 8 })
    fc.assert(
      fc.property(lines, lines, (a, b) => {
        const changes = changedLines(a.join('\n'), b.join('\n'))
        const [left, right] = [a.join('\n').split('\n'), b.join('\n').split('\n')]
        const removed = changes.filter(({ kind }) => kind === 'removed').length
        const added = changes.filter(({ kind }) => kind === 'added').length
        expect(left.length - removed).toBe(right.length - added)
        if (a.join('\n') === b.join('\n')) expect(changes).toEqual([])
      }),
    )
  })
})
