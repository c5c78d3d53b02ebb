import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { isSwitchbackError } from '../../src/errors.ts'
import { LoadedFlags } from '../../src/flags/source/loaded-flags.ts'
import { createEvaluator, describe as describeFlag, readFlags } from '../../src/rollout/index.ts'
import { readText, rollBack, setShare, validate } from '../../src/rollout/index.ts'
import { readSource } from '../../src/sidecar/flags/source-files.ts'
import { sidecarFlags } from '../support/sidecar-flags.ts'
import { guardPrototypes } from './prototypes.ts'
import { longestStall, MOST_STALL_MS } from './stall.ts'

guardPrototypes()

const MEBIBYTE = 1_048_576
const repeat = (count: number, make: (index: number) => string): string =>
  Array.from({ length: count }, (_, index) => make(index)).join(',')

function flagsWith(targeting: string, rest = '', variants = '"on":true,"off":false'): string {
  return (
    `{"flags":{"use-redis":{"state":"ENABLED","variants":{${variants}},` +
    `"defaultVariant":"off","targeting":${targeting}}}${rest}}`
  )
}

/** `{"if":[true,{"if":[true,... "on" ...,"off"]},"off"]}` */
function nested(depth: number, open = '{"if":[true,', leaf = '"on"', close = ',"off"]}'): string {
  return open.repeat(depth) + leaf + close.repeat(depth)
}

/** Each of the shared rules names the next one twice. */
function doubling(rules: number): string {
  const shared = repeat(rules, (i) => `"r${i}":{"or":[{"$ref":"r${i + 1}"},{"$ref":"r${i + 1}"}]}`)
  return flagsWith(
    '{"if":[{"$ref":"r0"},"on","off"]}',
    `,"$evaluators":{${shared},"r${rules}":{"==":[1,1]}}`,
  )
}

/** Files that are small, and that cost whoever reads them without care dearly. */
const HELL: readonly (readonly [name: string, text: string])[] = [
  ['rules nested 300 deep', flagsWith(nested(300))],
  ['rules nested 2,500 deep', flagsWith(nested(2_500))],
  ['rules nested 80,000 deep', flagsWith(nested(80_000))],
  [
    'conditions nested 1,000 deep',
    flagsWith(`{"if":[${nested(1_000, '{"!":', 'true', '}')},"on","off"]}`),
  ],
  ['lists nested 5,000 deep', flagsWith(nested(5_000, '[', '1', ']'))],
  ['lists nested without end', '['.repeat(500_000)],
  [
    'metadata nested 1,000 deep',
    flagsWith('null', `,"metadata":${nested(1_000, '{"a":', '1', '}')}`),
  ],
  ['shared rules that double 40 times', doubling(40)],
  [
    'a shared rule that names itself',
    flagsWith('{"$ref":"r"}', ',"$evaluators":{"r":{"$ref":"r"}}'),
  ],
  [
    'shared rules that name each other',
    flagsWith('{"$ref":"a"}', ',"$evaluators":{"a":{"!":{"$ref":"b"}},"b":{"!":{"$ref":"a"}}}'),
  ],
  [
    'many shared rules, each named once',
    flagsWith(
      `{"or":[${repeat(400, (i) => `{"$ref":"r${i}"}`)}]}`,
      `,"$evaluators":{${repeat(400, (i) => `"r${i}":true`)}}`,
    ),
  ],
  ['a list of wrong weights', flagsWith(`{"fractional":[${repeat(20_000, () => '1')}]}`)],
  [
    'a key that stands 10,000 times',
    flagsWith('null', `,"metadata":{${repeat(10_000, () => '"a":1')}}`),
  ],
  [
    'as many variants as wrong ones',
    flagsWith(
      `{"if":[${repeat(4_000, (i) => `true,"wrong-${i}"`)}]}`,
      '',
      `"on":true,"off":false,${repeat(4_000, (i) => `"variant-${i}":true`)}`,
    ),
  ],
  [
    'as many unknown references as shared rules',
    flagsWith(
      `{"or":[${repeat(4_000, (i) => `{"$ref":"rule-x${i}"}`)}]}`,
      `,"$evaluators":{${repeat(4_000, (i) => `"rule-y${i}":true`)}}`,
    ),
  ],
  [
    'as many ends as one call has room for',
    flagsWith(`{"if":[true,{"if":[${repeat(10_000, () => 'true,"on"')}]},"off"]}`),
  ],
  ['lines of nothing', `${flagsWith('null').replace(',', `,${'\n'.repeat(200_000)}`)}`],
  [
    'numbers of many digits',
    flagsWith(`{"fractional":[["on",${'9'.repeat(50_000)}],["off",1e999]]}`),
  ],
  ['a name of many letters', flagsWith(`{"fractional":[["${'x'.repeat(200_000)}",1],["off",99]]}`)],
]

