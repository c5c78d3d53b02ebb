import { MemoryStorage } from '@openfeature/flagd-core'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../../src/flagfile/index.ts'
import { sidecarFlags } from '../support/sidecar-flags.ts'
import type { SidecarFlags } from '../support/sidecar-flags.ts'

const load = (path: string): SidecarFlags => sidecarFlags(readFileSync(path, 'utf8'))
const silent = { error(): void {}, warn(): void {}, info(): void {}, debug(): void {} }

function shareOn(set: SidecarFlags, context: JsonObject): number {
  let on = 0
  for (let index = 0; index < 10_000; index++) {
    const { value } = set.ask('use-redis', { ...context, targetingKey: `user_${index}` })
    if (value === true) on++
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
    const { flags } = JSON.parse(set.text) as { flags: Record<string, object> }
    expect(flags['use-redis']).toMatchObject({ variants: { on: true, off: false } })
    expect(set.ask('use-redis', {})).toMatchObject({ value: false, variant: 'off' })
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
  expect(set.ask('use-redis-standby', {})).toMatchObject({ value: 'mirror', reason: 'STATIC' })
  expect(shareOn(set, {})).toBe(1_033)
})
