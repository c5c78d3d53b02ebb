import { TestData } from '@launchdarkly/node-server-sdk/integrations'
import type { LDOptions } from '@launchdarkly/node-server-sdk'
import { LaunchDarklyProvider } from '@launchdarkly/openfeature-node-server'
import type { Provider } from '@openfeature/server-sdk'
import { flagsFromEnvironment } from '../../src/flags/index.ts'
import { FLAG, type FlagState, PILOT, type Vendor } from './vendor.ts'

// set-up
export function launchDarkly(sdkKey: string, options: LDOptions = {}): Provider {
  // The targeting key is LaunchDarkly's context key; without one there is an error, not a default.
  return new LaunchDarklyProvider(sdkKey, options)
}
// end

const quiet = { error() {}, warn() {}, info() {}, debug() {} }

export class LaunchDarklyData {
  readonly #data = new TestData()
  #version = 0

  provider(): Provider {
    const updateProcessor = this.#data.getFactory()
    return launchDarkly('sdk-key', { updateProcessor, sendEvents: false, logger: quiet })
  }

  async put(state: FlagState): Promise<void> {
    this.#version += 1
    const version = this.#version
    if (state === 'missing') {
      await this.#data.usePreconfiguredFlag({ key: FLAG, version, deleted: true, on: false })
      return
    }
    const share = state === 'text' ? 0 : state.share
    await this.#data.usePreconfiguredFlag({
      key: FLAG,
      version,
      on: true,
      salt: 'salt',
      variations: state === 'text' ? ['yes', 'no'] : [true, false],
      targets: [{ variation: 0, values: [PILOT] }],
      fallthrough: {
        rollout: {
          variations: [
            { variation: 0, weight: share * 1000 },
            { variation: 1, weight: (100 - share) * 1000 },
          ],
        },
      },
    })
  }
}

export const launchDarklyVendor: Vendor = {
  name: 'LaunchDarkly',
  facts: {
    announces: true,
    targeting: 'split',
    on: 'FALLTHROUGH, 0',
    nobody: 'TARGETING_KEY_MISSING',
    missing: 'FLAG_NOT_FOUND',
    text: 'TYPE_MISMATCH',
  },
  async start(domain) {
    const data = new LaunchDarklyData()
    await data.put({ share: 0 })
    const source = await flagsFromEnvironment({}, { provider: data.provider(), domain })
    return { source, put: (state) => data.put(state), close: () => source.close() }
  },
}
