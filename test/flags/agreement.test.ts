import { OpenFeature } from '@openfeature/server-sdk'
import type { Client } from '@openfeature/server-sdk'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { flagsFromEnvironment } from '../../src/flags/index.ts'
import type { FlagsSource } from '../../src/flags/index.ts'
import { startSidecar } from '../../src/sidecar/index.ts'
import type { Sidecar } from '../../src/sidecar/index.ts'
import { isOn } from '../support/flagd-bucket.ts'
import { FlagsFile, rule, split, useRedis } from '../support/flags-files.ts'
import { HUNG_MS, until } from '../support/until.ts'
import { inFull } from '../support/full.ts'
import { anyText } from '../support/any-text.ts'

// One flags file, read in the three ways; each must give flagd's own answer for every key.
const variants = { on: true, off: false }
const half = split(50)
const content = {
  flags: {
    ...(useRedis(10) as { flags: object }).flags,
    'at-25': rule({
      fractional: [
        ['on', 25],
        ['off', 75],
      ],
    }),
    'at-50': rule(half),
    größe: rule(half),
    'by-name': rule({ if: [{ '==': [{ var: 'targetingKey' }, 'zoë'] }, 'on', 'off'] }),
    'by-city': rule({ if: [{ in: [{ var: 'city' }, ['京都', 'Århus']] }, 'on', 'off'] }),
    'by-feature': rule({ if: [{ '==': [{ var: 'feature' }, 'avatars'] }, 'on', 'off'] }),
    'without-state': { variants, defaultVariant: 'on' },
    disabled: { state: 'DISABLED', variants, defaultVariant: 'on' },
    named: {
      state: 'ENABLED',
      variants: { grün: 'grün ✓', rot: 'rot' },
      defaultVariant: 'grün',
    },
    text: { state: 'ENABLED', variants: { a: 'text' }, defaultVariant: 'a' },
    object: {
      state: 'ENABLED',
      variants: { a: { größe: ['ä', 1, true] } },
      defaultVariant: 'a',
    },
    'no-such-variant': rule({ fractional: [['nope', 100]] }),
    'no-such-operator': rule({ nope: [1] }),
  },
}

const MODES = ['rpc', 'in-process', 'file'] as const
type Mode = (typeof MODES)[number]

const file = new FlagsFile()
let sidecar: Sidecar
const sources: FlagsSource[] = []
const clients = {} as Record<Mode, Client>

beforeAll(async () => {
  file.write(content)
  sidecar = await startSidecar({
    file: file.path,
    ports: { evaluation: 0, management: 0, sync: 0, ofrep: 0 },
  })
  const { evaluation, sync } = sidecar.ports
  const environments: Record<Mode, Record<string, string>> = {
    rpc: {
      FLAGD_HOST: '127.0.0.1',
      FLAGD_PORT: `${evaluation}`,
      FLAGD_RESOLVER: 'rpc',
      // A busy machine takes its time for two hundred questions at once.
      FLAGD_DEADLINE_MS: '30000',
    },
    'in-process': { FLAGD_HOST: '127.0.0.1', FLAGD_PORT: `${sync}`, FLAGD_RESOLVER: 'in-process' },
    file: { FLAGD_OFFLINE_FLAG_SOURCE_PATH: file.path },
  }
  for (const mode of MODES) {
    const source = await flagsFromEnvironment(environments[mode], { domain: mode })
    expect(source.mode).toBe(mode)
    sources.push(source)
    clients[mode] = OpenFeature.getClient(mode)
    await until(`${mode} has the flags`, () => clients[mode].providerStatus === 'READY')
  }
})

afterAll(async () => {
  await Promise.all(sources.map((source) => source.close()))
  await sidecar.close()
  file[Symbol.dispose]()
  await OpenFeature.clearProviders()
})

const ASKED = inFull(2_000, 10_000)

describe.each([
  ['use-redis', 10, inFull(205, 1_033)],
  ['at-25', 25, undefined],
  ['at-50', 50, undefined],
] as const)(`${ASKED} users of %s`, (flag, share, published) => {
  it.each(['in-process', 'file'] as const)('%s: as flagd splits them', async (mode) => {
    let on = 0
    for (let i = 0; i < ASKED; i++) {
      const key = `user_${i}`
      const value = await clients[mode].getBooleanValue(flag, false, { targetingKey: key })
      if (value !== isOn(flag, key, share)) expect.fail(`${key} is ${value}`)
      if (value) on++
    }
    if (published !== undefined) expect(on).toBe(published)
    expect(Math.abs(on / ASKED - share / 100)).toBeLessThan(inFull(0.04, 0.02))
  })
})

it.each([
  [25, 2_545],
  [50, 5_047],
])(
  'use-redis at %i in 100 has %i of 10,000 users on, and loses nobody on the way',
  (share, count) => {
    // By the oracle that the three ways are held to here.
    const users = Array.from({ length: 10_000 }, (_, i) => `user_${i}`)
    expect(users.filter((key) => isOn('use-redis', key, share))).toHaveLength(count)
    expect(
      users.filter((key) => isOn('use-redis', key, 10) && !isOn('use-redis', key, share)),
    ).toEqual([])
  },
)

