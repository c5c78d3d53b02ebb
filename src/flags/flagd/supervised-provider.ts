import { setTimeout as delay } from 'node:timers/promises'
import {
  ErrorCode,
  OpenFeatureEventEmitter,
  ProviderEvents,
  ProviderNotReadyError,
} from '@openfeature/server-sdk'
import type {
  EvaluationContext,
  JsonValue,
  Logger,
  Provider,
  ResolutionDetails,
} from '@openfeature/server-sdk'
import type { ConfigurationState } from '../source/configuration.ts'
import type { ConnectionListener, FlagdConnection } from './flagd-connection.ts'
import { isTooManyPings } from './flagd-internals.ts'
import type { LoadedFlags } from '../source/loaded-flags.ts'

export interface SupervisedProviderOptions {
  /** Creates a connection that is not open yet. */
  readonly connect: (listener: ConnectionListener) => Promise<FlagdConnection>
  /** Whether flagd can be reached; asked before each attempt. */
  readonly reachable: () => Promise<boolean>
  /** Milliseconds that the first attempt may take; later ones may take longer. */
  readonly connectMs: number
  /** Milliseconds between attempts to reconnect. @default 400 */
  readonly retryMs?: number
  /** Milliseconds from STALE to ERROR. @default 10_000 */
  readonly graceMs?: number
  /** For in-process only: the flags in force, from whichever connection. */
  readonly flags?: LoadedFlags
  /** Called with the reason when flags that flagd sent are refused; once per reason. */
  readonly onRefused?: (reason: string) => void
  /** Called before the next attempt to connect with what ended the last connection. */
  readonly onLost?: (message: string) => void
}

/** A connection that lasted this long, in milliseconds, is replaced silently. */
const HELD_MS = 5_000
const MAX_CONNECT_MS = 10_000
/** Milliseconds between attempts while flagd cannot be reached. */
const BLIND_RETRY_MS = 5_000

/**
 * flagd's provider, supervised: when it loses flagd, a fresh one replaces it as soon as flagd is
 * back. Until then the old one keeps answering as well as it can.
 */
export class SupervisedProvider implements Provider, ConnectionListener {
  readonly metadata: { readonly name: string } = { name: 'flagd' }
  readonly runsOn = 'server'
  readonly events: OpenFeatureEventEmitter = new OpenFeatureEventEmitter()
  readonly #options: SupervisedProviderOptions
  #current: FlagdConnection | undefined
  #up = false
  /** The reported reason why the latest flags are not in force; `''` while they are. */
  #refusal = ''
  /** When the current connection was opened, by performance.now(). */
  #openedAt = 0
  readonly #closed = new AbortController()

  constructor(options: SupervisedProviderOptions) {
    this.#options = options
  }

  get hooks(): NonNullable<Provider['hooks']> {
    return this.#current?.hooks ?? []
  }

