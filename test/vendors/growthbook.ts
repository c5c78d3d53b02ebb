import type { FeatureApiResponse } from '@growthbook/growthbook'
import { GrowthbookProvider } from '@openfeature/growthbook-provider'
import { flagsFromEnvironment } from '../../src/flags/index.ts'
import { FLAG, type FlagState, PILOT, type Vendor } from './vendor.ts'

// set-up
export function growthBook(payload: FeatureApiResponse): GrowthbookProvider {
  // Attributes are looked up by name: rules and splits must say `targetingKey`, not `id`.
  return new GrowthbookProvider({}, { payload })
}
// end

function payloadOf(state: FlagState): FeatureApiResponse {
  if (state === 'missing') return { features: {} }
  if (state === 'text') return { features: { [FLAG]: { defaultValue: 'yes' } } }
  return {
    features: {
      [FLAG]: {
        defaultValue: false,
        rules: [
          { condition: { targetingKey: PILOT }, force: true },
          { force: true, coverage: state.share / 100, hashAttribute: 'targetingKey', seed: FLAG },
        ],
      },
    },
  }
}

export const growthBookVendor: Vendor = {
  name: 'GrowthBook',
  facts: {
    announces: true,
    targeting: 'split',
    on: 'force, –',
    nobody: 'defaultValue, –',
    missing: 'FLAG_NOT_FOUND',
    text: 'TYPE_MISMATCH',
  },
  async start(domain) {
    const provider = growthBook(payloadOf({ share: 0 }))
    const source = await flagsFromEnvironment({}, { provider, domain })
    return {
      source,
      // The client is private to the provider, which listens to its own copy of it only.
      put: (state) => provider['client'].setPayload(payloadOf(state)),
      close: () => source.close(),
    }
  },
}
