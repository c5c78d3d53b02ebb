import { ProviderEvents } from '@openfeature/server-sdk'
import type { Client, EventDetails } from '@openfeature/server-sdk'
import type { FlagHealth } from './decision.ts'
import type { OnFlagsEvent } from './events.ts'
import { Gate } from './gate.ts'

export interface ServiceWatchOptions {
  readonly client: Client
  readonly flag: string
  readonly onEvent: OnFlagsEvent
  /** The configuration has, or may have, changed. */
  readonly onChange: () => void
}

/** Follows the provider's events, and whether evaluations succeed, and makes one health of the two. */
export class ServiceWatch {
  readonly gate: Gate
  readonly #options: ServiceWatchOptions
  readonly #handlers: readonly (readonly [ProviderEvents, (details?: EventDetails) => void])[]
  #message = ''
  #health: FlagHealth
  #changes = 0

  constructor(options: ServiceWatchOptions) {
    this.#options = options
    this.gate = new Gate(() => this.#update())
    const status = options.client.providerStatus
    this.#health = { ok: status === 'READY', status, since: Date.now(), detail: '' }
    const trouble = (details?: EventDetails): void => {
      this.#changes++
      this.#message = details?.message ?? ''
      this.#update()
    }
    const back = (): void => {
      this.#changes++
      this.#message = ''
      options.onChange()
      this.gate.open()
      this.#update()
    }
    this.#handlers = [
      [ProviderEvents.Ready, back],
      [ProviderEvents.ConfigurationChanged, back],
      [ProviderEvents.Stale, trouble],
      [ProviderEvents.Error, trouble],
    ]
    for (const [event, handler] of this.#handlers) options.client.addHandler(event, handler)
  }

  /** Goes up with every event of the provider. */
  get changes(): number {
    return this.#changes
  }

  /** Whether the provider believes that it can be asked. */
  get ready(): boolean {
    return this.#options.client.providerStatus === 'READY'
  }

  health(): FlagHealth {
    // A provider that was replaced says nothing until it is ready.
    this.#update()
    return this.#health
  }

  close(): void {
    for (const [event, handler] of this.#handlers) {
      this.#options.client.removeHandler(event, handler)
    }
  }

  #update(): void {
    const { client, flag, onEvent } = this.#options
    const status = client.providerStatus
    const ok = status === 'READY' && !this.gate.shut
    const previous = this.#health
    const detail = ok ? '' : this.#detailOf(status)
    const since = ok === previous.ok ? previous.since : Date.now()
    this.#health = { ok, status, since, detail }
    if (ok === previous.ok) return
    onEvent(
      ok
        ? {
            level: 'info',
            message: `flag ${flag}: answered by provider ${client.metadata.providerMetadata.name}`,
          }
        : { level: 'warn', message: `flag ${flag}: ${detail}; known users keep their side` },
    )
  }

  #detailOf(status: string): string {
    if (status !== 'READY') {
      return `the provider is ${status}${this.#message === '' ? '' : `: ${this.#message}`}`
    }
    return `evaluations fail: ${this.gate.detail}`
  }
}
