import { hash } from 'node:crypto'
import { inspect } from 'node:util'
import fc from 'fast-check'
import { InMemoryProvider, OpenFeature } from '@openfeature/server-sdk'
import type { EvaluationContext, ResolutionDetails } from '@openfeature/server-sdk'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { MAX_KEY_BYTES } from '../../src/cache/index.ts'
import { createDecider, type DecisionContext } from '../../src/flags/index.ts'
import { createEvaluator, readFlags } from '../../src/rollout/index.ts'
import { isOn } from '../support/flagd-bucket.ts'
import { parameters, TIMEOUT } from './fuzzing.ts'
import { guardPrototypes } from './prototypes.ts'
import { openStores, PREFIX, type Stores } from './stores.ts'
import { anyText } from '../support/any-text.ts'

guardPrototypes()

/** Keys that a careless store, log, label or protocol takes for each other or for something else. */
const ODD_KEYS: readonly string[] = [
  '\0',
  'a\0',
  'a\0b',
  'a',
  'a ',
  ' a',
  'A',
  'é',
  'e\u0301',
  'ﬁ',
  'fi',
  '\u212b',
  '\u00c5',
  '\ud800',
  '\udc00',
  '\ufffd',
  '\ud800\ud800',
  'x\ud83d',
  'x\ud83d\ude00',
  'x\ufffd',
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  '../../etc/passwd',
  '..',
  '/',
  'C:\\x',
  'a/b',
  'a%2Fb',
  'a\r\nSET b 1\r\n',
  'a\nb',
  '*',
  'a*',
  'a?',
  '[a]',
  '{a}',
  '{a}b',
  '"',
  "'; DROP TABLE cells; --",
  '#',
  '#a',
  '#'.padEnd(44, 'A'),
  '$5',
  '0',
  '1e3',
  'null',
  'undefined',
  '[object Object]',
  'true',
  PREFIX,
  `${PREFIX}a`,
  'a'.repeat(128),
  'a'.repeat(129),
  'a'.repeat(130),
  'ä'.repeat(128),
  'x'.repeat(65_536),
  `${'x'.repeat(65_535)}y`,
  '\u202ea',
  '\ufeffa',
  'a\u200b',
]

const units = fc
  .array(fc.integer({ min: 0, max: 0xffff }), { minLength: 1, maxLength: 200 })
  .map((codes) => String.fromCharCode(...codes))
const anyString = fc.oneof(
  fc.constantFrom(...ODD_KEYS),
  anyText({ minLength: 1 }),
  fc.string({ unit: 'grapheme', minLength: 1 }),
  units,
  // Two that differ in one thing only.
  fc
    .tuple(fc.constantFrom(...ODD_KEYS), fc.constantFrom('\0', ' ', '\ud800', 'a', '\u0301'))
    .map((two) => two.join('')),
)

const anyKey = anyString.filter((key) => Buffer.byteLength(key) <= MAX_KEY_BYTES)

/** What callers without types pass for a key. */
const throwing = {
  toString() {
    throw new Error('no text')
  },
}
const circular: Record<string, unknown> = Object.create(null) as Record<string, unknown>
circular['self'] = circular
const NO_KEYS: readonly unknown[] = [
  7,
  0,
  -0,
  Number.NaN,
  7n,
  true,
  false,
  null,
  undefined,
  Symbol('key'),
  Symbol.iterator,
  [],
  ['a'],
  {},
  { toString: () => 'a' },
  throwing,
  circular,
  Object.create(null),
  () => 'a',
  new String('a'),
  new Date(0),
  /a/,
  new Map(),
  new Proxy({}, { get: () => throwing }),
  '',
]

let stores: Stores
beforeAll(async () => {
  stores = await openStores()
})
afterAll(async () => {
  await stores?.[Symbol.asyncDispose]()
  await OpenFeature.clearProviders()
})

describe('cache keys', () => {
  test('no key sees the value of another, in either store', { timeout: TIMEOUT }, async () => {
    const keys = fc.uniqueArray(anyKey, { minLength: 2, maxLength: 30 })
    await fc.assert(
      fc.asyncProperty(keys, fc.constantFrom('files', 'redis'), async (all, side) => {
        const view = stores.views[side]
        await Promise.all(all.map((key) => view.delete(key)))
        expect(await Promise.all(all.map((key) => view.get(key)))).toEqual(all.map(() => undefined))
        const [first = '', ...rest] = all
        await Promise.all(rest.map((key) => view.set(key, `of ${key}`)))
        expect(await view.get(first)).toBeUndefined()
        expect(await Promise.all(rest.map((key) => view.get(key)))).toEqual(
          rest.map((key) => `of ${key}`),
        )
        await view.delete(rest[0] ?? '')
        for (const key of rest.slice(1)) expect(await view.has(key)).toBe(true)
      }),
      parameters(40),
    )
  })

  test('all the odd ones at once, by concurrent loads', async () => {
    for (const view of Object.values(stores.views)) {
      await view.clear()
      const loaded = await Promise.all(
        [...ODD_KEYS, ...ODD_KEYS].map((key) => view.getOrSet(key, async () => `of ${key}`)),
      )
      expect(loaded).toEqual([...ODD_KEYS, ...ODD_KEYS].map((key) => `of ${key}`))
    }
    // Whatever a key holds, its name is one name, beneath the prefix.
    for (const name of await stores.redis.keys('*')) {
      expect(name.startsWith(PREFIX)).toBe(true)
      expect(name).not.toMatch(/\p{Cc}/u)
    }
  })

  test('what is no string, or too long, is refused with a code before anything is asked', async () => {
    for (const key of [...NO_KEYS, 'x'.repeat(65_537), 'x'.repeat(1_048_576)] as string[]) {
      const code = expect.stringMatching(/^SB_KEY_(INVALID|TOO_LONG)$/)
      for (const view of Object.values(stores.views)) {
        for (const call of [
          () => view.get(key),
          () => view.set(key, 1),
          () => view.getOrSet(key, () => 1),
          () => view.delete(key),
          () => view.has(key),
        ]) {
          await expect((async () => call())()).rejects.toMatchObject({ code })
        }
      }
    }
  })
})

