import { randomBytes } from 'node:crypto'
import { checkNames, type NamesOf } from '../options.ts'
import { type CallRecorder, CallsCounts, merged } from './counts/call-counts.ts'
import { Counts } from './counts/counts.ts'
import { renderPrometheus } from './output/prometheus.ts'
import { snapshotFamilies } from './output/families.ts'
import type { Family, Labels } from './output/families.ts'
import { Gauges } from './gauges/gauges.ts'
import type { LabelledValue } from './gauges/gauges.ts'
import { globalMeter, observeWith } from './output/open-telemetry.ts'
import type { Meter } from './output/open-telemetry.ts'
import { ProcessHealth } from './gauges/process-health.ts'
import type { Recorder } from './recorder.ts'
import { takeSnapshot } from './counts/snapshot.ts'
import type { TelemetrySnapshot } from './counts/snapshot.ts'

export interface TelemetryOptions {
  /**
   * An OpenTelemetry meter to register observable instruments on; `false` for none.
   * @default the global meter provider's when the application has set one before, else none
   */
  readonly meter?: Meter | false
  /** Window in which each user counts once per side, in milliseconds. @default 60000 */
  readonly userWindowMs?: number
  /** Epoch milliseconds. @default Date.now */
  readonly now?: () => number
}

/** Counts what each side does, and exports it. */
export interface Telemetry extends Recorder {
  /** Both sides at one moment. */
  snapshot(): TelemetrySnapshot
  /** Prometheus text, to be served as {@link PROMETHEUS_CONTENT_TYPE}. */
  prometheus(): string
  /**
   * Adds a value that is read on demand. One that throws or returns NaN is left out.
   * @param name `switchback_...`
   * @returns a function that removes it
   * @throws SwitchbackError `SB_METRIC_NAME_INVALID`
   */
  gauge(name: string, help: string, labels: Labels, read: () => number): () => void
  /**
   * The same for values whose labels change; none when it throws.
   * @throws SwitchbackError `SB_METRIC_NAME_INVALID`
   */
  gauges(name: string, help: string, read: () => readonly LabelledValue[]): () => void
  close(): void
  [Symbol.asyncDispose](): Promise<void>
}

const OPTIONS: NamesOf<TelemetryOptions> = { meter: true, userWindowMs: true, now: true }

class CountingTelemetry extends Counts implements Telemetry {
  readonly #identity: { readonly instance: string; readonly startedAt: number }
  readonly #gauges = new Gauges()
  readonly #health = new ProcessHealth()
  readonly #calls: CallsCounts
  readonly #now: () => number
  readonly #meter: Meter | false
  #stopObserving: (() => void) | undefined

  constructor(options: TelemetryOptions) {
    const now = options.now ?? Date.now
    const windowMs = options.userWindowMs ?? 60_000
    super(now(), windowMs)
    this.#now = now
    this.#calls = new CallsCounts(now, windowMs)
    this.#identity = { instance: randomBytes(9).toString('base64url'), startedAt: now() }
    this.#meter = options.meter ?? globalMeter() ?? false
    this.#observe()
  }

  calls(name: string, method: string): CallRecorder {
    return this.#calls.of(name, method)
  }

  snapshot(): TelemetrySnapshot {
    const now = this.#now()
    const snapshot = takeSnapshot(this, this.#identity, now)
    this.users.turn(now)
    return snapshot
  }

  prometheus(): string {
    return renderPrometheus(this.#families())
  }

  gauge(name: string, help: string, labels: Labels, read: () => number): () => void {
    const remove = this.#gauges.register(name, help, labels, read)
    this.#observe()
    return remove
  }

  gauges(name: string, help: string, read: () => readonly LabelledValue[]): () => void {
    const remove = this.#gauges.registerAll(name, help, read)
    this.#observe()
    return remove
  }

  close(): void {
    this.#stopObserving?.()
    this.#stopObserving = undefined
    this.#health.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close()
    return Promise.resolve()
  }

  /** Repeated for each gauge: instruments must be named when their callback is registered. */
  #observe(): void {
    if (this.#meter === false) return
    this.#stopObserving?.()
    this.#stopObserving = observeWith(this.#meter, () => this.#families())
  }

  #families(): Family[] {
    return merged([
      ...snapshotFamilies(this.snapshot()),
      ...this.#calls.families(),
      ...this.#gauges.families(),
      ...this.#health.families(),
    ])
  }
}

export function createTelemetry(options: TelemetryOptions = {}): Telemetry {
  checkNames('createTelemetry', options, OPTIONS)
  return new CountingTelemetry(options)
}
