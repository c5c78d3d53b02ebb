import { OpenFeature } from '@openfeature/server-sdk'
import type {
  EvaluationContext,
  Hook,
  Provider,
  TransactionContextPropagator,
} from '@openfeature/server-sdk'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createDecider, FileProvider, flagsFromEnvironment } from '../../src/flags/index.ts'
import type {
  Decision,
  DeciderOptions,
  DecisionContext,
  FlagsSource,
} from '../../src/flags/index.ts'
import { setUpTransactionContext } from '../../src/flags/decide/transaction-context.ts'
import { FlagsFile, rule, split } from '../support/flags-files.ts'
import { SyncServer } from '../support/flags-sync-server.ts'

// A decider asks providers of ours without OpenFeature's client in between. Nobody may notice.
const variants = { on: true, off: false }
const flags = {
  half: rule(split(50)),
  gold: rule({ if: [{ '==': [{ var: 'plan' }, 'gold'] }, 'on', 'off'] }),
  feature: rule({ if: [{ '==': [{ var: 'feature' }, 'avatars'] }, 'on', 'off'] }),
  broken: rule({ nope: [1] }),
  lost: rule({ fractional: [['nope', 100]] }),
  text: { state: 'ENABLED', variants: { a: 'text' }, defaultVariant: 'a' },
  disabled: { state: 'DISABLED', variants, defaultVariant: 'on' },
  undecided: { state: 'ENABLED', variants, defaultVariant: null, targeting: {} },
}
const FLAGS = [...Object.keys(flags), 'nowhere']

const file = new FlagsFile()
const sources: Record<string, FlagsSource> = {}
let server: SyncServer

beforeAll(async () => {
  file.write({ flags })
  const [started, port] = await SyncServer.start({ flags })
  server = started
  sources['file'] = await flagsFromEnvironment({ FLAGD_OFFLINE_FLAG_SOURCE_PATH: file.path })
  sources['in-process'] = await flagsFromEnvironment({
    FLAGD_HOST: '127.0.0.1',
    FLAGD_PORT: `${port}`,
    FLAGD_RESOLVER: 'in-process',
  })
})
afterEach(() => {
  OpenFeature.clearHooks()
  OpenFeature.setContext({})
})
afterAll(async () => {
  for (const source of Object.values(sources)) await source.close()
  await server[Symbol.asyncDispose]()
  file[Symbol.dispose]()
  await OpenFeature.clearProviders()
})

/** By a decider of its own, which remembers nobody. */
function decide(
  options: DeciderOptions,
  context: DecisionContext = { targetingKey: 'u' },
): Decision | Promise<Decision> {
  const decider = createDecider({ liveSplit: false, feature: 'avatars', onEvent() {}, ...options })
  const decision = decider.decide(context)
  void decider.close()
  return decision
}

