import { LaunchDarklyProvider } from '@launchdarkly/openfeature-node-server'
import { TestData } from '@launchdarkly/node-server-sdk/integrations'
import { InMemoryProvider, MultiProvider, OpenFeature } from '@openfeature/server-sdk'
import type { Provider } from '@openfeature/server-sdk'
import { afterAll, describe, expect, it } from 'vitest'
import { FileProvider, flagsFromEnvironment, runAs } from '../../src/flags/index.ts'
import type { Decider } from '../../src/flags/index.ts'
import { FlagsFile } from '../support/flags-files.ts'
import { until } from '../support/flags-providers.ts'

// The same business code on each provider: `user-on` is on, everybody else is off, then all are on.
async function businessCode(decider: Decider, user: string): Promise<string> {
  return runAs(user, async () => {
    await Promise.resolve()
    return (await decider.decide()).side
  })
}

interface Vendor {
  readonly provider: Provider
  readonly turnAllOn: () => unknown
  readonly close?: () => unknown
}

const variants = { on: true, off: false }
const rule = (all: boolean): object => ({
  flags: {
    f: {
      state: 'ENABLED',
      variants,
      defaultVariant: all ? 'on' : 'off',
      targeting: { if: [{ '==': [{ var: 'targetingKey' }, 'user-on'] }, 'on', null] },
    },
  },
})

function inMemory(): Vendor & { readonly provider: InMemoryProvider } {
  const flag = (all: boolean): ConstructorParameters<typeof InMemoryProvider>[0] => ({
    f: {
      variants,
      defaultVariant: 'off',
      disabled: false,
      contextEvaluator: ({ targetingKey }) => (all || targetingKey === 'user-on' ? 'on' : 'off'),
    },
  })
  const provider = new InMemoryProvider(flag(false))
  return { provider, turnAllOn: () => provider.putConfiguration(flag(true) ?? {}) }
}

function launchDarkly(): Vendor {
  const data = new TestData()
  const flag = (): ReturnType<TestData['flag']> => data.flag('f').booleanFlag()
  void data.update(flag().variationForAll(false).variationForUser('user-on', true))
  const quiet = { error() {}, warn() {}, info() {}, debug() {} }
  const provider = new LaunchDarklyProvider('sdk-key', {
    updateProcessor: data.getFactory(),
    sendEvents: false,
    logger: quiet,
  })
  return { provider, turnAllOn: () => data.update(flag().variationForAll(true)) }
}

function flagsFile(): Vendor {
  const file = new FlagsFile()
  file.write(rule(false))
  return {
    provider: new FileProvider({ path: file.path }),
    turnAllOn: () => file.write(rule(true)),
    close: () => file[Symbol.dispose](),
  }
}

const VENDORS: Record<string, () => Vendor> = {
  'in-memory': inMemory,
  LaunchDarkly: launchDarkly,
  'a flags file': flagsFile,
  'two providers, the first without the flag': () => {
    const second = inMemory()
    const provider = new MultiProvider([
      { provider: new InMemoryProvider({}), name: 'first' },
      { provider: second.provider, name: 'second' },
    ])
    return { ...second, provider }
  },
}

afterAll(() => OpenFeature.clearProviders())

describe.each(Object.keys(VENDORS))('%s', (name) => {
  it('serves the same business code', async () => {
    const { provider, turnAllOn, close } = (VENDORS[name] as () => Vendor)()
    const source = await flagsFromEnvironment({}, { provider, domain: name })
    const decider = source.createDecider({ flag: 'f' })
    expect(decider.health()).toMatchObject({ ok: true, status: 'READY' })
    expect(await businessCode(decider, 'user-on')).toBe('on')
    expect(await businessCode(decider, 'user-off')).toBe('off')
    expect(await decider.decide({ targetingKey: 'user-off' })).toMatchObject({
      side: 'off',
      source: 'remembered',
    })
    // A user's decision is whole: the same for an explicit context.
    expect(await decider.decide({ targetingKey: 'user-on' })).toMatchObject({ side: 'on' })
    // Nobody at all: an answer or an error, but never a throw, and never the new side.
    expect(await decider.decide()).toMatchObject({ side: 'off' })
    await turnAllOn()
    await until(async () => (await businessCode(decider, 'user-off')) === 'on')
    await decider.close()
    await source.close()
    await close?.()
  })
})
