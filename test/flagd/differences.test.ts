import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { compileFlag, readFlagSet } from '../../src/flagfile/index.ts'
import type { FlagEvaluation, JsonObject } from '../../src/flagfile/index.ts'
import { FlagStore } from '../../src/sidecar/flags/flag-store.ts'
import { resolve } from '../../src/sidecar/resolve.ts'

/*
 * What a real flagd 0.16.1 said where Switchback once said something else: found by files and rules drawn
 * at random, and cut down. The texts are as they were sent, since `-0` and `1.0` do not survive parsing.
 */
interface Differences {
  /** What its sync port sent for a file, `null` for one that it refused. */
  readonly files: readonly { readonly name?: string; text: string; sync: string | null }[]
  /** `variants` are the names of the variants, each its own value; the default is `off`. */
  readonly answers: readonly {
    readonly rule: string
    readonly variants: readonly string[]
    readonly context: string
    readonly answer: string
  }[]
}

const { files, answers } = JSON.parse(
  readFileSync(new URL('./differences.json', import.meta.url), 'utf8'),
) as Differences

test.each(files)('$text', ({ name = 'flags.json', text, sync }) => {
  if (sync === null) return expect(() => readFlagSet(text, name)).toThrow('"flags.')
  const store = new FlagStore()
  store.replace(0, [{ source: name, flags: readFlagSet(text, name) }])
  expect(store.view().text).toBe(sync)
})

test.each(answers)('$rule for $context', ({ rule, variants, context, answer }) => {
  const named = JSON.stringify(Object.fromEntries([...variants, 'off'].map((name) => [name, name])))
  const flag = `{"state":"ENABLED","variants":${named},"defaultVariant":"off","targeting":${rule}}`
  const read = readFlagSet(`{"flags":{"rule":${flag}}}`, 'flags.json').flags.get('rule')
  if (read === undefined) throw new Error('the flag is not there')
  expect(said(compileFlag(read)(JSON.parse(context) as JsonObject))).toBe(answer)
})

test.each([
  ['1e21', -(2 ** 63)],
  ['-1e19', -(2 ** 63)],
  ['-0.5', -0],
])('the integer of the variant %s', (variant, value) => {
  const text = `{"flags":{"rule":{"variants":{"a":${variant}},"defaultVariant":"a"}}}`
  const store = new FlagStore()
  store.replace(0, [{ source: 'flags.json', flags: readFlagSet(text, 'flags.json') }])
  expect(resolve(store.view(), 'rule', 'Int', {}).value).toBe(value)
})

function said({ errorCode, reason, variant }: FlagEvaluation): string {
  return errorCode === '' ? `${reason} ${variant}` : errorCode
}