  /**
   * Rejects when flagd is unreachable or its flags are refused; READY follows as soon as both are
   * fine.
   */
  async initialize(): Promise<void> {
    try {
      await this.#connect(this.#options.connectMs)
    } catch (error) {
      if (isFatal(error)) throw error
      void this.#recover()
      throw error
    }
    if (this.#refusal !== '') throw new Error(this.#refusal)
  }

  /** What is in force, and whether it is the latest from flagd; in rpc mode this is unknown. */
  configuration(): ConfigurationState | undefined {
    return this.#options.flags?.configuration()
  }

  async onClose(): Promise<void> {
    if (this.#closed.signal.aborted) return
    this.#closed.abort()
    this.#up = false
    this.#current?.close()
  }

  onLost(connection: FlagdConnection, message: string): void {
    if (connection !== this.#current || !this.#up) return
    this.#up = false
    this.#options.onLost?.(message)
    const held = performance.now() - this.#openedAt > HELD_MS
    void this.#comeBack(message, held || isTooManyPings(message))
  }

  onChanged(connection: FlagdConnection, flagsChanged: readonly string[]): void {
    if (connection !== this.#current) return
    this.events.emit(ProviderEvents.ConfigurationChanged, { flagsChanged: [...flagsChanged] })
  }

  onRefused(connection: FlagdConnection): void {
    const reason = this.#options.flags?.configuration().refused?.reason ?? ''
    if (reason !== this.#refusal) this.#options.onRefused?.(reason)
    this.#refusal = reason
    if (connection === this.#current && this.#up) this.#emitRefusal()
  }

  onAccepted(connection: FlagdConnection): void {
    const mended = this.#refusal !== ''
    this.#refusal = ''
    if (mended && connection === this.#current && this.#up) this.events.emit(ProviderEvents.Ready)
  }

  async resolveBooleanEvaluation(
    flag: string,
    value: boolean,
    context: EvaluationContext,
    logger: Logger,
  ): Promise<ResolutionDetails<boolean>> {
    return this.#resolver.resolveBooleanEvaluation(flag, value, context, logger)
  }

  /** At once, and past OpenFeature's client; `undefined` where only that can answer. */
  resolveHere(flag: string, context: EvaluationContext): ResolutionDetails<boolean> | undefined {
    const current = this.#current
    // Somebody has added one, and the client calls them all.
    if (current?.hooks.length !== current?.ownHooks) return undefined
    return current?.resolveHere?.(flag, context)
  }

  async resolveStringEvaluation(
    flag: string,
    value: string,
    context: EvaluationContext,
    logger: Logger,
  ): Promise<ResolutionDetails<string>> {
    return this.#resolver.resolveStringEvaluation(flag, value, context, logger)
  }

  async resolveNumberEvaluation(
    flag: string,
    value: number,
    context: EvaluationContext,
    logger: Logger,
  ): Promise<ResolutionDetails<number>> {
    return this.#resolver.resolveNumberEvaluation(flag, value, context, logger)
  }

  async resolveObjectEvaluation<T extends JsonValue>(
    flag: string,
    value: T,
    context: EvaluationContext,
    logger: Logger,
  ): Promise<ResolutionDetails<T>> {
    return this.#resolver.resolveObjectEvaluation(flag, value, context, logger)
  }

  get #resolver(): FlagdConnection['resolve'] {
    if (this.#current === undefined)
      throw new ProviderNotReadyError('flagd has not been reached yet')
    return this.#current.resolve
  }

  #emitRefusal(): void {
    const lasting = this.#options.flags?.loaded === true
    const event = lasting ? ProviderEvents.Stale : ProviderEvents.Error
    this.events.emit(event, { message: this.#refusal })
  }

  async #connect(timeoutMs: number): Promise<void> {
    const fresh = await this.#options.connect(this)
    try {
      await fresh.open(timeoutMs)
    } catch (error) {
      fresh.close()
      throw error
    }
    if (this.#closed.signal.aborted) return fresh.close()
    const old = this.#current
    this.#current = fresh
    this.#up = true
    this.#openedAt = performance.now()
    old?.close()
  }

  /**
   * A flagd that ends a connection (a restart behind a balancer, too many pings) and accepts the
   * next one at once was never gone, so its health does not change. Never rejects.
   */
  async #comeBack(message: string, quietly: boolean): Promise<void> {
    const { reachable, connectMs } = this.#options
    try {
      if (quietly && (await reachable()) && !this.#closed.signal.aborted) {
        await this.#connect(connectMs)
        // Changes in the meantime were not announced.
        if (!this.#up) return
        if (this.#refusal === '') this.events.emit(ProviderEvents.Ready)
        else this.#emitRefusal()
        return
      }
    } catch {
      // flagd is gone.
    }
    if (this.#closed.signal.aborted) return
    this.events.emit(ProviderEvents.Stale, { message })
    await this.#recover()
  }

  /** Retries until flagd is back. Never rejects. */
  async #recover(): Promise<void> {
    const { retryMs = 400, graceMs = 10_000, reachable } = this.#options
    const end = this.#closed.signal
    const lostAt = performance.now()
    let triedAt = lostAt
    let told = this.#current === undefined
    let connectMs = this.#options.connectMs
    try {
      for (;;) {
        await delay(retryMs, undefined, { ref: false, signal: end })
        const now = performance.now()
        if (!told && now - lostAt > graceMs) {
          told = true
          this.events.emit(ProviderEvents.Error, { message: 'flagd has not come back yet' })
        }
        // gRPC may reach it where a plain connection does not, e.g. through a proxy.
        if (!(await reachable()) && now - triedAt < BLIND_RETRY_MS) continue
        end.throwIfAborted()
        triedAt = now
        try {
          await this.#connect(connectMs)
        } catch (error) {
          connectMs = Math.min(connectMs * 2, MAX_CONNECT_MS)
          if (!isFatal(error)) continue
          const { message } = error
          this.events.emit(ProviderEvents.Error, { message, errorCode: ErrorCode.PROVIDER_FATAL })
          return
        }
        end.throwIfAborted()
        if (this.#refusal === '') this.events.emit(ProviderEvents.Ready)
        else this.#emitRefusal()
        return
      }
    } catch {
      // Closed.
    }
  }
}

/** flagd answered with a code that the user declared fatal: do not retry. */
function isFatal(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && error.code === ErrorCode.PROVIDER_FATAL
}
