import { createHash } from 'node:crypto'
import { EnvVarProvider } from '@openfeature/env-var-provider'
import { InMemoryProvider } from '@openfeature/server-sdk'
import type { Provider } from '@openfeature/server-sdk'
import { flagsFromEnvironment } from '../../src/flags/index.ts'
import { FLAG, type FlagState, PILOT, type Vendor } from './vendor.ts'

type InMemoryFlags = NonNullable<ConstructorParameters<typeof InMemoryProvider>[0]>

// set-up
export function inMemoryFlags(isOn: (user: string) => boolean): InMemoryFlags {
  return {
    'use-redis': {
      variants: { on: true, off: false },
      defaultVariant: 'off',
      disabled: false,
      contextEvaluator: ({ targetingKey = '' }) => (isOn(targetingKey) ? 'on' : 'off'),
    },
  }
}
// end

function percentOf(user: string): number {
  return createHash('sha256').update(user).digest().readUInt32BE() % 100
}

function inMemoryState(state: FlagState): InMemoryFlags {
  if (state === 'missing') return {}
  if (state === 'text') {
    const variants = { on: 'yes', off: 'no' }
    return { [FLAG]: { variants, defaultVariant: 'off', disabled: false } }
  }
  return inMemoryFlags((user) => user !== '' && (user === PILOT || percentOf(user) < state.share))
}

export const inMemory: Vendor = {
  name: 'in-memory',
  facts: {
    announces: true,
    targeting: 'split',
    on: 'TARGETING_MATCH, on',
    nobody: 'TARGETING_MATCH, off',
    missing: 'FLAG_NOT_FOUND',
    text: 'TYPE_MISMATCH',
  },
  async start(domain) {
    const provider = new InMemoryProvider(inMemoryState({ share: 0 }))
    const source = await flagsFromEnvironment({}, { provider, domain })
    return {
      source,
      put: (state) => provider.putConfiguration(inMemoryState(state)),
      close: () => source.close(),
    }
  },
}

// set-up
export function environmentProvider(): Provider {
  // USE_REDIS=true or false: the flag's key in capitals, one answer for everybody.
  return new EnvVarProvider()
}
// end

export const environment: Vendor = {
  name: 'environment variable',
  facts: {
    announces: false,
    targeting: 'everybody',
    on: 'STATIC, –',
    nobody: 'STATIC, –',
    missing: 'FLAG_NOT_FOUND',
    text: 'PARSE_ERROR',
  },
  async start(domain) {
    const variable = 'USE_REDIS'
    const put = (state: FlagState): void => {
      if (state === 'missing') delete process.env[variable]
      else process.env[variable] = state === 'text' ? 'yes' : String(state.share >= 50)
    }
    put({ share: 0 })
    const source = await flagsFromEnvironment({}, { provider: environmentProvider(), domain })
    return {
      source,
      put,
      close: async () => {
        await source.close()
        put('missing')
      },
    }
  },
}
