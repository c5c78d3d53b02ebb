import fc from 'fast-check'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { FlagAnswers } from '../../src/flags/decide/flag-answer.ts'
import { memoryKeyOf } from '../../src/flags/decide/decision-context.ts'
import type { DecisionContext } from '../../src/flags/index.ts'
import { Memory, elapsed } from '../../src/flags/decide/remembered.ts'
import type { Remembered } from '../../src/flags/decide/remembered.ts'
import { inFull } from '../support/full.ts'
import { anyText } from '../support/any-text.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

const name = fc.oneof(
  fc.constantFrom('targetingKey', 'plan', 'feature', '', '\0', '"', '__proto__', 'constructor'),
  anyText({ maxLength: 4 }),
)
const text = fc.oneof(
  fc.constantFrom('', '\0', '\0{', '"', ',', ':', '1', 'true', 'null', '\ud800', '{}'),
  anyText({ maxLength: 6 }),
)
const value = fc.oneof(
  text,
  fc.double(),
  fc.constantFrom(0, -0, 1, NaN, Infinity, -Infinity),
  fc.boolean(),
  fc.constant(null),
  fc.constant(undefined),
)
const attributes = fc.array(fc.tuple(name, value), { maxLength: 3 })
const context = fc
  .tuple(fc.option(text, { nil: undefined }), attributes)
  .map(([targetingKey, pairs]) => {
    const result: Record<string, unknown> = {}
    for (const [key, each] of pairs) {
      Object.defineProperty(result, key, {
        value: each,
        enumerable: true,
        configurable: true,
        writable: true,
      })
    }
    delete result['targetingKey']
    if (targetingKey !== undefined) result['targetingKey'] = targetingKey
    return result as DecisionContext
  })

/** What a context says: its own attributes that are not undefined. */
function said(asked: DecisionContext): Map<string, unknown> {
  return new Map(Object.entries(asked).filter(([, each]) => each !== undefined))
}

function same(a: Map<string, unknown>, b: Map<string, unknown>): boolean {
  return (
    a.size === b.size && [...a].every(([key, each]) => b.has(key) && Object.is(b.get(key), each))
  )
}

describe('the key of a context', () => {
  it('is shared by contexts that say the same, and by no others', () => {
    fc.assert(
      fc.property(context, context, (a, b) => {
        expect(memoryKeyOf(a) === memoryKeyOf(b)).toBe(same(said(a), said(b)))
      }),
      { numRuns: inFull(1_250, 5_000) },
    )
  })

  it('does not depend on the order of attributes, nor on being frozen', () => {
    fc.assert(
      fc.property(context, (asked) => {
        const entries = Object.entries(asked).toReversed()
        const turned = Object.fromEntries(entries) as DecisionContext
        const key = memoryKeyOf(asked)
        expect(memoryKeyOf(turned)).toBe(key)
        Object.freeze(turned)
        expect(memoryKeyOf(turned)).toBe(key)
        expect(memoryKeyOf(turned)).toBe(key)
      }),
    )
  })

  it('is the targeting key itself for a user without attributes', () => {
    expect(memoryKeyOf({ targetingKey: 'user_1' })).toBe('user_1')
    // Nobody can pass for another context by a made-up id.
    const other = memoryKeyOf({ targetingKey: 'a', plan: 'b' })
    expect(memoryKeyOf({ targetingKey: other })).not.toBe(other)
  })
})

describe('the memory', () => {
  const answer = new FlagAnswers().of({
    side: 'on',
    variant: 'on',
    reason: 'STATIC',
    errorCode: '',
  })
  const entry = (at: number): Remembered => ({ decision: answer.remembered, answer, at, epoch: 0 })

  it('is bounded, returns what was stored last, and keeps the recent half', () => {
    const key = fc.integer({ min: 0, max: 60 }).map((i) => `user_${i}`)
    const step = fc.record({ key, write: fc.boolean() })
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 20 }),
        fc.array(step, { maxLength: 300 }),
        (max, steps) => {
          const memory = new Memory(max)
          const model = new Map<string, Remembered>()
          for (const [i, { key, write }] of steps.entries()) {
            if (write) {
              const next = entry(i)
              memory.set(key, next)
              model.delete(key)
              model.set(key, next)
            } else {
              const found = memory.get(key)
              if (found !== undefined) {
                expect(found).toBe(model.get(key))
                model.delete(key)
                model.set(key, found)
              }
            }
            expect(memory.size).toBeLessThanOrEqual(max)
          }
          const recent = [...model].slice(-Math.floor(max / 2))
          for (const [key, each] of recent) expect(memory.get(key)).toBe(each)
        },
      ),
    )
  })

  it('does not keep alive what a key was cut out of', () => {
    // 64 MiB of requests, of which 20 letters each are remembered.
    const memory = new Memory(100_000)
    collect()
    const before = process.memoryUsage().heapUsed
    for (let i = 0; i < 2_000; i++) {
      // Flat, as text that came off a socket is; the id is a window into it.
      const request = Buffer.from(`${'x'.repeat(32_768)}user-${String(i).padStart(15, '0')}`)
      memory.set(request.toString('latin1').slice(-20), entry(0))
    }
    collect()
    expect(memory.size).toBe(2_000)
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(8 * 2 ** 20)
  })

  it('measures time across the wrap of its clock', () => {
    expect(elapsed(2 ** 31 - 5, -(2 ** 31) + 5)).toBe(10)
    expect(elapsed(100, 90)).toBe(-10)
  })
})

it('makes equal answers one, and a provider of endless reasons does not fill the memory', () => {
  const answers = new FlagAnswers()
  const of = (reason: string): object =>
    answers.of({ side: 'on', variant: 'v', reason, errorCode: '' })
  expect(of('a')).toBe(of('a'))
  expect(of('a')).not.toBe(of('b'))
  for (let i = 0; i < 1_000; i++) of(`reason ${i}`)
  expect(of('reason 999')).toEqual(of('reason 999'))
  expect(of('reason 999')).not.toBe(of('reason 999'))
})