describe.each(['file', 'in-process'])('%s', (mode) => {
  const domain = (): string => sources[mode]!.domain

  it('answers at once, and as the client does', async () => {
    const contexts = [
      ...Array.from({ length: 50 }, (_, i) => ({ targetingKey: `user_${i}` })),
      {},
      { targetingKey: 'u', plan: 'gold' },
      { plan: 'silver' },
    ]
    for (const flag of FLAGS) {
      for (const context of contexts) {
        const here = decide({ flag, domain: domain() }, context)
        expect(here).not.toBeInstanceOf(Promise)
        const client = OpenFeature.getClient(domain())
        expect(await decide({ flag, client }, context)).toEqual(here)
      }
    }
  })

  it('has the hooks of the application see each evaluation', async () => {
    const seen: string[] = []
    OpenFeature.addHooks({ before: ({ flagKey }) => void seen.push(flagKey) })
    await decide({ flag: 'half', domain: domain() })
    expect(seen).toEqual(['half'])
  })

  it('asks with the context of the application', async () => {
    OpenFeature.setContext({ plan: 'gold' })
    expect(await decide({ flag: 'gold', domain: domain() })).toMatchObject({ side: 'on' })
  })

  it('asks a client that it is given', async () => {
    const client = OpenFeature.getClient(domain())
    const asked: (EvaluationContext | undefined)[] = []
    const wrapped = Object.create(client, {
      getBooleanDetails: {
        value: (flag: string, fallback: boolean, context?: EvaluationContext) => {
          asked.push(context)
          return client.getBooleanDetails(flag, fallback, context)
        },
      },
    }) as typeof client
    await decide({ flag: 'half', client: wrapped })
    expect(asked).toEqual([{ targetingKey: 'u', feature: 'avatars' }])
  })

  it('has the hooks that were added to its provider see each evaluation', async () => {
    const provider = OpenFeature.getProvider(domain()) as Provider & { hooks?: Hook[] }
    const seen: string[] = []
    const hook: Hook = { before: ({ flagKey }) => void seen.push(flagKey) }
    if (provider.hooks === undefined) provider.hooks = [hook]
    else provider.hooks.push(hook)
    try {
      await decide({ flag: 'half', domain: domain() })
    } finally {
      provider.hooks.pop()
    }
    expect(seen).toEqual(['half'])
    expect(decide({ flag: 'half', domain: domain() })).not.toBeInstanceOf(Promise)
  })

  it('asks with what a propagator of the application gives to everybody', async () => {
    setUpTransactionContext()
    const { _transactionContextPropagator: usual } = OpenFeature as unknown as {
      _transactionContextPropagator: TransactionContextPropagator
    }
    OpenFeature.setTransactionContextPropagator({
      getTransactionContext: () => ({ ...usual.getTransactionContext(), plan: 'gold' }),
      setTransactionContext: usual.setTransactionContext.bind(usual),
    })
    try {
      expect(await decide({ flag: 'gold', domain: domain() })).toMatchObject({ side: 'on' })
    } finally {
      OpenFeature.setTransactionContextPropagator(usual)
    }
    expect(decide({ flag: 'gold', domain: domain() })).not.toBeInstanceOf(Promise)
  })

  it.each(['client', 'provider'])('asks a method of the %s that was replaced', async (of) => {
    const client = OpenFeature.getClient(domain())
    const provider = OpenFeature.getProvider(domain())
    const [target, method] =
      of === 'client'
        ? [Object.getPrototypeOf(client) as object, 'getBooleanDetails']
        : [provider as object, 'resolveBooleanEvaluation']
    const own = Object.getOwnPropertyDescriptor(target, method)
    const answer = { flagKey: 'half', flagMetadata: {}, value: true, reason: 'DOUBLE' }
    Object.defineProperty(target, method, { value: async () => answer, configurable: true })
    try {
      const decision = await decide({ flag: 'nowhere', domain: domain() })
      expect(decision).toMatchObject({ side: 'on', reason: 'DOUBLE' })
    } finally {
      if (own === undefined) Reflect.deleteProperty(target, method)
      else Object.defineProperty(target, method, own)
    }
    expect(decide({ flag: 'half', domain: domain() })).not.toBeInstanceOf(Promise)
  })

  it('gives a provider that was replaced no say', async () => {
    const before = OpenFeature.getProvider(domain())
    class Always extends FileProvider {
      override async resolveBooleanEvaluation(): Promise<{ value: boolean }> {
        return { value: true }
      }
    }
    await OpenFeature.setProviderAndWait('replaced', before)
    const decider = createDecider({ flag: 'gold', domain: 'replaced', liveSplit: false })
    expect(await decider.decide({ targetingKey: 'a' })).toMatchObject({ side: 'off' })
    await OpenFeature.setProviderAndWait('replaced', new Always({ path: file.path }))
    expect(await decider.decide({ targetingKey: 'b' })).toMatchObject({ side: 'on' })
    await decider.close()
  })
})

it('asks with what flagd adds to each context', async () => {
  server.context = { plan: 'gold' }
  server.send({ flags: { ...flags, more: flags.disabled } })
  const { domain } = sources['in-process']!
  await expect
    .poll(() => decide({ flag: 'gold', domain }, { targetingKey: `u${Math.random()}` }))
    .toMatchObject({ side: 'on' })
  expect(decide({ flag: 'gold', domain })).not.toBeInstanceOf(Promise)
  const client = OpenFeature.getClient(domain)
  expect(await decide({ flag: 'gold', client })).toMatchObject({ side: 'on' })
})
