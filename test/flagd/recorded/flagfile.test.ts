import { describe, expect, test } from 'vitest'
import { isSwitchbackError } from '../../../src/errors.ts'
import { compileFlag, definitionHash, readFlagSet } from '../../../src/flagfile/index.ts'
import type { FlagEvaluation, FlagSet } from '../../../src/flagfile/index.ts'
import { ANSWERS, contentOf, FILES, POPULATION, rightOnes } from './load.ts'
import { ROLLOUT_KINDS, SPLITS, SYNC } from './load.ts'
import type { GrpcAnswer, RecordedAnswer, RecordedFile } from './load.ts'

const SETS = new Map<string, FlagSet>()
for (const file of FILES) if (file.taken) SETS.set(file.id, readFlagSet(contentOf(file), file.name))
const KINDS = new Map(FILES.map(({ id, kind }) => [id, kind]))

describe('files', () => {
  test.each(FILES.map((file) => [file.id, file.kind, file] as const))('%s: %s', (_, __, file) => {
    expect(isTaken(file)).toBe(file.taken)
  })

  test('flags that flagd leaves out are told', () => {
    const left = FILES.filter(({ taken, cause }) => taken && cause !== undefined)
    expect(left.length).toBeGreaterThan(3)
    for (const file of left) {
      const dropped: string[] = []
      readFlagSet(contentOf(file), file.name, { onDropped: ({ reason }) => dropped.push(reason) })
      expect(dropped.length).toBeGreaterThan(0)
    }
  })
})

function isTaken(file: RecordedFile): boolean {
  try {
    readFlagSet(contentOf(file), file.name)
    return true
  } catch (error) {
    if (!isSwitchbackError(error)) throw error
    expect(error.code).toBe('SB_FLAGS_INVALID')
    return false
  }
}

describe('texts of the sync stream', () => {
  const texts = SYNC.flatMap(({ file, files, selector, SyncFlags, FetchAllFlags }) =>
    [SyncFlags, FetchAllFlags]
      .filter((text) => typeof text === 'string')
      .map((text) => ({ whose: file ?? (files ?? []).join(' and '), file, selector, text })),
  )

  test.each(texts.map((each) => [each.whose, each.selector ?? '', each.text] as const))(
    '%s %s is taken',
    (_, __, text) => {
      expect(() => readFlagSet(text, 'what flagd sent')).not.toThrow()
    },
  )

  test('each flag has the hash that it has in the file', () => {
    let compared = 0
    for (const { file, text } of texts) {
      const set = file === undefined ? undefined : SETS.get(file)
      if (set === undefined) continue
      for (const flag of readFlagSet(text, 'what flagd sent').all) {
        const ours = set.all.find(
          ({ key, flagSetId }) => key === flag.key && flagSetId === flag.flagSetId,
        )
        expect(ours, `${file} ${flag.key}`).toBeDefined()
        if (ours !== undefined) {
          expect(definitionHash(flag), `${file} ${flag.key}`).toBe(definitionHash(ours))
        }
        compared++
      }
    }
    expect(compared).toBeGreaterThan(500)
  })

  test('flags that decide otherwise have another hash', () => {
    const hash = (flag: object): string =>
      definitionHash(
        readFlagSet(JSON.stringify({ flags: { f: flag } }), 'x').flags.get('f') as never,
      )
    const variants = { on: true, off: false }
    const targeting = { fractional: [['on', 50]] }
    const all = [
      { variants, defaultVariant: 'on' },
      { variants, defaultVariant: 'off' },
      { variants: { on: 1, off: false }, defaultVariant: 'off' },
      { variants },
      {},
      { variants, defaultVariant: 'on', targeting: null },
      { variants, defaultVariant: 'on', targeting: {} },
      { variants, defaultVariant: 'on', targeting },
      { variants, defaultVariant: 'on', targeting, state: 'DISABLED' },
    ]
    expect(new Set(all.map(hash)).size).toBe(all.length)
    expect(hash({ variants: { off: false, on: true }, state: 'ENABLED' })).toBe(hash({ variants }))
  })
})

describe('answers', () => {
  const single = ANSWERS.filter(
    ({ key, selector, v2 }) => key !== undefined && v2 !== undefined && selector === undefined,
  )

  test('of what rollouts are made of: all', () => {
    const asked = single.filter(({ file }) => ROLLOUT_KINDS.has(KINDS.get(file) ?? ''))
    expect(asked.length).toBeGreaterThan(1_500)
    expect(asked.filter((answer) => !agrees(answer)).map(shown)).toEqual([])
  })

  test('in all: at least 99 of 100', () => {
    const wrong = single.filter((answer) => !agrees(answer))
    expect(single.length).toBeGreaterThan(3_000)
    expect(wrong.length / single.length, wrong.map(shown).join('\n')).toBeLessThan(0.01)
  })
})

/** gRPC v2 asks for a boolean whatever the flag is, and leaves out what flagd did not set. */
function agrees(answer: RecordedAnswer): boolean {
  const flag = SETS.get(answer.file)?.flags.get(answer.key ?? '')
  const evaluation = flag === undefined ? undefined : compileFlag(flag)(answer.context ?? {})
  return rightOnes(answer.v2 ?? {}).some((right) => same(evaluation, right))
}

const CODES: Readonly<Record<string, number>> = { GENERAL: 2, TYPE_MISMATCH: 3, PARSE_ERROR: 15 }
const NOT_FOUND = 5

function same(evaluation: FlagEvaluation | undefined, right: GrpcAnswer): boolean {
  if (evaluation === undefined) return right.code === NOT_FOUND
  if (evaluation.errorCode !== '') return right.code === CODES[evaluation.errorCode]
  const typed = evaluation.value === undefined || typeof evaluation.value === 'boolean'
  if (!typed) return right.code === CODES['TYPE_MISMATCH']
  const reason = evaluation.reason === 'FALLBACK' ? 'DEFAULT' : evaluation.reason
  return (
    right.code === undefined &&
    reason === right.reason &&
    evaluation.variant === (right.variant ?? '') &&
    evaluation.value === right.value
  )
}

function shown({ file, key, context, v2 }: RecordedAnswer): string {
  return JSON.stringify({ file, key, context, v2 })
}

test.each(SPLITS.map((split) => [split.file, split.key, split] as const))(
  'population: %s, %s',
  (file, key, split) => {
    const flag = SETS.get(file)?.flags.get(key)
    if (flag === undefined) throw new Error('no such flag')
    const evaluate = compileFlag(flag)
    const sides = POPULATION.users.map((targetingKey, index) => {
      const attribute = split.attribute
      const more = attribute === undefined ? {} : { [attribute]: POPULATION.attribute[index] }
      return String(split.variants.indexOf(evaluate({ targetingKey, ...more }).variant))
    })
    expect(sides.join('')).toBe(split.on)
  },
)
