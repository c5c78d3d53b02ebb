import type { Side } from '../../side.ts'
import {
  Breaker,
  type BreakerOptions,
  Deadlines,
  isTimeout,
  type Notify,
} from '../../switch/index.ts'
import type { IsFailure } from '../options.ts'

export interface CallSideParts {
  readonly side: Side
  readonly service: object
  readonly name: string
  readonly breaker: BreakerOptions
  readonly deadlineMs: number
  /** One request that proves that the side can serve again. @default after a while it is tried by a call */
  readonly probe?: (() => Promise<unknown>) | undefined
  readonly isFailure: IsFailure
  readonly notify: Notify
}

/** One implementation, and whether it answers. */
export class CallSide {
  readonly side: Side
  readonly service: object
  readonly name: string
  readonly #isFailure: IsFailure
  readonly #breaker: Breaker
  readonly #probes: Deadlines
  readonly #notify: Notify
  readonly #probed: boolean
  /** Epoch milliseconds since when it was told to be out; 0: it was told to be back. */
  #toldOut = 0

  constructor({ side, service, name, breaker, ...parts }: CallSideParts) {
    const { deadlineMs, probe, isFailure, notify } = parts
    this.side = side
    this.service = service
    this.name = name
    this.#isFailure = isFailure
    this.#probes = new Deadlines(deadlineMs, `the probe of ${name}`)
    this.#notify = notify
    this.#probed = probe !== undefined
    this.#breaker = new Breaker({
      ...breaker,
      probe: () =>
        this.#probes.hold(probe?.() ?? Promise.resolve()).then(
          () => undefined,
          (error: unknown) => {
            if (isTimeout(error) || this.means(error, 'probe')) throw error
          },
        ),
      onOpen: (detail) => this.#tellOut(detail),
      // Without a probe it only means that calls are tried there again.
      onClose: () => {
        if (this.#probed) this.#tellBack()
      },
    })
  }

  /** Epoch milliseconds since when the side is out; 0 while it is in. */
  get outSince(): number {
    return this.#breaker.outSince
  }

  get lastFailure(): string {
    return this.#breaker.lastFailure
  }

  get usable(): boolean {
    return !this.#breaker.open
  }

  /** Whether an error of a method is a failure of the side; a question that fails itself is answered by yes. */
  means(error: unknown, method: string): boolean {
    try {
      return this.#isFailure(error, method)
    } catch {
      return true
    }
  }

  succeeded(): void {
    this.#breaker.succeeded()
    if (this.#toldOut !== 0 && this.usable) this.#tellBack()
  }

  failed(error: unknown): void {
    this.#breaker.failed(error)
  }

  close(): void {
    this.#breaker.close()
    this.#probes.close()
  }

  #tellOut(detail: string): void {
    if (this.#toldOut !== 0) return
    this.#toldOut = Date.now()
    this.#notify({ type: 'side-out', side: this.side, backend: this.name, detail })
  }

  #tellBack(): void {
    const detail = `after ${Date.now() - this.#toldOut} ms`
    this.#toldOut = 0
    this.#notify({ type: 'side-back', side: this.side, backend: this.name, detail })
  }
}
