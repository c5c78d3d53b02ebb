import { SwitchbackError } from '../../errors.ts'

/** Receives how each awaited operation ended. */
export interface OutcomeListener {
  succeeded(): void
  failed(error: unknown): void
}

/**
 * Holds many operations to the same deadline with one timer: since all deadlines are equally long,
 * they end in the order in which they began, and the timer waits only for the oldest. A timer per
 * operation would cost ten times as much.
 */
export class Deadlines {
  readonly #ms: number
  readonly #label: string
  readonly #listener: OutcomeListener
  #waiting: Waiting[] = []
  #head = 0
  #timer: NodeJS.Timeout | undefined

  constructor(ms: number, label: string, listener: OutcomeListener) {
    this.#ms = ms
    this.#label = label
    this.#listener = listener
  }

  /** The operation's own result, or `SB_DEADLINE` when it takes longer than the deadline. */
  hold<T>(operation: Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const waiting: Waiting = { until: performance.now() + this.#ms, reject }
      this.#waiting.push(waiting)
      this.#timer ??= this.#arm(this.#ms)
      operation.then(
        (value) => {
          if (waiting.reject === undefined) return
          waiting.reject = undefined
          this.#listener.succeeded()
          resolve(value)
        },
        (error: unknown) => {
          if (waiting.reject === undefined) return
          waiting.reject = undefined
          this.#listener.failed(error)
          reject(error)
        },
      )
    })
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #arm(ms: number): NodeJS.Timeout {
    // Replies that arrived while the event loop was stalled are read between the timer and the
    // immediate, so that our own stall is not mistaken for a slow backend.
    return setTimeout(() => setImmediate(() => this.#sweep()), Math.max(1, ms)).unref()
  }

  #sweep(): void {
    const now = performance.now()
    this.#timer = undefined
    while (this.#head < this.#waiting.length) {
      const oldest = this.#waiting[this.#head]!
      if (oldest.reject !== undefined) {
        if (oldest.until > now) {
          this.#timer = this.#arm(oldest.until - now)
          break
        }
        const reject = oldest.reject
        oldest.reject = undefined
        const error = this.#error()
        this.#listener.failed(error)
        reject(error)
      }
      this.#head += 1
    }
    this.#waiting = this.#waiting.slice(this.#head)
    this.#head = 0
  }

  #error(): SwitchbackError {
    return new SwitchbackError('SB_DEADLINE', `${this.#label} did not answer within ${this.#ms} ms`)
  }
}

interface Waiting {
  readonly until: number
  /** Undefined once the operation has ended. */
  reject: ((error: unknown) => void) | undefined
}
