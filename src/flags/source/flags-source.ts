import { OpenFeature, ProviderEvents } from '@openfeature/server-sdk'
import type { Client, Provider } from '@openfeature/server-sdk'
import { quote } from '../../errors.ts'
import { checkNames, type NamesOf, requireOption } from '../../options.ts'
import { loadPeer } from '../../peers.ts'
import { addressText, isReachable } from '../../reachable.ts'
import type { ClientChoice } from '../openfeature-client.ts'
import { createDecider } from '../decide/decider.ts'
import type { DeciderOptions } from '../decide/decider-options.ts'
import type { FlagDecider } from '../decide/decision.ts'
import { safely } from '../flags-event.ts'
import type { Environment } from '../environment.ts'
import type { OnFlagsEvent } from '../flags-event.ts'
import { FileProvider } from './file-provider.ts'
import { FlagdConnection } from '../flagd/flagd-connection.ts'
import { isTooManyPings } from '../flagd/flagd-internals.ts'
import { readFlagdEnvironment } from '../flagd/flagd-environment.ts'
import type { FlagdSettings } from '../flagd/flagd-environment.ts'
import { LoadedFlags } from './loaded-flags.ts'
import { quietLogger } from '../flagd/quiet-logger.ts'
import { noteMode, noteProblem } from './provider-facts.ts'
import type { FlagsMode } from './provider-facts.ts'
import { openDomain, ownDomain } from './source-domain.ts'
import { SupervisedProvider } from '../flagd/supervised-provider.ts'
import { setUpTransactionContext } from '../decide/transaction-context.ts'

export interface FlagsSourceOptions {
  /** Any OpenFeature provider, instead of flagd's: the environment is then not read. */
  readonly provider?: Provider
  /**
   * The OpenFeature domain to set the provider for; a provider that it has already is replaced and
   * closed. @default a domain of its own: the application's default provider stays what it is
   */
  readonly domain?: string
  /**
   * Milliseconds to wait for the flags at the start; after that the source goes on trying while
   * everybody gets `off`. @default 2000
   */
  readonly startMs?: number
  /** Called on changes of state and on options that contradict, for the log. @default warnings go to console.warn */
  readonly onEvent?: OnFlagsEvent
}

/** Where flags come from, set up in OpenFeature. */
export interface FlagsSource extends AsyncDisposable {
  readonly mode: FlagsMode
  /** The OpenFeature domain of the provider, e.g. `switchback`. */
  readonly domain: string
  /** One line for people, e.g. `flagd rpc at localhost:8013`. */
  readonly description: string
  /** A decider on this source. */
  createDecider(options: Omit<DeciderOptions, keyof ClientChoice>): FlagDecider
  /** OpenFeature's client on this source, for flags that are none of the cache's. */
  client(): Client
  /**
   * Ends the provider, one handed in as well: its connection, and all attempts to be back. Never
   * rejects; a provider that does not end within 2 s is left behind.
   */
  close(): Promise<void>
}

/**
 * Sets up flagd as the environment says (see `readFlagdEnvironment`), or the provider handed in, in an
 * OpenFeature domain of its own, and lets OpenFeature carry the user through `await`. A flagd that is
 * not there yet is no error: decisions are `off` until it is, within a second of its start.
 *
 * @param env where the variables are looked up; `process.env` is never read
 * @throws SwitchbackError `SB_FLAGS_ENVIRONMENT` when the variables contradict one another,
 * `SB_OPTION_INVALID` for an option that cannot work, `SB_PEER_MISSING` when flagd's provider is not installed
 */
export async function flagsFromEnvironment(
  env: Environment,
  options: FlagsSourceOptions = {},
): Promise<FlagsSource> {
  check(env, options)
  const { startMs = 2_000 } = options
  const tell = safely(options.onEvent)
  let told = ''
  const onEvent: OnFlagsEvent = (event) => {
    told = event.message
    tell(event)
  }
  const { mode, description, provider } =
    options.provider === undefined
      ? flagdProvider(readFlagdEnvironment(env), onEvent)
      : {
          mode: 'provider' as const,
          description: `provider ${options.provider.metadata.name}`,
          provider: options.provider,
        }
  setUpTransactionContext()
  const domain = options.domain ?? ownDomain()
  const closeDomain = openDomain(domain)
  noteMode(provider, mode)
  const begun = performance.now()
  let closing: Promise<void> | undefined
  await within(startMs, OpenFeature.setProviderAndWait(domain, provider), {
    missed: 'not ready',
    ref: true,
    onProblem: (problem) => {
      noteProblem(provider, problem)
      // The provider of a file says most of its problems itself.
      if (!told.includes(problem)) {
        // Whether a provider that was handed in tries again is its own affair.
        const next = mode === 'provider' ? 'waiting until it says that it is ready' : 'retrying'
        onEvent({ level: 'warn', message: `${description}: ${problem}; ${next}` })
      }
      tellReady(OpenFeature.getClient(domain), () => {
        if (closing !== undefined) return
        const seconds = Math.round((performance.now() - begun) / 1000)
        onEvent({
          level: 'info',
          message: `${description}: it answers, ${seconds} s after the start; the flags decide`,
        })
      })
    },
  })

  // It stays in place: operations under way keep the sides of their users, and a provider that
  // hangs must not keep the service from stopping.
  const close = (): Promise<void> => {
    closeDomain()
    return within(END_MS, ended(provider), {
      missed: 'not closed',
      ref: false,
      onProblem: (problem) => {
        onEvent({ level: 'warn', message: `${description}: ${problem}; abandoned` })
      },
    })
  }
  return {
    mode,
    domain,
    description,
    client: () => OpenFeature.getClient(domain),
    createDecider: (deciderOptions) =>
      createDecider({
        ...(options.onEvent === undefined ? {} : { onEvent: options.onEvent }),
        ...deciderOptions,
        domain,
      }),
    close: () => (closing ??= close()),
    [Symbol.asyncDispose]: () => (closing ??= close()),
  }
}

