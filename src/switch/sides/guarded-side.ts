import type {
  CacheBackend,
  Cell,
  Entry,
  InvalidateResult,
  MaybePromise,
  WriteResult,
} from '../../cache/index.ts'
import { SwitchbackError } from '../../errors.ts'
import type { Side } from '../../side.ts'
import type { Recorder } from '../../telemetry/index.ts'
import { Breaker, type BreakerOptions } from './breaker.ts'
import { Deadlines } from './deadlines.ts'
import type { Notify } from '../events.ts'

export interface GuardedSideParts {
  readonly side: Side
  readonly backend: CacheBackend
  readonly deadlineMs: number
  readonly breaker: BreakerOptions
  readonly recorder: Recorder
  readonly notify: Notify
}

/** One side under a deadline and a circuit breaker. Its methods throw or reject when it fails. */
export class GuardedSide {
  readonly side: Side
  readonly backend: CacheBackend
  readonly deadlineMs: number
  readonly breaker: Breaker
  readonly #deadlines: Deadlines
  #met: boolean
  /** The breaker's outcomes at the last look, and how many looks in a row failed. */
  #seen = -1
  #missed = 0

  constructor(parts: GuardedSideParts) {
    const { side, backend, recorder, notify } = parts
    this.side = side
    this.backend = backend
    this.#met = backend.onEra === undefined
    this.deadlineMs = parts.deadlineMs
    this.breaker = new Breaker({
      ...parts.breaker,
      probe: () => this.#probe(),
      onOpen: (detail) => {
        recorder.event(side, 'breaker_opened')
        notify({ type: 'side-out', side, backend: backend.name, detail })
      },
      onClose: (outMs) => {
        recorder.event(side, 'breaker_closed')
        notify({ type: 'side-back', side, backend: backend.name, detail: `after ${outMs} ms` })
      },
    })
    this.#deadlines = new Deadlines(this.deadlineMs, `the ${side} side (${backend.name})`, {
      succeeded: () => this.breaker.succeeded(),
      failed: (error) => void this.#failed(error),
    })
  }

  /** Epoch milliseconds since when the side is out; 0 while it is in. */
  get outSince(): number {
    return this.breaker.outSince
  }

  get lastFailure(): string {
    return this.breaker.lastFailure
  }

  get usable(): boolean {
    return !this.breaker.open
  }

  /** Whether the store has reported its time and its era. */
  get met(): boolean {
    return this.#met
  }

  /**
   * Before the first operation: resolves when the store has reported its era, or failed to. Trust
   * is checked after that.
   */
  meet(): Promise<void> | undefined {
    return this.#met || !this.usable ? undefined : this.#meet()
  }

  read(key: string): MaybePromise<Cell> {
    try {
      return this.#watch(this.backend.read(key))
    } catch (error) {
      throw this.#failed(error)
    }
  }

  /** @param stands see `WriteOptions.stands`; asked here too, for stores that do not */
  write(
    key: string,
    entry: Entry,
    expect: string,
    era = '',
    stands: () => boolean = MAY_BE,
  ): MaybePromise<WriteResult> {
    try {
      if (!stands()) return NOT_WRITTEN
      const options = { expect, within: this.deadlineMs, era, stands }
      return this.#watch(this.backend.write(key, entry, options))
    } catch (error) {
      throw this.#failed(error)
    }
  }

  invalidate(key: string, successor = '', notBefore = 0): MaybePromise<InvalidateResult> {
    try {
      const options = { within: this.deadlineMs, successor, notBefore }
      return this.#watch(this.backend.invalidate(key, options))
    } catch (error) {
      throw this.#failed(error)
    }
  }

  /** Whatever else is asked of the backend, under the same deadline and breaker. */
  hold<T>(result: Promise<T>): Promise<T> {
    return this.#deadlines.hold(result)
  }

  /** The latest time, by the store's clock, at which a write sent now may still be applied. */
  mayLandUntil(): number {
    return this.backend.now() + this.deadlineMs + CLOCK_SLACK_MS
  }

  /**
   * Whether a tombstone from then may have ended: half its life has passed by the clock of this process, or by the
   * store's own, which may have been set.
   *
   * @param at by `performance.now()`
   * @param on by the store's clock; 0: only the process's counts
   */
  outlived(at: number, on: number): boolean {
    const { backend } = this
    const life = backend.tombstoneTtl / 2
    return performance.now() - at > life || (on !== 0 && backend.now() - on > life)
  }

  /**
   * How long an invalidation that was not taken must stay pending. Beside another program's data there is no
   * tombstone to stop a fill that has seen nothing there: until the slowest one is refused.
   */
  pendingUntil(foreign: boolean | undefined): number {
    return this.mayLandUntil() + (foreign === true ? this.backend.tombstoneTtl / 2 : 0)
  }

  /**
   * Periodically asks an unused side whether it can serve, so that health reports it before the
   * first user notices. A side in use reports by its operations.
   */
  async lookIfIdle(): Promise<void> {
    const idle = this.#seen === this.breaker.outcomes && this.usable
    const failure = idle ? await this.#tryProbe() : undefined
    this.#seen = this.breaker.outcomes
    this.#missed = failure === undefined ? 0 : this.#missed + 1
    // One miss may be a short disturbance; waiting for a second one harms no user.
    if (this.#missed < 2) return
    this.breaker.trip(failure)
  }

  close(): void {
    this.breaker.close()
    this.#deadlines.close()
  }

  async #meet(): Promise<void> {
    this.#met = (await this.#tryProbe()) === undefined
  }

  #watch<T>(result: MaybePromise<T>): MaybePromise<T> {
    if (result instanceof Promise) return this.#deadlines.hold(result)
    this.breaker.succeeded()
    return result
  }

  #failed(error: unknown): unknown {
    this.breaker.failed(error)
    return error
  }

  /** What is wrong, if anything. */
  #tryProbe(): Promise<unknown> {
    return this.#probe().then(
      () => undefined,
      (error: unknown) => error,
    )
  }

  async #probe(): Promise<void> {
    const pinged = this.backend.ping()
    if (pinged instanceof Promise) await this.#deadlines.hold(pinged)
  }
}

const NOT_WRITTEN: WriteResult = { written: false, token: '' }

const MAY_BE = (): boolean => true

/** Largest error of the estimate of a store's clock: one round trip within the deadline. */
const CLOCK_SLACK_MS = 100

/** Whether the error means that the side was too slow, rather than that it refused. */
export function isTimeout(error: unknown): boolean {
  return error instanceof SwitchbackError && error.code === 'SB_DEADLINE'
}
