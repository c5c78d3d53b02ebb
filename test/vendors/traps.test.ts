// What docs/vendors.md warns of. A test that fails here may be good news: the page is then out of date.
import type { FeatureApiResponse } from '@growthbook/growthbook'
import { FlagdProvider } from '@openfeature/flagd-provider'
import { MultiProvider, OpenFeature, type Provider } from '@openfeature/server-sdk'
import { describe, expect, it, onTestFinished } from 'vitest'
import {
  createDecider,
  type Decider,
  FileProvider,
  type FlagsEvent,
  flagsFromEnvironment,
} from '../../src/flags/index.ts'
import { startSidecar } from '../../src/sidecar/index.ts'
import { FREE } from '../support/flagd-server.ts'
import { FlagsFile } from '../support/flags-files.ts'
import { until } from '../support/world.ts'
import { flagsmith, flagsmithDocument } from './flagsmith.ts'
import { growthBook } from './growthbook.ts'
import { BAD_MOODS, MoodyProvider } from './moody-provider.ts'
import { withFallback } from './multi.ts'
import { FLAG, flagdDocument, PILOT } from './vendor.ts'

let domains = 0

async function decide(provider: Provider): Promise<Decider> {
  const domain = `trap ${++domains}`
  const source = await flagsFromEnvironment({}, { provider, domain })
  const decider = source.createDecider({ flag: FLAG, rememberMs: 50 })
  onTestFinished(async () => {
    await decider.close()
    await source.close()
  })
  return decider
}

async function sideOf(decider: Decider, targetingKey: string): Promise<string> {
  return (await decider.decide({ targetingKey })).side
}

function fileWith(document: object): FlagsFile {
  const file = new FlagsFile()
  file.write(document)
  onTestFinished(() => file[Symbol.dispose]())
  return file
}

describe('flagd-provider, rpc', () => {
  it('caches a static flag without its type; a decision does not take it', async () => {
    const flag = { state: 'ENABLED', variants: { on: 'yes' }, defaultVariant: 'on' }
    const file = fileWith({ flags: { [FLAG]: flag } })
    const sidecar = await startSidecar({ file: file.path, ports: FREE })
    const { evaluation: port } = sidecar.ports
    const domain = `trap ${++domains}`
    const provider = new FlagdProvider({ host: '127.0.0.1', port })
    await OpenFeature.setProviderAndWait(domain, provider)
    onTestFinished(async () => {
      await provider.onClose?.()
      await sidecar.close(0)
    })
    const client = OpenFeature.getClient(domain)
    expect((await client.getBooleanDetails(FLAG, false)).errorCode).toBe('TYPE_MISMATCH')
    expect(await client.getStringValue(FLAG, '')).toBe('yes')
    expect(await client.getBooleanDetails(FLAG, false)).toMatchObject({ value: 'yes' })

    const decider = createDecider({ flag: FLAG, client })
    expect(await decider.decide({ targetingKey: 'user' })).toMatchObject({
      side: 'off',
      errorCode: 'TYPE_MISMATCH',
    })
    await decider.close()
  })
})

describe('a provider that does not end', () => {
  it.each([
    ['never does', () => new Promise<never>(() => {}), 'not closed within 2000 ms'],
    ['throws', () => Promise.reject(new Error('no')), 'no'],
    ['throws at once, and nothing printable', thrower, '{}'],
  ])('is abandoned when it %s', async (_, onClose, problem) => {
    const events: FlagsEvent[] = []
    const source = await flagsFromEnvironment(
      {},
      {
        provider: new MoodyProvider({ onClose }),
        domain: `trap ${++domains}`,
        onEvent: (event) => events.push(event),
      },
    )
    // A bound, since the timer itself keeps nothing alive.
    const bound = setTimeout(() => {}, 8_000)
    await source.close()
    clearTimeout(bound)
    expect(events).toEqual([{ level: 'warn', message: `provider moody: ${problem}; abandoned` }])
    await source.close()
  })
})

function thrower(): never {
  throw Object.create(null)
}

describe('a multi-provider', () => {
  it('does not fall back from an outage with its default strategy', async () => {
    const vendor = new MoodyProvider()
    vendor.mood = BAD_MOODS['throws at once']!
    const { path } = fileWith(flagdDocument({ share: 100 }))
    const file = new FileProvider({ path })
    const byDefault = await decide(new MultiProvider([{ provider: vendor }, { provider: file }]))
    expect(await byDefault.decide({ targetingKey: 'user' })).toMatchObject({ errorCode: 'GENERAL' })
    const first = await decide(withFallback(vendor, path))
    expect(await sideOf(first, 'user')).toBe('on')
  })

  it('moves users to the share of the file in an outage, where one provider would hold them', async () => {
    const alone = new MoodyProvider()
    const first = new MoodyProvider()
    const { path } = fileWith(flagdDocument({ share: 0 }))
    const held = await decide(alone)
    const moved = await decide(withFallback(first, path))
    for (const decider of [held, moved]) expect(await sideOf(decider, 'user')).toBe('on')
    alone.mood = first.mood = BAD_MOODS['throws at once']!
    await until('the file', async () => (await sideOf(moved, 'user')) === 'off')
    expect(await sideOf(held, 'user')).toBe('on')
  })
})

describe('GrowthBook', () => {
  it('puts nobody on, silently, when the split does not name the targeting key', async () => {
    const withRule = (rule: object): FeatureApiResponse => ({
      features: { [FLAG]: { defaultValue: false, rules: [{ force: true, coverage: 1, ...rule }] } },
    })
    const unnamed = await decide(growthBook(withRule({})))
    expect(await unnamed.decide({ targetingKey: 'user' })).toMatchObject({
      side: 'off',
      errorCode: '',
    })
    const named = await decide(growthBook(withRule({ hashAttribute: 'targetingKey' })))
    expect(await sideOf(named, 'user')).toBe('on')
  })
})

describe('Flagsmith', () => {
  it('does not see that the last identity override was taken away', async () => {
    let document = flagsmithDocument({ share: 0 })
    const provider = flagsmith({
      environmentKey: 'ser.key',
      environmentRefreshIntervalSeconds: 0.05,
      fetch: () => Promise.resolve(Response.json(document)),
    })
    const decider = await decide(provider)
    expect(await sideOf(decider, PILOT)).toBe('on')
    document = { ...flagsmithDocument({ share: 100 }), identity_overrides: [] }
    await until('the new document', async () => (await sideOf(decider, 'user')) === 'on')
    document = { ...flagsmithDocument({ share: 0 }), identity_overrides: [] }
    await until('the newest', async () => (await sideOf(decider, 'user')) === 'off')
    expect(await sideOf(decider, PILOT)).toBe('on')
  })
})
