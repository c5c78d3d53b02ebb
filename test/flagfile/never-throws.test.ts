import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isSwitchbackError } from '../../src/errors.ts'
import { compileFlag, definitionHash, readFlagSet } from '../../src/flagfile/index.ts'
import type { FlagSet, JsonValue } from '../../src/flagfile/index.ts'
import { inFull } from '../support/full.ts'

const OPERATORS =
  'and or filter map reduce all none some in missing missing_some var set cat substr merge if ?: max min + - * / % abs ! !! === !== < <= > >= == != contains_all contains_any contains_none fractional starts_with ends_with sem_ver nobody valueOf __proto__'.split(
    ' ',
  )

const { rule } = fc.letrec<{ rule: JsonValue }>((tie) => ({
  rule: fc.oneof(
    { maxDepth: 5 },
    fc.constantFrom<JsonValue>('', 'a', 'targetingKey', '$flagd', 'list', 0, -1, 1e300, null, true),
    fc.array(tie('rule'), { maxLength: 3 }),
    fc
      .tuple(fc.constantFrom(...OPERATORS), fc.oneof(tie('rule'), fc.array(tie('rule'))))
      .map(([operator, operand]) => Object.fromEntries([[operator, operand]])),
  ),
}))

function read(content: string | Uint8Array): FlagSet | undefined {
  try {
    return readFlagSet(content, 'x')
  } catch (error) {
    if (!isSwitchbackError(error)) throw error
    return undefined
  }
}

test('a rule of any kind evaluates to an answer', () => {
  fc.assert(
    fc.property(rule, fc.object(), (targeting, context) => {
      const text = JSON.stringify({ flags: { f: { variants: { on: true }, targeting } } })
      const flag = read(text)?.flags.get('f')
      if (flag === undefined) throw new Error('flagd takes any rule')
      expect(compileFlag(flag)({ list: [1, 'a', null], ...context }).reason).not.toBe('')
      expect(definitionHash(flag)).toMatch(/^[\da-f]{16}$/)
    }),
    { numRuns: inFull(125, 500) },
  )
})

test('bytes of any kind are read or refused', () => {
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array(), fc.json().map(Buffer.from)), (bytes) => {
      read(bytes)
    }),
  )
})

const list = Array.from({ length: 50 }, (_, index) => index)

test.each<[string, JsonValue]>([
  [
    'loops in loops',
    ['map', 'map', 'map', 'map', 'map', 'map'].reduce<JsonValue>(
      (inner, operator) => ({ [operator]: [list, inner] }),
      1,
    ),
  ],
  [
    'a text that doubles',
    { reduce: [list, { cat: [{ var: 'accumulator' }, { var: 'accumulator' }] }, 'xxxxxxxx'] },
  ],
  ['a rule as deep as flagd reads', nested(4_000)],
])('%s ends, with an answer', (_name, targeting) => {
  const text = JSON.stringify({ flags: { f: { variants: { on: true }, targeting } } })
  const flag = readFlagSet(text, 'x').flags.get('f')
  expect(compileFlag(flag as never)({}).errorCode).toBe('PARSE_ERROR')
})

function nested(depth: number): JsonValue {
  let inner: JsonValue = 'on'
  for (let level = 0; level < depth; level++) inner = { '!': inner }
  return inner
}