it('rpc splits the first users as flagd does', async () => {
  const users = Array.from({ length: inFull(200, 1_000) }, (_, i) => `user_${i}`)
  const values = await Promise.all(
    users.map((targetingKey) => clients.rpc.getBooleanValue('use-redis', false, { targetingKey })),
  )
  expect(users.filter((key, i) => values[i] !== isOn('use-redis', key, 10))).toEqual([])
})

describe.each(MODES)('%s', (mode) => {
  it('buckets any key by its bytes, whatever the script', async () => {
    const key = fc.oneof(
      fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }),
      anyText({ minLength: 1, maxLength: 8 }),
      fc.constantFrom('zoë', 'größe', '京都の猫', '🐈‍⬛', 'İstanbul', 'a\0b', ' '),
    )
    const property = fc.asyncProperty(
      key,
      fc.constantFrom('at-50', 'größe'),
      async (targetingKey, flag) => {
        const value = await clients[mode].getBooleanValue(flag, false, { targetingKey })
        expect(value).toBe(isOn(flag, targetingKey, 50))
      },
    )
    await fc.assert(property, { numRuns: mode === 'rpc' ? inFull(40, 100) : inFull(150, 500) })
  })

  it('says nothing for a user who lands on a variant that does not exist', async () => {
    const source = sources[MODES.indexOf(mode)] as FlagsSource
    const decider = source.createDecider({ flag: 'no-such-variant' })
    // flagd's provider tries for 6 s in rpc mode.
    const first = await decider.decide({ targetingKey: 'u' })
    expect(first).toMatchObject({ side: 'off', reason: 'ERROR', errorCode: 'GENERAL' })
    const again = decider.decide({ targetingKey: 'u' })
    expect(again).toMatchObject({ side: 'off', errorCode: 'GENERAL' })
    await decider.close()
  })

  it('compares literally in any script', async () => {
    const ask = (flag: string, context: Record<string, string>): Promise<boolean> =>
      clients[mode].getBooleanValue(flag, false, context)
    expect(await ask('by-name', { targetingKey: 'zoë' })).toBe(true)
    expect(await ask('by-name', { targetingKey: 'zoe' })).toBe(false)
    expect(await ask('by-city', { targetingKey: 'u', city: '京都' })).toBe(true)
    expect(await ask('by-city', { targetingKey: 'u', city: 'Århus' })).toBe(true)
    expect(await ask('by-city', { targetingKey: 'u', city: '東京' })).toBe(false)
  })

  it('sees the feature', async () => {
    const source = sources[MODES.indexOf(mode)] as FlagsSource
    const avatars = source.createDecider({ flag: 'by-feature', feature: 'avatars' })
    const sessions = source.createDecider({ flag: 'by-feature', feature: 'sessions' })
    // On a busy machine the first answer may be later than a decision waits.
    const sideOf = async (decider: typeof avatars): Promise<string> => {
      const { side, variant } = await decider.decide({ targetingKey: 'u' })
      return variant === '' ? '' : side
    }
    await expect.poll(() => sideOf(avatars), { timeout: HUNG_MS }).toBe('on')
    await expect.poll(() => sideOf(sessions), { timeout: HUNG_MS }).toBe('off')
    await avatars.close()
    await sessions.close()
  })

  it('gives text back as text', async () => {
    const named = await clients[mode].getStringDetails('named', 'fällt zurück')
    expect(named).toMatchObject({ value: 'grün ✓', variant: 'grün' })
    expect(await clients[mode].getStringValue('nope', 'fällt zurück 京')).toBe('fällt zurück 京')
    expect(await clients[mode].getObjectValue('object', {})).toEqual({ größe: ['ä', 1, true] })
    expect(await clients[mode].getObjectValue('nope', { ä: '京' })).toEqual({ ä: '京' })
  })

  it.each([
    ['without-state', { value: true, variant: 'on' }],
    ['disabled', { value: false, reason: 'DISABLED' }],
    ['nope', { value: false, errorCode: 'FLAG_NOT_FOUND' }],
    ['text', { value: false, errorCode: 'TYPE_MISMATCH' }],
    ['no-such-operator', { value: false, errorCode: 'PARSE_ERROR' }],
  ])('%s', async (flag, expected) => {
    const details = await clients[mode].getBooleanDetails(flag, false, { targetingKey: 'u' })
    expect(details).toMatchObject(expected)
  })

  it.each([[{}], [{ targetingKey: '' }], [{ targetingKey: 7 as unknown as string }]])(
    'gives %j the default',
    async (context) => {
      const details = await clients[mode].getBooleanDetails('use-redis', true, context)
      expect(details).toMatchObject({ value: false, variant: 'off', reason: 'DEFAULT' })
    },
  )
})