/** Answers with a digest of all that it is asked with, so that no two contexts have one answer. */
class Mirror extends InMemoryProvider {
  override async resolveBooleanEvaluation(
    _flag: string,
    _fallback: boolean,
    context: EvaluationContext,
  ): Promise<ResolutionDetails<boolean>> {
    const variant = digest(context)
    return { value: variant < '8', variant, reason: 'TARGETING_MATCH' }
  }
}

function digest(context: object): string {
  const text = inspect(context, {
    sorted: true,
    depth: 20,
    maxArrayLength: null,
    maxStringLength: null,
  })
  return hash('sha256', Buffer.from(text, 'utf16le'))
}

const attribute: fc.Arbitrary<unknown> = fc.oneof(
  { depthSize: 'small' },
  anyKey,
  fc.constantFrom(
    0,
    -0,
    1,
    Number.NaN,
    Infinity,
    true,
    false,
    null,
    'true',
    '1',
    'null',
    'NaN',
    '-0',
  ),
  fc.constantFrom(
    1n,
    new Date(0),
    new Date(1),
    '@0',
    '{}',
    {},
    [],
    [null],
    [undefined],
    ['a,b'],
    ['a', 'b'],
  ),
  fc.array(fc.constantFrom('a', 1, null, '1'), { maxLength: 3 }),
  fc.dictionary(fc.constantFrom('a', 'b', '__proto__', '"a"'), fc.constantFrom(1, '1', null), {
    // No evaluation tells these from others.
    noNullPrototype: true,
  }),
)
const context = fc
  .record(
    {
      targetingKey: fc.oneof(
        anyKey,
        fc.constantFrom('\0{"a":1,}', '{"targetingKey":"a",}', '1', 'true'),
      ),
      plan: attribute,
      'a":1,"b': attribute,
      constructor: attribute,
    },
    { requiredKeys: [] },
  )
  .map((made) => made as unknown as DecisionContext)

describe('decisions', () => {
  test('no two contexts share a remembered one', { timeout: TIMEOUT }, async () => {
    await OpenFeature.setProviderAndWait('fuzz-keys', new Mirror())
    const decider = createDecider({
      flag: 'f',
      domain: 'fuzz-keys',
      rememberMs: 3_600_000,
      deadlineMs: 60_000,
    })
    try {
      await fc.assert(
        fc.asyncProperty(fc.array(context, { minLength: 1, maxLength: 20 }), async (contexts) => {
          for (const each of contexts) {
            const asked = { ...each }
            const expected = digest(asked)
            for (let time = 0; time < 2; time++) {
              const { side, variant } = await decider.decide(asked)
              expect([side, variant]).toEqual([expected < '8' ? 'on' : 'off', expected])
            }
          }
        }),
        parameters(250),
      )
    } finally {
      await decider.close()
    }
  })

  test('a frozen context whose parts change is another one', async () => {
    await OpenFeature.setProviderAndWait('fuzz-frozen', new Mirror())
    const decider = createDecider({
      flag: 'f',
      domain: 'fuzz-frozen',
      rememberMs: 3_600_000,
      deadlineMs: 60_000,
    })
    const account = { plan: 'free' }
    const frozen = Object.freeze({ targetingKey: 'a', account }) as unknown as DecisionContext
    const before = await decider.decide(frozen)
    account.plan = 'paid'
    const after = await decider.decide(frozen)
    expect(after.variant).toBe(digest(frozen))
    expect(after.variant).not.toBe(before.variant)
    await decider.close()
  })

  test('a context that cannot be named decides nothing, and throws nothing', async () => {
    await OpenFeature.setProviderAndWait('fuzz-odd', new Mirror())
    const decider = createDecider({
      flag: 'f',
      domain: 'fuzz-odd',
      rememberMs: 3_600_000,
      deadlineMs: 60_000,
    })
    for (const key of NO_KEYS) {
      for (const odd of [{ targetingKey: key }, { targetingKey: 'a', plan: key }, key]) {
        const { side } = await decider.decide((odd ?? undefined) as DecisionContext)
        expect(['on', 'off']).toContain(side)
      }
    }
    await decider.close()
  })

  test('every targeting key is drawn as flagd draws it', { timeout: TIMEOUT }, () => {
    const document = readFlags(
      '{"flags":{"use-redis":{"state":"ENABLED","variants":{"on":true,"off":false},' +
        '"defaultVariant":"off","targeting":{"fractional":[["on",50],["off",50]]}}}}',
    )
    const evaluate = createEvaluator(document, 'use-redis')
    fc.assert(
      fc.property(anyKey, (key) => {
        expect(evaluate(key)).toBe(isOn('use-redis', key, 50) ? 'on' : 'off')
      }),
      parameters(1_500),
    )
  })
})
