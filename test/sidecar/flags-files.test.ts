import { MemoryStorage } from '@openfeature/flagd-core'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readDefinitions } from '../../src/sidecar/definitions.ts'
import { flagSet } from '../../src/sidecar/flag-set.ts'
import type { FlagSet } from '../../src/sidecar/flag-set.ts'
import type { JsonObject } from '../../src/sidecar/json.ts'

const load = (path: string): FlagSet => flagSet(readDefinitions(readFileSync(path, 'utf8'), path))
const silent = { error(): void {}, warn(): void {}, info(): void {}, debug(): void {} }

function shareOn(set: FlagSet, context: JsonObject): number {
  let on = 0
  for (let index = 0; index < 10_000; index++) {
    const answer = set.asking({ ...context, targetingKey: `user_${index}` })('use-redis')
    if ('value' in answer && answer.value === true) on++
  }
  return on
}

const shipped = ['flags', 'flags/examples'].flatMap((directory) =>
  readdirSync(directory)
    .filter((name) => name.endsWith('.json'))
    .map((name) => join(directory, name)),
)

describe.each(shipped)('%s', (path) => {
  test('conforms to the published schema, and names it', () => {
    const text = readFileSync(path, 'utf8')
    expect(() => new MemoryStorage(silent).setConfigurations(text, true)).not.toThrow()
    expect(JSON.parse(text)).toMatchObject({ $schema: 'https://flagd.dev/schema/v0/flags.json' })
  })

  test('is a boolean use-redis with the sides as its variants, and off for the nameless', () => {
    const set = load(path)
    expect(set.flags['use-redis']).toMatchObject({ variants: { on: true, off: false } })
    expect(set.asking({})('use-redis')).toMatchObject({ value: false, variant: 'off' })
  })
})

test('the grey release: half of the users', () => {
  expect(shareOn(load('flags/use-redis.json'), {})).toBe(5_047)
})

test('a segment: internal and beta users wholly, a tenth of the others', () => {
  const set = load('flags/examples/segment.json')
  expect(shareOn(set, { plan: 'internal' })).toBe(10_000)
  expect(shareOn(set, { plan: 'beta' })).toBe(10_000)
  expect(shareOn(set, { plan: 'free' })).toBe(1_033)
  expect(shareOn(set, {})).toBe(1_033)
})

test('a feature: half of the users of the avatars, nobody elsewhere', () => {
  const set = load('flags/examples/feature.json')
  expect(shareOn(set, { feature: 'avatars' })).toBe(5_047)
  expect(shareOn(set, { feature: 'profiles' })).toBe(0)
  expect(shareOn(set, {})).toBe(0)
})

test('the standby: a string flag beside the split', () => {
  const set = load('flags/examples/standby.json')
  expect(set.asking({})('use-redis-standby')).toMatchObject({ value: 'mirror', reason: 'STATIC' })
  expect(shareOn(set, {})).toBe(1_033)
})
