import { OpenFeature } from '@openfeature/server-sdk'
import type { Provider } from '@openfeature/server-sdk'
import { quote } from '../errors.ts'
import { addressText, isReachable } from '../reachable.ts'
import type { ClientChoice } from './client.ts'
import { createDecider } from './decider.ts'
import type { DeciderOptions } from './decider-options.ts'
import type { Decider } from './decision.ts'
import { safely } from './events.ts'
import type { OnFlagsEvent } from './events.ts'
import { FileProvider } from './file-provider.ts'
import { FlagdConnection } from './flagd-connection.ts'
import { readFlagdEnvironment } from './flagd-environment.ts'
import type { Environment, FlagdProviderOptions, FlagdSettings } from './flagd-environment.ts'
import { forEvaluator } from './flags-document.ts'
import { quietLogger } from './quiet-logger.ts'
import { suitRememberMs } from './remember-ms.ts'
import { SupervisedProvider } from './supervised-provider.ts'
import { setUpTransactionContext } from './transaction-context.ts'

export interface FlagsSourceOptions {
  /** Any OpenFeature provider, instead of flagd's: the environment is then not read. */
  readonly provider?: Provider
  /** The OpenFeature domain to set the provider for. @default the default provider is set */
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
  readonly mode: FlagdSettings['mode'] | 'provider'
  /** One line for people, e.g. `flagd rpc at localhost:8013`. */
  readonly description: string
  /** A decider on this source. */
  createDecider(options: Omit<DeciderOptions, keyof ClientChoice>): Decider
  /**
   * Ends the provider, one handed in as well: its connection, and all attempts to be back. Never
   * rejects; a provider that does not end within 2 s is left behind.
   */
  close(): Promise<void>
}

/**
 * How long decisions are remembered. In-process and file evaluations cost some 20 us; an rpc evaluation
 * costs 0.8 ms and a round trip, and flagd announces every change on its event stream, so that the
 * bound only matters to a stream that was cut without a sign.
 */
const REMEMBER_MS = { rpc: 10_000, 'in-process': 1_000, file: 1_000, provider: 1_000 } as const

/**
 * Sets OpenFeature up with flagd as the environment says (see `readFlagdEnvironment`), or with the
 * provider handed in, and lets OpenFeature carry the user through `await`. A flagd that is not there
 * yet is no error: decisions are `off` until it is, within a second of its start.
 *
 * @param env where the variables are looked up; `process.env` is never read
 * @throws SwitchbackError `SB_FLAGS_ENVIRONMENT` when the variables contradict one another
 */
export async function flagsFromEnvironment(
  env: Environment,
  options: FlagsSourceOptions = {},
): Promise<FlagsSource> {
  const { domain, startMs = 2_000 } = options
  const onEvent = safely(options.onEvent)
  const { mode, description, provider } =
    options.provider === undefined
      ? flagdProvider(readFlagdEnvironment(env), onEvent)
      : {
          mode: 'provider' as const,
          description: `provider ${options.provider.metadata.name}`,
          provider: options.provider,
        }
  setUpTransactionContext()
  suitRememberMs(domain, REMEMBER_MS[mode])
  await within(startMs, set(provider, domain), {
    missed: 'not ready',
    ref: true,
    onProblem: (problem) => {
      // The provider of a file says so itself.
      if (mode === 'file') return
      onEvent({ level: 'warn', message: `${description}: ${problem}; still trying` })
    },
  })

  let closing: Promise<void> | undefined
  // It stays in place: operations that are still under way keep what is known of their users.
  // Somebody else's provider must not keep a service from stopping.
  const close = (): Promise<void> =>
    within(END_MS, ended(provider), {
      missed: 'not closed',
      ref: false,
      onProblem: (problem) => {
        onEvent({ level: 'warn', message: `${description}: ${problem}; left behind` })
      },
    })
  return {
    mode,
    description,
    createDecider: (deciderOptions) =>
      createDecider({
        ...(options.onEvent === undefined ? {} : { onEvent: options.onEvent }),
        ...deciderOptions,
        ...(domain === undefined ? {} : { domain }),
      }),
    close: () => (closing ??= close()),
    [Symbol.asyncDispose]: () => (closing ??= close()),
  }
}

const NO_KEEP_ALIVE_MS = 2_000_000_000

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
  const { mode, address } = settings
  // gRPC clients of equal options share a connection, and its back-off of up to two minutes: a fresh
  // one must not be equal. Some 20 days are as good as no keep-alive at all.
  let keepAliveTime = settings.provider.keepAliveTime || NO_KEEP_ALIVE_MS
  const provider = new SupervisedProvider({
    connect: async (listener) => {
      const { FlagdProvider } = await import('@openfeature/flagd-provider')
      const flagd = new FlagdProvider(
        { ...settings.provider, keepAliveTime: keepAliveTime++ } as FlagdProviderOptions,
        quietLogger(onEvent),
      )
      if (mode === 'rpc') return new FlagdConnection({ provider: flagd }, listener)
      return new FlagdConnection({ provider: flagd, read: reader(onEvent) }, listener)
    },
    reachable: () => isReachable(address),
    connectMs: settings.provider.deadlineMs + 500,
    graceMs: settings.provider.retryGracePeriod * 1_000,
  })
  return { mode, description: `flagd ${mode} at ${addressText(address)}`, provider }
}

/** Refused flags change nothing, and the provider would say so to its debug log only. */
function reader(onEvent: OnFlagsEvent): (text: string) => string {
  return (text) => {
    try {
      return forEvaluator(text, 'what flagd sent')
    } catch (error) {
      const { message } = error as Error
      onEvent({ level: 'warn', message: `flags: ${message}; the last good flags stay` })
      throw error
    }
  }
}

function set(provider: Provider, domain: string | undefined): Promise<void> {
  return domain === undefined
    ? OpenFeature.setProviderAndWait(provider)
    : OpenFeature.setProviderAndWait(domain, provider)
}

/** Milliseconds that a provider may take to end. */
const END_MS = 2_000

async function ended(provider: Provider): Promise<void> {
  await provider.onClose?.()
}

interface Wait {
  /** What did not happen in time, for people. */
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
