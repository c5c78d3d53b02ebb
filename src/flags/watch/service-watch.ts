import { ProviderEvents } from '@openfeature/server-sdk'
import type { Client, EventDetails } from '@openfeature/server-sdk'
import { configurationOf, flagConfiguration, refusalDetail } from '../source/configuration.ts'
import type { FlagHealth } from '../decide/decision.ts'
import type { OnFlagsEvent } from '../flags-event.ts'
import { FlagTrouble } from './flag-trouble.ts'
import { Gate } from './gate.ts'
import { noteProblem, problemOf, providerOf } from '../source/provider-facts.ts'

export interface ServiceWatchOptions {
  readonly client: Client
  readonly flag: string
  readonly onEvent: OnFlagsEvent
  /**
   * The configuration has changed (`announced`), or may have while the provider was not ready.
   */
  readonly onChange: (announced: boolean) => void
}

/**
 * Milliseconds between two lines about the same problem of the flag under the same configuration.
 */
const REPEAT_MS = 60_000

/** What was reported last: nothing yet, that all is well, an outage, or the flag's error code. */
type Told = 'nothing' | 'well' | 'outage' | `flag ${string}`

/**
 * Combines the provider's events, the success of evaluations, and whether the flag can decide at
 * all into one health.
 */
export class ServiceWatch {
  readonly gate: Gate
  readonly #options: ServiceWatchOptions
  readonly #handlers: readonly (readonly [ProviderEvents, (details?: EventDetails) => void])[]
  readonly #trouble = new FlagTrouble()
  #message = ''
  #health: FlagHealth
  #told: Told
  /**
   * When each problem of the flag was reported, by performance.now(), under the current
   * configuration.
   */
  readonly #toldAt = new Map<Told, number>()
  #changes = 0

  constructor(options: ServiceWatchOptions) {
    this.#options = options
    this.gate = new Gate(() => this.#update())
    const status = options.client.providerStatus
    this.#health = { ok: status === 'READY', status, since: Date.now(), detail: '' }
    this.#told = status === 'READY' ? 'well' : 'nothing'
    const trouble = (details?: EventDetails): void => {
      this.#changes++
      this.#message = details?.message ?? ''
      this.#update()
    }
    const back = (announced: boolean): void => {
      this.#changes++
      this.#message = ''
      noteProblem(providerOf(options.client), '')
      this.#trouble.forget()
      this.#toldAt.clear()
      this.gate.open()
      this.#update()
      options.onChange(announced)
    }
    this.#handlers = [
      [ProviderEvents.Ready, () => back(false)],
      [ProviderEvents.ConfigurationChanged, () => back(true)],
      [ProviderEvents.Stale, trouble],
      [ProviderEvents.Error, trouble],
    ]
    for (const [event, handler] of this.#handlers) options.client.addHandler(event, handler)
  }

  /** Incremented by every event of the provider. */
  get changes(): number {
    return this.#changes
  }

  /** Whether the provider reports that it is ready. */
  get ready(): boolean {
    return this.#options.client.providerStatus === 'READY'
  }

  /** Whether users get the old side because of the flag itself, not the service. */
  get flagIsWrong(): boolean {
    return this.#trouble.code !== ''
  }

  /**
   * The flag decided.
   * @param changes the {@link changes} when the evaluation began
   */
  flagIsRight(changes: number): void {
    if (changes !== this.#changes) return
    const wrong = this.flagIsWrong
    this.#trouble.right()
    if (wrong) this.#update()
  }

  /**
   * The service answered that the flag cannot decide.
   * @param changes the {@link changes} when the evaluation began
   */
  flagFailed(errorCode: string, message: string, changes: number): void {
    if (changes !== this.#changes) return
    const before = this.#trouble.code
    this.#trouble.wrong(errorCode, message)
    if (this.#trouble.code !== before) this.#update()
  }

  health(): FlagHealth {
    // A provider that was replaced reports nothing until it is ready.
    this.#update()
    const { client, flag } = this.#options
    // Its hash is made for who asks: what hashes takes a while to load.
    const configuration = flagConfiguration(configurationOf(providerOf(client)), flag)
    return configuration === undefined ? this.#health : { ...this.#health, configuration }
  }

  close(): void {
    for (const [event, handler] of this.#handlers) {
      this.#options.client.removeHandler(event, handler)
    }
  }

  #update(): void {
    const status = this.#options.client.providerStatus
    const provider = providerOf(this.#options.client)
    const state = configurationOf(provider)
    const refusal = state === undefined ? '' : refusalDetail(state)
    const outage = status !== 'READY' || this.gate.shut || refusal !== ''
    const ok = !outage && !this.flagIsWrong
    const previous = this.#health
    const detail = ok ? '' : refusal || this.#detailOf(status, outage)
    const since = ok === previous.ok ? previous.since : Date.now()
    this.#health = { ok, status, since, detail }
    if (ok) this.#tell('well', detail)
    else if (!outage) this.#tell(`flag ${this.#trouble.code}`, detail)
    // A provider that is still connecting for the first time is reported only once it fails an
    // operation.
    else if (this.#told !== 'nothing' || status !== 'NOT_READY' || this.gate.shut) {
      this.#tell('outage', `${detail}; known users keep their side`)
    }
  }

  #tell(now: Told, detail: string): void {
    if (now === this.#told) return
    if (now.startsWith('flag ') && this.#repeats(now)) return
    this.#told = now
    const { client, flag, onEvent } = this.#options
    if (now !== 'well') return onEvent({ level: 'warn', message: `flag ${flag}: ${detail}` })
    const { name } = client.metadata.providerMetadata
    onEvent({ level: 'info', message: `flag ${flag}: the provider ${name} answers` })
  }

  /** A flag that fails every other time, or in two ways, must not log a line each time. */
  #repeats(trouble: Told): boolean {
    const at = performance.now()
    const before = this.#toldAt.get(trouble)
    if (before !== undefined && at - before < REPEAT_MS) return true
    this.#toldAt.set(trouble, at)
    return false
  }

  #detailOf(status: string, outage: boolean): string {
    if (!outage) return this.#trouble.detail
    if (status !== 'READY') {
      // A decider that is created after the provider's first event has missed it.
      const why = this.#message || problemOf(providerOf(this.#options.client))
      return `the provider is ${status}${why === '' ? '' : `: ${why}`}`
    }
    return `evaluations fail: ${this.gate.detail}`
  }
}
