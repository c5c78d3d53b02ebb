import type { FlagdProvider } from '@openfeature/flagd-provider'
import { ProviderEvents } from '@openfeature/server-sdk'
import type { EventDetails, Provider } from '@openfeature/server-sdk'
import {
  beforeEvaluator,
  changeStream,
  disableReconnect,
  disableReports,
} from './flagd-internals.ts'
import { contextInBytes, resolutionInText, toBytes, valueInBytes } from './utf8-bytes.ts'

export interface FlagdConnectionOptions {
  readonly provider: FlagdProvider
  /**
   * Given for the in-process evaluator only: makes flags fit for it, or throws for what flagd refuses.
   */
  readonly read?: (text: string) => string
}

/** What a connection tells its owner. */
export interface ConnectionListener {
  /** For good: a connection does not come back. */
  onLost(connection: FlagdConnection, message: string): void
  onChanged(connection: FlagdConnection, flags: readonly string[]): void
}

type Changed = EventDetails<ProviderEvents.ConfigurationChanged>
type Resolve = Pick<
  Provider,
  | 'resolveBooleanEvaluation'
  | 'resolveStringEvaluation'
  | 'resolveNumberEvaluation'
  | 'resolveObjectEvaluation'
>

/** One provider of flagd's, for one connection. */
export class FlagdConnection {
  /** Evaluates, in flagd's own way whichever resolver is used. */
  readonly resolve: Resolve
  readonly hooks: NonNullable<Provider['hooks']>
  readonly #provider: FlagdProvider
  readonly #listener: ConnectionListener

  constructor({ provider, read }: FlagdConnectionOptions, listener: ConnectionListener) {
    this.#provider = provider
    this.#listener = listener
    this.hooks = provider.hooks ?? []
    disableReconnect(provider)
    const inBytes = read !== undefined && beforeEvaluator(provider, read)
    this.resolve = inBytes ? resolveInBytes(provider) : provider
    provider.events.addHandler(ProviderEvents.Stale, (details?: EventDetails) => {
      listener.onLost(this, details?.message ?? '')
    })
    provider.events.addHandler(ProviderEvents.ConfigurationChanged, (details?: Changed) => {
      listener.onChanged(this, details?.flagsChanged ?? [])
    })
  }

  /** Rejects when there is no connection within the time; close it then. */
  async open(timeoutMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const timeout = new Promise<never>((_, reject) => {
      const late = (): void => reject(new Error(`no flags within ${timeoutMs} ms`))
      timer = setTimeout(late, timeoutMs).unref()
    })
    try {
      await Promise.race([this.#provider.initialize(), timeout])
      changeStream(this.#provider)?.once('end', () => {
        this.#listener.onLost(this, 'flagd ended the stream')
      })
    } finally {
      clearTimeout(timer)
    }
  }

  close(): void {
    this.#provider.events.removeAllHandlers()
    disableReports(this.#provider)
    void this.#provider.onClose().catch(() => {})
  }
}

function resolveInBytes(provider: FlagdProvider): Resolve {
  return {
    resolveBooleanEvaluation: async (flag, value, context, logger) =>
      resolutionInText(
        await provider.resolveBooleanEvaluation(
          toBytes(flag),
          value,
          contextInBytes(context),
          logger,
        ),
      ),
    resolveStringEvaluation: async (flag, value, context, logger) =>
      resolutionInText(
        await provider.resolveStringEvaluation(
          toBytes(flag),
          toBytes(value),
          contextInBytes(context),
          logger,
        ),
      ),
    resolveNumberEvaluation: async (flag, value, context, logger) =>
      resolutionInText(
        await provider.resolveNumberEvaluation(
          toBytes(flag),
          value,
          contextInBytes(context),
          logger,
        ),
      ),
    resolveObjectEvaluation: async (flag, value, context, logger) =>
      resolutionInText(
        await provider.resolveObjectEvaluation(
          toBytes(flag),
          valueInBytes(value),
          contextInBytes(context),
          logger,
        ),
      ),
  }
}
