import { OpenFeature } from '@openfeature/server-sdk'
import { afterAll, describe, expect, it } from 'vitest'
import { memoryCache } from '../../src/cache/index.ts'
import { createDecider } from '../../src/flags/index.ts'
import type { Decider, FlagChoice } from '../../src/flags/index.ts'
import { createCacheSwitch } from '../../src/switch/index.ts'
import type { CacheSwitchOptions } from '../../src/switch/index.ts'
import { createTelemetry } from '../../src/telemetry/index.ts'
import { FixedDecider } from '../support/fixed-decider.ts'

afterAll(() => OpenFeature.clearProviders())

const sides = () => ({ off: memoryCache(), on: memoryCache() })

function choose(choice: object): () => unknown {
  return () => createCacheSwitch({ ...sides(), ...choice } as CacheSwitchOptions & FlagChoice)
}

describe('who is asked which side serves', () => {
  it('is a decider, which needs no flag beside it', async () => {
    const decider = createDecider({ flag: 'b', domain: 'flag-choice' })
    expect(decider).toMatchObject({ flag: 'b', feature: undefined })
    await createCacheSwitch({ decider, ...sides() }).close()
    // @ts-expect-error: a flag beside a decider that knows its own
    await createCacheSwitch({ flag: 'b', decider, ...sides() }).close()
    await decider.close()
  })

  it('is not two flags at once', async () => {
    const decider: Decider = createDecider({ flag: 'b', domain: 'flag-choice' })
    expect(choose({ flag: 'a', decider })).toThrow(
      expect.objectContaining({
        code: 'SB_OPTION_INVALID',
        message: 'createCacheSwitch: flag "a" and a decider of the flag "b" contradict each other',
      }),
    )
    await decider.close()
  })

  it('may be a hand-written decider, with a name for the metrics', async () => {
    const telemetry = createTelemetry({ meter: false })
    const decider = new FixedDecider({ u: 'on' })
    const cache = createCacheSwitch({ flag: 'f', decider, telemetry, ...sides() })
    await cache.for({ targetingKey: 'u' }).set('k', 1)
    expect(telemetry.prometheus()).toContain('switchback_flags_refused{flag="f"} 0')
    expect(telemetry.prometheus()).not.toContain('switchback_live_split')
    expect(cache.health().flags).not.toHaveProperty('liveSplit')
    await cache.close()
    telemetry.close()
  })

  it.each([
    [{}, 'flag cannot be undefined'],
    [{ flag: '' }, 'flag cannot be ""'],
    [{ flag: 7 }, 'flag cannot be 7'],
    [{ flag: 'f', flags: {} }, 'flags cannot be {}'],
    [{ decider: {} }, 'decider cannot be {}'],
    [{ decider: new FixedDecider({}), flags: {} }, 'flags has no effect when decider is given'],
  ])('cannot be %j', (choice, problem) => {
    expect(choose(choice)).toThrow(
      expect.objectContaining({
        code: 'SB_OPTION_INVALID',
        message: `createCacheSwitch: ${problem}`,
      }),
    )
  })
})
