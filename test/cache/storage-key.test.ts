import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { storageKey } from '../../src/cache/storage-key.ts'
import { parseTtl } from '../../src/cache/ttl.ts'
import { inFull } from '../support/full.ts'
import { anyText } from '../support/any-text.ts'

/** Any JavaScript string: lone surrogates, NUL, long ones, and ones that look like our own hashes. */
const anyKey = fc.oneof(
  anyText({ minLength: 1 }),
  fc.string({ minLength: 1, unit: 'grapheme' }),
  fc
    .array(fc.integer({ min: 0, max: 0xffff }), { minLength: 1, maxLength: 400 })
    .map((units) => String.fromCharCode(...units)),
  fc.string({ minLength: 0, maxLength: 3 }).map((tail) => `#${tail}`),
  fc.string({ minLength: 1 }).map((key) => storageKey(`#${key}`)),
)

describe('storageKey', () => {
  test('keeps a short plain key as it is', () => {
    for (const key of [
      'user:7',
      'a',
      'päth/日本語 🎉',
      '../../etc/passwd',
      '{tag}',
      'x#y',
      ' ',
      'é',
      'e\u0301',
    ]) {
      expect(storageKey(key)).toBe(key)
    }
  })

  test('hashes what a store could mangle', () => {
    for (const key of [
      '#',
      '#a',
      '\0',
      'a\0',
      'a\nb',
      '\ud800',
      'x\udc00y',
      'a'.repeat(129),
      '\x7f',
      '\u0085',
    ]) {
      expect(storageKey(key)).toMatch(/^#[\w-]{43}$/)
    }
  })

  test('is unique, bounded, well-formed and stable for any string', () => {
    fc.assert(
      fc.property(anyKey, anyKey, (a, b) => {
        const name = storageKey(a)
        expect(storageKey(a)).toBe(name)
        expect(Buffer.byteLength(name)).toBeLessThanOrEqual(384)
        expect(Buffer.from(name).toString()).toBe(name)
        expect(name).not.toMatch(/\p{Cc}/u)
        expect(storageKey(b) === name).toBe(a === b)
      }),
      { numRuns: inFull(750, 3000) },
    )
  })

  test('never confuses a key with the name of another', () => {
    fc.assert(
      fc.property(anyKey, (key) => {
        const name = storageKey(key)
        if (name !== key) expect(storageKey(name)).not.toBe(name)
      }),
    )
  })

  test('tells lone surrogates apart, which UTF-8 does not', () => {
    expect(storageKey('\ud800')).not.toBe(storageKey('\ud801'))
    expect(storageKey('\ud800')).not.toBe(storageKey('\ufffd'))
  })

  test('takes 64 KiB of UTF-8 and refuses one byte more', () => {
    expect(storageKey('a'.repeat(65_536))).toMatch(/^#/)
    expect(storageKey('€'.repeat(21_845))).toMatch(/^#/)
    expect(() => storageKey('a'.repeat(65_537))).toThrow(
      expect.objectContaining({ code: 'SB_KEY_TOO_LONG' }),
    )
    expect(() => storageKey(`${'€'.repeat(21_845)}aa`)).toThrow(
      expect.objectContaining({ code: 'SB_KEY_TOO_LONG' }),
    )
  })

  test('refuses what is no key', () => {
    for (const key of ['', undefined, null, 7, {}, Symbol('s')]) {
      expect(() => storageKey(key as string)).toThrow(
        expect.objectContaining({ code: 'SB_KEY_INVALID' }),
      )
    }
  })
})

describe('parseTtl', () => {
  test.each([
    [1, 1],
    [1500.4, 1500],
    ['500ms', 500],
    ['30s', 30_000],
    ['10m', 600_000],
    ['1.5h', 5_400_000],
    ['7d', 604_800_000],
  ])('%s is %d ms', (ttl, ms) => {
    expect(parseTtl(ttl)).toBe(ms)
  })

  test.each([
    0,
    -1,
    0.2,
    NaN,
    Infinity,
    1e300,
    '',
    '10',
    '10 m',
    '-5s',
    '1e3s',
    '10M',
    's',
    '0s',
    '99999d',
    '1.s',
    '.5s',
    null,
    undefined,
    {},
    10n,
    ['5s'],
  ])('%s is refused by name', (ttl) => {
    expect(() => parseTtl(ttl as number)).toThrow(
      expect.objectContaining({ code: 'SB_TTL_INVALID' }),
    )
  })

  test('quotes what it refuses', () => {
    expect(() => parseTtl('5 minutes')).toThrow(/"5 minutes"/)
    expect(() => parseTtl(NaN)).toThrow(/NaN/)
  })

  test('numbers and strings agree', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1_000_000 }), (n) => {
        expect(parseTtl(`${n}ms`)).toBe(parseTtl(n))
        expect(parseTtl(`${n}s`)).toBe(parseTtl(n * 1000))
      }),
    )
  })
})
