import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readFlagSet } from '../../src/flagfile/index.ts'
import type { JsonObject, JsonValue } from '../../src/flagfile/index.ts'
import { FlagStore } from '../../src/sidecar/flags/flag-store.ts'
import type { SourceFlags } from '../../src/sidecar/flags/flag-store.ts'
import type { FlagChange } from '../../src/sidecar/flags/flag-view.ts'
import { goJson } from '../../src/flagfile/index.ts'
import { resolve } from '../../src/sidecar/resolve.ts'
import { parseFlagSelector } from '../../src/sidecar/flags/flag-selector.ts'
import { fromStruct, toStruct } from '../../src/sidecar/grpc/struct.ts'
import { isOn, murmur3 } from '../support/flagd-bucket.ts'
import { sidecarFlags } from '../support/sidecar-flags.ts'
import { inFull } from '../support/full.ts'
import { anyText } from '../support/any-text.ts'

const variants = { on: true, off: false }
const on = { state: 'ENABLED', variants, defaultVariant: 'on' }
const off = { ...on, defaultVariant: 'off' }
const from = (source: string, content: object): SourceFlags => ({
  source,
  flags: readFlagSet(JSON.stringify(content), source),
})

test('the oracle is murmur3: published test vectors', () => {
  expect(murmur3('')).toBe(0)
  expect(murmur3('test')).toBe(0xba6bd213)
  expect(murmur3('Hello, world!')).toBe(0xc0363e43)
  expect(murmur3('The quick brown fox jumps over the lazy dog')).toBe(0x2e4ff723)
})

test('fractional is by UTF-8 bytes, for any flag key, targeting key and share', () => {
  const word = anyText({ minLength: 1, maxLength: 12 })
  fc.assert(
    fc.property(word, word, fc.integer({ min: 0, max: 100 }), (key, targetingKey, share) => {
      const targeting = {
        fractional: [
          ['on', share],
          ['off', 100 - share],
        ],
      }
      const answer = sidecarFlags({ flags: { [key]: { ...off, targeting } } }).ask(key, {
        targetingKey,
      })
      expect(answer).toMatchObject({ value: isOn(key, targetingKey, share) })
    }),
    { numRuns: inFull(75, 300) },
  )
})

describe('several sources', () => {
  const store = new FlagStore()
  store.replace(0, [from('a.json', { flags: { x: on, y: on }, metadata: { owner: 'a' } })])
  store.replace(1, [from('b.json', { flags: { x: off } })])
  const ask = (key: string, selector?: string): JsonValue | undefined => {
    const { value, error } = resolve(store.view(parseFlagSelector(selector)), key, 'Any', {})
    return value ?? error
  }

  test('the flag of the last one counts, and its metadata', () => {
    expect([ask('x'), ask('y')]).toEqual([false, true])
    expect(JSON.parse(store.view().text)).toEqual({
      flags: {
        x: { ...off, source: 'b.json' },
        y: { ...on, source: 'a.json', metadata: { owner: 'a' } },
      },
    })
  })

  test('a selector sees one source', () => {
    expect([ask('y', 'a.json'), ask('y', 'source=a.json')]).toEqual([true, true])
    expect([ask('y', 'source=b.json'), ask('x', 'b.json')]).toEqual(['FLAG_NOT_FOUND', false])
    expect(() => parseFlagSelector('flagsetid=1')).toThrow(/^invalid selector key "flagsetid"/)
  })

  test('a flag that the last one drops comes back when the first one is loaded again', () => {
    store.replace(1, [from('b.json', { flags: {} })])
    expect(ask('x')).toBe('FLAG_NOT_FOUND')
    store.replace(0, [from('a.json', { flags: { x: on } })])
    expect([ask('x'), ask('y')]).toEqual([true, 'FLAG_NOT_FOUND'])
  })
})

