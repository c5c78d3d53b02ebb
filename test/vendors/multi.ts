import { FirstSuccessfulStrategy, MultiProvider } from '@openfeature/server-sdk'
import type { Provider } from '@openfeature/server-sdk'
import { FileProvider, flagsFromEnvironment } from '../../src/flags/index.ts'
import { FlagsFile } from '../support/flags-files.ts'
import { LaunchDarklyData } from './launchdarkly.ts'
import { flagdDocument, type Vendor } from './vendor.ts'

// set-up
export function withFallback(vendor: Provider, path: string): Provider {
  // The default strategy goes on to the file only for a flag that the vendor does not have.
  return new MultiProvider(
    [{ provider: vendor }, { provider: new FileProvider({ path }) }],
    new FirstSuccessfulStrategy(),
  )
}
// end

/** LaunchDarkly first; the file has nobody on, and only counts when LaunchDarkly has no answer. */
export const multi: Vendor = {
  name: 'multi-provider',
  facts: {
    announces: true,
    targeting: 'split',
    on: 'FALLTHROUGH, 0',
    nobody: 'DEFAULT, off',
    missing: 'TARGETING_MATCH, off',
    text: 'TARGETING_MATCH, off',
  },
  async start(domain) {
    const data = new LaunchDarklyData()
    await data.put({ share: 0 })
    const file = new FlagsFile()
    file.write(flagdDocument({ share: 0 }))
    const provider = withFallback(data.provider(), file.path)
    const source = await flagsFromEnvironment({}, { provider, domain })
    return {
      source,
      put: (state) => data.put(state),
      close: async () => {
        await source.close()
        file[Symbol.dispose]()
      },
    }
  },
}
