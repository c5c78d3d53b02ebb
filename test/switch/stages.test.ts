import { InMemoryProvider, OpenFeature } from '@openfeature/server-sdk'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type CacheBackend, memoryCache } from '../../src/cache/index.ts'
import { type CacheSwitch, createCacheSwitch } from '../../src/switch/index.ts'
import { createTelemetry } from '../../src/telemetry/index.ts'
import { GatedBackend } from '../support/gated-backend.ts'
import { until } from '../support/world.ts'

/**
 * LaunchDarkly's six migration stages, as the two flags say them. Before and after, both sides are told;
 * `retire` is the way out.
 */
const STAGES = [
  { stage: 'off', side: 'off', standby: 'invalidate', alsoWritten: false, compared: false },
  { stage: 'dualwrite', side: 'off', standby: 'mirror', alsoWritten: true, compared: false },
  { stage: 'shadow', side: 'off', standby: 'compare', alsoWritten: true, compared: true },
  { stage: 'live', side: 'on', standby: 'compare', alsoWritten: true, compared: true },
  { stage: 'rampdown', side: 'on', standby: 'mirror', alsoWritten: true, compared: false },
  { stage: 'complete', side: 'on', standby: 'invalidate', alsoWritten: false, compared: false },
] as const

type Flags = NonNullable<ConstructorParameters<typeof InMemoryProvider>[0]>

function flags(side: string, standby: string): Flags {
  return {
    'use-redis': { disabled: false, variants: { on: true, off: false }, defaultVariant: side },
    'use-redis-standby': {
      disabled: false,
      variants: { [standby]: standby },
      defaultVariant: standby,
    },
  }
}

const provider = new InMemoryProvider(flags('off', 'invalidate'))
let cache: CacheSwitch
let off: GatedBackend
let on: GatedBackend
let compared = 0

beforeAll(async () => {
  await OpenFeature.setProviderAndWait(provider)
  off = new GatedBackend(memoryCache({ name: 'old' }))
  on = new GatedBackend(memoryCache({ name: 'new' }))
  const telemetry = createTelemetry()
  telemetry.comparison = () => (compared += 1)
  cache = createCacheSwitch({
    flag: 'use-redis',
    off: off as CacheBackend,
    on: on as CacheBackend,
    standby: { flag: 'use-redis-standby' },
    compareShare: 1,
    telemetry,
  })
})

afterAll(async () => {
  await cache.close()
  await OpenFeature.close()
})

describe('the two flags together give the six stages of a migration', () => {
  let previous: string | undefined
  for (const { stage, side, standby, alsoWritten, compared: compares } of STAGES) {
    test(`${stage}: ${side} serves, standby ${standby}`, async () => {
      await provider.putConfiguration(flags(side, standby))
      const user = cache.for({ targetingKey: 'user_0' })
      const [active, other] = side === 'off' ? [off, on] : [on, off]
      await until('the stage is in force', async () => {
        const value = `${stage} ${Math.random()}`
        await user.set('probe', value)
        // The mirror leg is one that nobody waits for.
        await new Promise((resolve) => setImmediate(resolve))
        const standbyCell = await other.inner.read('probe')
        const mirrored = standbyCell.payload === JSON.stringify(value)
        const served = (await active.inner.read('probe')).payload === JSON.stringify(value)
        return served && mirrored === alsoWritten
      })
      // What the stage before wrote is what this one reads.
      if (previous !== undefined) {
        expect([undefined, previous]).toContain(await user.get('handed on'))
      }
      await user.set('handed on', stage)
      expect(await user.get('handed on')).toBe(stage)

      compared = 0
      await user.get('handed on')
      if (compares) {
        // For a moment after a fence, what is written counts as old, and is no hit.
        await until('a comparison was counted', async () => {
          await user.set('handed on', stage)
          await user.get('handed on')
          return compared > 0
        })
      }
      expect(compared > 0).toBe(compares)
      previous = stage
    })
  }
})