const OPTIONS: NamesOf<FlagsSourceOptions> = {
  provider: true,
  domain: true,
  startMs: true,
  onEvent: true,
}

function check(env: Environment, options: FlagsSourceOptions): void {
  const call = 'flagsFromEnvironment'
  const given = typeof env === 'object' && env !== null
  requireOption(given, call, 'the environment', env, 'pass the environment of the process')
  checkNames(call, options, OPTIONS)
  const { domain, startMs = 0, provider } = options
  const named = domain === undefined || (typeof domain === 'string' && domain !== '')
  requireOption(named, call, 'domain', domain, 'give a name, or leave it out for one of its own')
  const timed = typeof startMs === 'number' && startMs >= 0
  requireOption(timed, call, 'startMs', startMs, 'give milliseconds; it is 2,000 without')
  const usable = provider === undefined || isServerProvider(provider)
  requireOption(usable, call, 'provider', provider, 'give an OpenFeature server provider')
}

/** OpenFeature refuses any other, and asks the application's default provider in its place. */
function isServerProvider(provider: Provider): boolean {
  if (typeof provider?.resolveBooleanEvaluation !== 'function') return false
  const { metadata, runsOn = 'server' } = provider
  return typeof metadata?.name === 'string' && runsOn === 'server'
}

const NO_KEEP_ALIVE_MS = 2_000_000_000
/** Pings exactly as often as a server allows may arrive too early for it. In milliseconds. */
const MARGIN_MS = 100

type FlagdModule = typeof import('@openfeature/flagd-provider')
type FlagdProviderOptions = NonNullable<ConstructorParameters<FlagdModule['FlagdProvider']>[0]>

/** Every option of the provider, so that it takes none from `process.env` behind our back. */
type EveryOption = {
  readonly [Name in Exclude<keyof FlagdProviderOptions, 'contextEnricher'>]-?:
    | FlagdProviderOptions[Name]
    | undefined
}

interface Described {
  readonly mode: FlagdSettings['mode']
  readonly description: string
  readonly provider: Provider
}

function flagdProvider(settings: FlagdSettings, onEvent: OnFlagsEvent): Described {
  for (const message of settings.warnings) onEvent({ level: 'warn', message })
  if (settings.mode === 'file') {
    const provider = new FileProvider({ path: settings.path, onEvent })
    return { mode: 'file', description: `flags file ${settings.path}`, provider }
  }
  const { FlagdProvider } = loadPeer(
    '@openfeature/flagd-provider',
    'flagsFromEnvironment',
  ) as FlagdModule
  const options: EveryOption = settings.provider
  const { mode, address } = settings
  const description = `flagd ${mode} at ${addressText(address)}`
  // gRPC clients with equal options share a connection and its back-off of up to two minutes, so a
  // fresh one needs different options. A keep-alive of some 20 days means none at all.
  const pings = settings.provider.keepAliveTime > 0
  let keepAliveTime = pings ? settings.provider.keepAliveTime + MARGIN_MS : NO_KEEP_ALIVE_MS
  const flags = mode === 'in-process' ? new LoadedFlags() : undefined
  const provider = new SupervisedProvider({
    ...(flags === undefined ? {} : { flags }),
    onRefused: (reason) => {
      const kept = flags?.loaded === true ? 'the last good flags stay' : 'there are no flags yet'
      onEvent({ level: 'warn', message: `flags: ${reason}; ${kept}` })
    },
    connect: async (listener) => {
      const flagd = new FlagdProvider(
        { ...options, keepAliveTime: keepAliveTime++ } as FlagdProviderOptions,
        quietLogger(onEvent),
      )
      return new FlagdConnection(
        { provider: flagd, ...(flags === undefined ? {} : { flags }) },
        listener,
      )
    },
    onLost: (lost) => {
      if (!pings || !isTooManyPings(lost)) return
      keepAliveTime = Math.min(keepAliveTime * 2, NO_KEEP_ALIVE_MS)
      const every = `every ${Math.round(keepAliveTime / 1_000)} s from now on`
      onEvent({
        level: 'info',
        message: `${description}: the server allows fewer pings; sending one ${every}`,
      })
    },
    reachable: () => isReachable(address),
    connectMs: settings.provider.deadlineMs + 500,
    graceMs: settings.provider.retryGracePeriod * 1_000,
  })
  return { mode, description, provider }
}

/** Milliseconds that a provider may take to end. */
const END_MS = 2_000

async function ended(provider: Provider): Promise<void> {
  await provider.onClose?.()
}

/** Once, when flags that were missing at the start are there. */
function tellReady(client: Client, tell: () => void): void {
  const ready = (): void => {
    client.removeHandler(ProviderEvents.Ready, ready)
    tell()
  }
  client.addHandler(ProviderEvents.Ready, ready)
}

interface Wait {
  /** What did not happen in time, for messages. */
  readonly missed: string
  /** Whether the wait keeps the process alive. */
  readonly ref: boolean
  readonly onProblem: (problem: string) => void
}

/** Waits for the work, or until its time is over. Never rejects. */
async function within(ms: number, work: Promise<void>, wait: Wait): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${wait.missed} within ${ms} ms`)), ms)
    if (!wait.ref) timer.unref()
  })
  try {
    await Promise.race([work, timeout])
  } catch (error) {
    wait.onProblem(error instanceof Error ? error.message : quote(error))
  } finally {
    clearTimeout(timer)
  }
}
