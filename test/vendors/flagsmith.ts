import { FlagsmithOpenFeatureProvider } from '@openfeature/flagsmith-provider'
import type { Provider } from '@openfeature/server-sdk'
import { Flagsmith } from 'flagsmith-nodejs'
import { flagsFromEnvironment } from '../../src/flags/index.ts'
import { FLAG, type FlagState, PILOT, type Vendor } from './vendor.ts'

type FlagsmithOptions = ConstructorParameters<typeof Flagsmith>[0]

// set-up
export function flagsmith(options: FlagsmithOptions): Provider {
  // Local evaluation, else each decision is an HTTP request. The provider neither announces a change
  // nor closes the client, whose polling would keep the process alive.
  const client = new Flagsmith({ enableLocalEvaluation: true, ...options })
  // (Its types come in two copies, ESM and CommonJS.)
  const provider = new FlagsmithOpenFeatureProvider(client as never)
  return Object.assign(provider, { onClose: () => client.close() })
}
// end

/** The environment document that Flagsmith's API hands to clients that evaluate locally. */
export function flagsmithDocument(state: FlagState): object {
  const share = typeof state === 'object' ? state.share : 0
  const feature = { id: 1, name: FLAG, type: 'STANDARD' }
  const featureState = (id: number, enabled: boolean): object => ({
    django_id: id,
    feature,
    enabled,
    feature_state_value: state === 'text' ? 'yes' : null,
    multivariate_feature_state_values: [],
  })
  const missing = state === 'missing'
  const split = {
    id: 7,
    name: 'share',
    rules: [
      {
        type: 'ALL',
        rules: [],
        conditions: [{ operator: 'PERCENTAGE_SPLIT', property_: null, value: String(share) }],
      },
    ],
    feature_states: missing ? [] : [featureState(2, true)],
  }
  const pilot = {
    identifier: PILOT,
    identity_uuid: '00000000-0000-4000-8000-000000000000',
    created_date: '2026-01-01T00:00:00Z',
    environment_api_key: 'ser.key',
    identity_traits: [],
    identity_features: missing ? [] : [featureState(3, true)],
  }
  return {
    id: 1,
    api_key: 'ser.key',
    project: {
      id: 1,
      name: 'project',
      hide_disabled_flags: false,
      organisation: { id: 1, name: 'organisation', feature_analytics: false },
      segments: [split],
    },
    feature_states: missing ? [] : [featureState(1, false)],
    identity_overrides: [pilot],
  }
}

export const flagsmithVendor: Vendor = {
  name: 'Flagsmith',
  facts: {
    announces: false,
    targeting: 'split',
    on: 'TARGETING_MATCH, –',
    nobody: 'DISABLED, –',
    missing: 'FLAG_NOT_FOUND',
    text: 'DISABLED, –',
  },
  async start(domain) {
    let document = flagsmithDocument({ share: 0 })
    const provider = flagsmith({
      environmentKey: 'ser.key',
      environmentRefreshIntervalSeconds: 0.05,
      // The document from here instead of from the network.
      fetch: () => Promise.resolve(Response.json(document)),
    })
    const source = await flagsFromEnvironment({}, { provider, domain })
    return {
      source,
      put: (state) => {
        document = flagsmithDocument(state)
      },
      close: () => source.close(),
    }
  },
}
