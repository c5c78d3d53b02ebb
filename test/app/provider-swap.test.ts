import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { integrations } from '@launchdarkly/node-server-sdk'
import { LaunchDarklyProvider } from '@launchdarkly/openfeature-node-server'
import { InMemoryProvider, type Provider } from '@openfeature/server-sdk'
import { describe, expect, it, onTestFinished } from 'vitest'
import { MemoryUserRepository, Users } from '../../src/app/index.ts'
import { fileCache } from '../../src/cache/index.ts'
import { flagsFromEnvironment, runAs } from '../../src/flags/index.ts'
import type { Side } from '../../src/side.ts'
import { createCacheSwitch } from '../../src/switch/index.ts'
import { until } from '../provision/support.ts'

interface Swapped {
  readonly provider: Provider
  /** Turns the flag on for one user, everybody else is off. */
  turnOn(user: string): Promise<void>
}

function inMemory(): Swapped {
  const flag = (on: string) => ({
    'use-redis': {
      variants: { on: true, off: false },
      defaultVariant: 'off',
      disabled: false,
      contextEvaluator: (context: { targetingKey?: string }) =>
        context.targetingKey === on ? 'on' : 'off',
    },
  })
  const provider = new InMemoryProvider(flag(''))
  return { provider, turnOn: async (user) => provider.putConfiguration(flag(user)) }
}

function launchDarkly(): Swapped {
  const data = new integrations.TestData()
  const flag = () => data.flag('use-redis').booleanFlag().fallthroughVariation(false)
  void data.update(flag())
  const provider = new LaunchDarklyProvider('sdk-key', {
    updateProcessor: data.getFactory(),
    sendEvents: false,
    diagnosticOptOut: true,
  })
  return {
    provider,
    turnOn: async (user) => void (await data.update(flag().variationForUser(user, true))),
  }
}

describe.each([
  ['an in-memory provider', inMemory],
  ["LaunchDarkly's provider", launchDarkly],
])('with %s instead of flagd', (_, swap) => {
  it('business code and the cache are what they were', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'switchback-swap-'))
    const { provider, turnOn } = swap()
    const flags = await flagsFromEnvironment({}, { provider })
    const cache = createCacheSwitch({
      flag: 'use-redis',
      off: fileCache({ directory: join(directory, 'off') }),
      on: fileCache({ directory: join(directory, 'on') }),
    })
    onTestFinished(async () => {
      await cache.close()
      await flags.close()
      rmSync(directory, { recursive: true, force: true })
    })

    const sides: Side[] = []
    const observed = cache.for(undefined, { onOperation: ({ side }) => sides.push(side) })
    const users = new Users(observed, new MemoryUserRepository({ latencyMs: 1 }))
    const ask = async (user: string): Promise<Side | undefined> => {
      const data = await runAs(user, () => users.processUserData(user))
      expect(data).toBe(`UserData for ${user}`)
      return sides.at(-1)
    }

    expect(await ask('user_0')).toBe('off')
    expect(await ask('user_1')).toBe('off')
    await turnOn('user_1')
    await until('user_1 has moved', async () => (await ask('user_1')) === 'on')
    expect(await ask('user_0')).toBe('off')
  })
})