describe('flag sets', () => {
  const list = (...sets: readonly string[]): object => ({
    flags: sets.map((flagSetId, index) => ({
      ...(index % 2 === 0 ? off : on),
      key: 'x',
      metadata: { flagSetId },
    })),
  })

  test('hold a flag of a key each, and a selector sees one of them', () => {
    const store = new FlagStore()
    store.replace(0, [from('a.json', list('s1', 's2'))])
    const value = (selector: string): unknown =>
      resolve(store.view(parseFlagSelector(selector)), 'x', 'Any', {}).value
    expect([value('flagSetId=s1'), value('flagSetId=s2'), value('')]).toEqual([false, true, true])
    expect(store.view(parseFlagSelector('flagSetId=')).flags).toEqual([])
    expect(resolve(store.view(parseFlagSelector('flagSetId=s1')), 'y', 'Any', {}).metadata).toEqual(
      {
        flagSetId: 's1',
      },
    )
  })
})

describe('changes', () => {
  const changesOf = (
    before: object,
    after: object,
    selector = '',
  ): Record<string, FlagChange> | undefined => {
    const store = new FlagStore()
    store.replace(0, [from('a.json', before)])
    const heard: Record<string, FlagChange>[] = []
    store.subscribe(parseFlagSelector(selector), (changes) => {
      if (changes.size > 0) heard.push(Object.fromEntries(changes))
    })
    store.replace(0, [from('a.json', after)])
    return heard[0]
  }

  test('are written, updated, deleted flags, and no others', () => {
    const before = { flags: { same: on, changed: on, gone: on } }
    const after = { flags: { same: on, changed: off, added: on } }
    expect(changesOf(before, after)).toEqual({ changed: 'update', added: 'write', gone: 'delete' })
  })

  test('another order and spacing is no change; other metadata of the set changes every flag', () => {
    const turned = { defaultVariant: 'on', variants: { off: false, on: true }, state: 'ENABLED' }
    expect(changesOf({ flags: { a: on } }, { flags: { a: turned } })).toBeUndefined()
    const described = { flags: { a: on }, metadata: { version: 'v2' } }
    expect(changesOf({ flags: { a: on } }, described)).toEqual({ a: 'update' })
  })

  test('are told to whoever selects them', () => {
    const set = (flag: object, flagSetId: string): object => ({ ...flag, metadata: { flagSetId } })
    const before = { flags: { a: set(on, 's1'), b: set(on, 's2') } }
    const after = { flags: { a: set(on, 's1'), b: set(off, 's2') } }
    expect(changesOf(before, after, 'flagSetId=s1')).toBeUndefined()
    expect(changesOf(before, after, 'flagSetId=s2')).toEqual({ b: 'update' })
  })
})

describe('JSON as Go writes it', () => {
  test.each<[JsonValue, string]>([
    [{ b: 1, a: [null, true], 'a"': '' }, '{"a":[null,true],"a\\"":"","b":1}'],
    // By UTF-8 bytes; UTF-16 units have the last two the other way round. And not as numbers.
    [{ '9': 1, '10': 2, é: 3, '\u{10000}': 5, '\uffee': 4 }, '{"10":2,"9":1,"é":3,"￮":4,"𐀀":5}'],
    [
      '<a href="x">&\u2028\u0000\b\u007f',
      '"\\u003ca href=\\"x\\"\\u003e\\u0026\\u2028\\u0000\\b\u007f"',
    ],
    [
      [1e21, 1e20, 1e-6, 1e-7, -0, 0.1, 100],
      '[1e+21,100000000000000000000,0.000001,1e-7,-0,0.1,100]',
    ],
  ])('%j', (value, text) => {
    expect(goJson(value)).toBe(text)
  })

  test('says what it was given, however deep', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const json = JSON.parse(JSON.stringify(value)) as JsonValue
        expect(JSON.parse(goJson(json))).toEqual(json)
      }),
    )
    const deep = `${'['.repeat(9_000)}${']'.repeat(9_000)}`
    expect(goJson(JSON.parse(deep) as JsonValue)).toBe(deep)
  })
})

test('JSON objects survive google.protobuf.Struct', () => {
  fc.assert(
    fc.property(
      fc.dictionary(anyText(), fc.jsonValue({ noUnicodeString: false, maxDepth: 4 })),
      (object) => {
        const json = JSON.parse(JSON.stringify(object)) as JsonObject
        expect(fromStruct(toStruct(json))).toEqual(json)
      },
    ),
  )
})
