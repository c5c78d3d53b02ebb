import type { FlagdProvider } from '@openfeature/flagd-provider'
import { ProviderEvents } from '@openfeature/server-sdk'
import type {
  EvaluationContext,
  EventDetails,
  Provider,
  ResolutionDetails,
} from '@openfeature/server-sdk'
import { messageOf } from '../../errors.ts'
import {
  changeStream,
  disableReconnect,
  disableReports,
  enrichmentOf,
  insteadOfEvaluator,
} from './flagd-internals.ts'
import type { LoadedFlags } from '../source/loaded-flags.ts'

export interface FlagdConnectionOptions {
  readonly provider: FlagdProvider
  /** For in-process only: receives what flagd sends, and evaluates. It outlives the connection. */
  readonly flags?: LoadedFlags
}

/** What a connection reports to its owner. */
export interface ConnectionListener {
  /** Final: a connection is not reused. */
  onLost(connection: FlagdConnection, message: string): void
  onChanged(connection: FlagdConnection, flags: readonly string[]): void
  /** flagd sent flags that are refused; the last good ones stay in force. */
  onRefused(connection: FlagdConnection): void
  /** flagd sent flags that are now in force, changed or not. */
  onAccepted(connection: FlagdConnection): void
}

type Changed = EventDetails<ProviderEvents.ConfigurationChanged>
export type ProviderResolve = Pick<
  Provider,
  | 'resolveBooleanEvaluation'
  | 'resolveStringEvaluation'
  | 'resolveNumberEvaluation'
  | 'resolveObjectEvaluation'
>

type ResolveHere = (flag: string, context: EvaluationContext) => ResolutionDetails<boolean>

/** One flagd provider, for one connection. */
export class FlagdConnection {
  /** Evaluates as flagd does, whichever resolver is used. */
  readonly resolve: ProviderResolve
  readonly hooks: NonNullable<Provider['hooks']>
  /** How many of them flagd's provider has itself. */
  readonly ownHooks: number
  /** `undefined` where OpenFeature's client has to be asked. */
  readonly resolveHere: ResolveHere | undefined
  readonly #provider: FlagdProvider
  readonly #listener: ConnectionListener

  readonly #flags: LoadedFlags | undefined
  #closed = false
  /** What ended the stream. */
  #cause = ''

  constructor({ provider, flags }: FlagdConnectionOptions, listener: ConnectionListener) {
    this.#provider = provider
    this.#listener = listener
    this.#flags = flags
    this.hooks = provider.hooks ?? []
    this.ownHooks = this.hooks.length
    disableReconnect(provider)
    const ours = flags !== undefined && insteadOfEvaluator(provider, (text) => this.#take(text))
    this.resolve = ours ? resolveBy(flags) : provider
    this.resolveHere = ours ? hereBy(flags, enrichmentOf(provider)) : undefined
    provider.events.addHandler(ProviderEvents.Stale, (details?: EventDetails) => {
      listener.onLost(this, this.#cause || (details?.message ?? ''))
    })
    provider.events.addHandler(ProviderEvents.ConfigurationChanged, (details?: Changed) => {
      listener.onChanged(this, details?.flagsChanged ?? [])
    })
  }

  /** Rejects when there is no connection within the time; close it then. */
  async open(timeoutMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const timeout = new Promise<never>((_, reject) => {
      const late = (): void => reject(new Error(`no flags received within ${timeoutMs} ms`))
      timer = setTimeout(late, timeoutMs).unref()
    })
    try {
      await Promise.race([this.#provider.initialize(), timeout])
      const stream = changeStream(this.#provider)
      // Runs before the provider's own listener, which in rpc mode reports no cause.
      stream?.prependListener('error', (error) => {
        this.#cause = messageOf(error)
      })
      stream?.once('end', () => {
        this.#listener.onLost(this, 'flagd ended the stream')
      })
    } finally {
      clearTimeout(timer)
    }
  }

  close(): void {
    this.#closed = true
    this.#provider.events.removeAllHandlers()
    disableReports(this.#provider)
    void this.#provider.onClose().catch(() => {})
  }

  #take(text: string): string[] {
    // Events of a connection that was replaced are outdated.
    if (this.#closed) return []
    try {
      const changed = this.#flags?.take(text, 'what flagd sent') ?? []
      this.#listener.onAccepted(this)
      return changed
    } catch (error) {
      this.#flags?.refuse(messageOf(error))
      this.#listener.onRefused(this)
      return []
    }
  }
}

/** @param enrichment what flagd's provider adds to each context by a hook */
function hereBy(
  flags: LoadedFlags,
  enrichment: (() => object) | undefined,
): ResolveHere | undefined {
  if (enrichment === undefined) return undefined
  return (flag, context) => flags.resolve('boolean', flag, false, { ...context, ...enrichment() })
}

function resolveBy(flags: LoadedFlags): ProviderResolve {
  return {
    resolveBooleanEvaluation: async (flag, value, context) =>
      flags.resolve('boolean', flag, value, context),
    resolveStringEvaluation: async (flag, value, context) =>
      flags.resolve('string', flag, value, context),
    resolveNumberEvaluation: async (flag, value, context) =>
      flags.resolve('number', flag, value, context),
    resolveObjectEvaluation: async (flag, value, context) =>
      flags.resolve('object', flag, value, context),
  }
}