/** Every way in which the product looks at a flags file. */
const READERS: readonly (readonly [name: string, read: (text: string) => unknown])[] = [
  ['readFlags', readFlags],
  ['validate', validate],
  ['describe', (text) => describeFlag(readFlags(text), 'use-redis')],
  ['setShare', (text) => setShare(readFlags(text), { flag: 'use-redis', percent: 33 })],
  ['rollBack', (text) => rollBack(readFlags(text), { flag: 'use-redis' })],
  ['disable', (text) => rollBack(readFlags(text), { flag: 'use-redis', disable: true })],
  ['evaluator', (text) => createEvaluator(readFlags(text), 'use-redis')('user_0')],
  [
    'sidecar',
    (text) => {
      const served = sidecarFlags(text)
      return [served.text, served.ask('use-redis', { targetingKey: 'a' })]
    },
  ],
  [
    'application',
    (text) => {
      const flags = new LoadedFlags()
      flags.take(text, 'x')
      flags.resolve('boolean', 'use-redis', false, { targetingKey: 'a' })
    },
  ],
]

describe.each(READERS)('%s', (_, read) => {
  test.each(HELL)('%s', async (_name, text) => {
    const stall = await longestStall(() => {
      try {
        read(text)
      } catch (error) {
        if (!isSwitchbackError(error)) throw error
      }
    }, MOST_STALL_MS)
    expect(stall).toBeLessThan(MOST_STALL_MS)
  })
})

test.each(Object.getOwnPropertyNames(Object.prototype))(
  'an operator %s, which every object has, is one that nobody knows',
  async (name) => {
    const unhandled: unknown[] = []
    const hear = (reason: unknown): void => void unhandled.push(reason)
    process.on('unhandledRejection', hear)
    const rule = `{"if":[{"in":[1,{"${name}":[{"var":"targetingKey"},"x"]}]},"on",{"${name}":["on"]}]}`
    const text = flagsWith(rule)
    const context = { targetingKey: 'user_0' }
    const flags = new LoadedFlags()
    flags.take(text, 'x')
    expect(flags.resolve('boolean', 'use-redis', false, context).errorCode).toBe('PARSE_ERROR')
    expect(createEvaluator(readFlags(text), 'use-redis')('user_0')).not.toBe('on')
    const answer = sidecarFlags(text).ask('use-redis', context)
    expect(answer).not.toMatchObject({ variant: 'on' })
    await new Promise((resolve) => setTimeout(resolve, 5))
    process.off('unhandledRejection', hear)
    expect(unhandled).toEqual([])
  },
)

test('a thousand flags are read by an application at once, and each compiled when it is asked for', async () => {
  const others = repeat(
    1_000,
    (i) =>
      `"flag-${i}":{"state":"ENABLED","variants":{"on":true,"off":false},"defaultVariant":"off",` +
      `"targeting":{"if":[{"in":[{"var":"plan"},["a","b"]]},"on",{"fractional":[["on",${i % 100}],["off",9]]}]},` +
      `"metadata":{"note":"${'x'.repeat(500)}"}}`,
  )
  const text = flagsWith('{"fractional":[["on",50],["off",50]]}').slice(0, -2) + `,${others}}}`
  expect(text.length).toBeGreaterThan(700_000)
  const stall = await longestStall(() => {
    const flags = new LoadedFlags()
    flags.take(text, 'x')
    const context = { targetingKey: 'user_0' }
    for (const key of ['use-redis', 'flag-7', 'flag-999']) {
      const answer = flags.resolve('boolean', key, false, context)
      expect(answer.reason).toBe('TARGETING_MATCH')
    }
  }, MOST_STALL_MS)
  expect(stall).toBeLessThan(MOST_STALL_MS)
})

describe('files that are too large', () => {
  const directory = mkdtempSync(join(tmpdir(), 'switchback-fuzz-size-'))
  const file = join(directory, 'flags.json')
  afterAll(() => rmSync(directory, { recursive: true, force: true }))

  test('are not read to their end', async () => {
    for (const path of ['/dev/zero', file]) {
      writeFileSync(file, flagsWith('null').replace(',', `,${' '.repeat(10 * MEBIBYTE)}`))
      await expect(readText(path)).rejects.toMatchObject({ code: 'SB_FLAGS_TOO_LARGE' })
      await expect(readSource(path)).rejects.toMatchObject({ code: 'SB_FLAGS_TOO_LARGE' })
    }
  })

  test('are too large together, too', async () => {
    for (const name of ['a.json', 'b.json']) {
      writeFileSync(join(directory, name), ' '.repeat(0.6 * MEBIBYTE))
    }
    await expect(readSource(directory)).rejects.toMatchObject({ code: 'SB_FLAGS_TOO_LARGE' })
  })
})
