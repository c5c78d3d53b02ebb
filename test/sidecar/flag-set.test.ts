import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isSwitchbackError } from '../../src/errors.ts'
import { mergeDefinitions, readDefinitions } from '../../src/sidecar/definitions.ts'
import { flagSet } from '../../src/sidecar/flag-set.ts'
import { FlagStore } from '../../src/sidecar/flag-store.ts'
import type { FlagChange } from '../../src/sidecar/flag-store.ts'
import { parseJson } from '../../src/sidecar/json.ts'
import type { JsonObject } from '../../src/sidecar/json.ts'
import { fromStruct, toStruct } from '../../src/sidecar/struct.ts'
import { isOn, murmur3 } from '../support/flagd-bucket.ts'

const variants = { on: true, off: false }
const flags = (content: object): ReturnType<typeof flagSet> =>
  flagSet(readDefinitions(JSON.stringify(content), 'test'))

test('the oracle is murmur3: published test vectors', () => {
  expect(murmur3('')).toBe(0)
  expect(murmur3('test')).toBe(0xba6bd213)
  expect(murmur3('Hello, world!')).toBe(0xc0363e43)
  expect(murmur3('The quick brown fox jumps over the lazy dog')).toBe(0x2e4ff723)
})

describe('fractional', () => {
  test('is by UTF-8 bytes, for any flag key, targeting key and share', () => {
    const word = fc.string({ unit: 'binary', minLength: 1, maxLength: 12 })
    const named = word.filter((key) => key !== '__proto__')
    fc.assert(
      fc.property(named, word, fc.integer({ min: 0, max: 100 }), (key, targetingKey, share) => {
        const targeting = {
          fractional: [
            ['on', share],
            ['off', 100 - share],
          ],
        }
        const flag = { state: 'ENABLED', variants, defaultVariant: 'off', targeting }
        const answer = flags({ flags: { [key]: flag } }).asking({ targetingKey })(key)
        expect(answer).toMatchObject({ value: isOn(key, targetingKey, share) })
      }),
      { numRuns: 300 },
    )
  })

  test('an explicit bucketing key in another script is by its bytes too', () => {
    const targeting = {
      fractional: [{ cat: ['use-redis', { var: 'größe' }] }, ['on', 50], ['off', 50]],
    }
    const set = flags({
      flags: { x: { state: 'ENABLED', variants, defaultVariant: 'off', targeting } },
    })
    for (let index = 0; index < 200; index++) {
      const größe = `größe-${index}-東`
      expect(set.asking({ größe })('x')).toMatchObject({ value: isOn('use-redis', größe, 50) })
    }
  })
})

describe('definitions', () => {
  test('any JSON is read or refused with a reason, and leaves no mark on Object.prototype', () => {
    const key = fc.oneof(
      fc.constantFrom('flags', 'variants', 'defaultVariant', 'targeting', 'state', '$ref'),
      fc.constantFrom('__proto__', 'constructor', '$evaluators', 'metadata', 'fractional', 'if'),
    )
    const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
      tree: fc.oneof(
        { depthSize: 'small' },
        fc.constantFrom('on', 'off', null, 0, 1, '', true),
        fc.array(tie('tree'), { maxLength: 3 }),
        fc.dictionary(key, tie('tree'), { maxKeys: 4 }),
      ),
    }))
    fc.assert(
      fc.property(tree, (value) => {
        try {
          const set = flagSet(readDefinitions(JSON.stringify({ flags: value }), 'test'))
          for (const name of set.keys) set.asking({ targetingKey: 'x' })(name)
        } catch (error) {
          expect(isSwitchbackError(error) && error.code).toBe('SB_FLAGS_INVALID')
        }
        expect(Object.keys(Object.prototype)).toEqual([])
      }),
      { numRuns: 1_000 },
    )
  })

  test('flags may be a list, as flagd has it', () => {
    const list = [{ key: 'x', state: 'ENABLED', variants, defaultVariant: 'on' }]
    expect(flags({ flags: list }).asking({})('x')).toMatchObject({ value: true, reason: 'STATIC' })
  })

  test('several files: the last flag of a name counts, metadata is merged', () => {
    const one = { variants, defaultVariant: 'on' }
    const two = { variants, defaultVariant: 'off' }
    const first = { flags: { a: one, b: one }, metadata: { x: 1, y: 1 } }
    const second = { flags: { b: two }, metadata: { y: 2 } }
    expect(mergeDefinitions([first, second])).toEqual({
      flags: { a: one, b: two },
      metadata: { x: 1, y: 2 },
    })
  })

  test('a shared rule may use another, but not itself', () => {
    const rule = { '==': [1, 1] }
    const flag = {
      state: 'ENABLED',
      variants,
      defaultVariant: 'off',
      targeting: { if: [{ $ref: 'outer' }, 'on', 'off'] },
    }
    const nested = { $evaluators: { outer: { and: [{ $ref: 'inner' }] }, inner: rule } }
    expect(flags({ ...nested, flags: { flag } }).asking({})('flag')).toMatchObject({ value: true })
    const circle = { $evaluators: { outer: { and: [{ $ref: 'outer' }] } } }
    expect(() => flags({ ...circle, flags: { flag } })).toThrow(/"outer" that leads to itself/)
  })

  test('nested too deep is refused, not fatal', () => {
    const deep = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`
    expect(() => parseJson(deep(100_000))).toThrow(SyntaxError)
    expect(() => readDefinitions(`{"flags":${deep(100_000)}}`, 'test')).toThrow(/nested deeper/)
  })
})

describe('changes', () => {
  const changesOf = (before: object, after: object): Record<string, FlagChange> => {
    const store = new FlagStore()
    store.replace(flags(before))
    const heard: Record<string, FlagChange> = {}
    store.subscribe((changes) => Object.assign(heard, Object.fromEntries(changes)))
    store.replace(flags(after))
    return heard
  }
  const on = { state: 'ENABLED', variants, defaultVariant: 'on' }
  const off = { ...on, defaultVariant: 'off' }

  test('are written, updated, deleted flags, and no others', () => {
    const before = { flags: { same: on, changed: on, gone: on } }
    const after = { flags: { same: on, changed: off, added: on } }
    expect(changesOf(before, after)).toEqual({ changed: 'update', added: 'write', gone: 'delete' })
  })

  test('another order and spacing is no change; other metadata of the set changes every flag', () => {
    const turned = { defaultVariant: 'on', variants: { off: false, on: true }, state: 'ENABLED' }
    expect(changesOf({ flags: { a: on } }, { flags: { a: turned } })).toEqual({})
    const described = { flags: { a: on }, metadata: { version: 'v2' } }
    expect(changesOf({ flags: { a: on } }, described)).toEqual({ a: 'update' })
  })
})

test('JSON objects survive google.protobuf.Struct', () => {
  fc.assert(
    fc.property(
      fc.dictionary(
        fc.string({ unit: 'binary' }).filter((key) => key !== '__proto__'),
        fc.jsonValue({ noUnicodeString: false, maxDepth: 4 }),
      ),
      (object) => {
        const json = parseJson(JSON.stringify(object)) as JsonObject
        expect(fromStruct(toStruct(json))).toEqual(json)
      },
    ),
  )
})
