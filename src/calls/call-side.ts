import type { Side } from '../side.ts'
import {
  Breaker,
  type BreakerOptions,
  Deadlines,
  isTimeout,
  type Notify,
  oneLine,
} from '../switch/index.ts'
import type { IsFailure } from './options.ts'
import { NOBODY } from './plan.ts'

export interface CallSideParts {
  readonly side: Side
  readonly service: object
  readonly name: string
  readonly breaker: BreakerOptions
  readonly deadlineMs: number
  /** One request that proves that the side can serve again. */
  readonly probe: () => Promise<unknown>
  readonly isFailure: IsFailure
  readonly notify: Notify
}

/** One implementation, and whether it answers. */
export class CallSide {
  readonly side: Side
  readonly service: object
  readonly name: string
  /** Epoch milliseconds since when the breaker is open; 0 while it is closed. */
  outSince = 0
  lastFailure = ''
  readonly #breaker: Breaker
  readonly #probes: Deadlines

  constructor({ side, service, name, breaker, ...parts }: CallSideParts) {
    const { deadlineMs, probe, isFailure, notify } = parts
    this.side = side
    this.service = service
    this.name = name
    this.#probes = new Deadlines(deadlineMs, `the probe of ${name}`, NOBODY)
    this.#breaker = new Breaker({
      ...breaker,
      probe: () =>
        this.#probes.hold(probe()).then(
          () => undefined,
          (error: unknown) => {
            if (isTimeout(error) || isFailure(error, 'probe')) throw error
          },
        ),
      onOpen: () => {
        this.outSince = Date.now()
        notify({ type: 'side-out', side, backend: name, detail: this.lastFailure })
      },
      onClose: () => {
        const detail = `after ${Date.now() - this.outSince} ms`
        this.outSince = 0
        notify({ type: 'side-back', side, backend: name, detail })
      },
    })
  }

  get usable(): boolean {
    return !this.#breaker.open
  }

  succeeded(): void {
    this.#breaker.succeeded()
  }

  failed(error: unknown): void {
    this.lastFailure = oneLine(error)
    this.#breaker.failed()
  }

  close(): void {
    this.#breaker.close()
    this.#probes.close()
  }
}
