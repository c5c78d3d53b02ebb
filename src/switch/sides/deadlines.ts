import { SwitchbackError } from '../../errors.ts'

/** Above it a timer of Node fires at once, again and again. */
export const LONGEST_TIMER_MS = 2_147_483_647

/** Receives how each held operation ended. */
export interface OutcomeListener {
  succeeded(): void
  failed(error: unknown): void
}

/**
 * Holds many operations to the same deadline with one timer: since all have equally long, they end in the order
 * in which they began, and the timer waits for the oldest alone. A timer each would cost ten times as much.
 * Whoever is answered leaves at once: of a hundred thousand a second, nothing is carried along until its deadline.
 */
export class Deadlines {
  readonly #ms: number
  readonly #label: string
  readonly #listener: OutcomeListener | undefined
  /** After it comes who waits longest. */
  readonly #ring = new Link()
  #timer: NodeJS.Timeout | undefined

  /**
   * @param label what did not answer, for the message
   * @param listener of what is held. @default nobody
   */
  constructor(ms: number, label: string, listener?: OutcomeListener) {
    this.#ms = ms
    this.#label = label
    this.#listener = listener
  }

  /** The operation's own result, or `SB_DEADLINE` when it takes longer than the deadline. */
  hold<T>(operation: Promise<T>): Promise<T> {
    return this.wait(operation, performance.now(), this.#given, this.#thrown) as Promise<T>
  }

  readonly #given = (value: unknown): unknown => {
    this.#listener?.succeeded()
    return value
  }

  readonly #thrown = (error: unknown): never => {
    this.#listener?.failed(error)
    throw error
  }

  /**
   * As `operation.then(answered, failed)`, but no later than the deadline.
   * @param since `performance.now()` from which on it counts
   */
  wait<T, R>(
    operation: PromiseLike<T>,
    since: number,
    answered: (value: T) => R | PromiseLike<R>,
    failed: (error: unknown) => R | PromiseLike<R>,
  ): Promise<R> {
    return new Promise<R>((resolve, reject) => {
      const waiting = new Waiting(since + this.#ms, failed, resolve, reject)
      waiting.enter(this.#ring)
      this.#timer ??= this.#arm(this.#ms)
      operation.then(
        (value) => waiting.end(answered, value),
        (error: unknown) => waiting.end(failed, error),
      )
    })
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #arm(ms: number): NodeJS.Timeout {
    // Answers that arrived while the event loop was stalled are read between the timer and the immediate,
    // so that our own stall is not mistaken for a slow side.
    const after = Math.min(Math.max(1, ms), LONGEST_TIMER_MS)
    return setTimeout(() => setImmediate(() => this.#sweep()), after).unref()
  }

  #sweep(): void {
    this.#timer = undefined
    const now = performance.now()
    for (;;) {
      const oldest = this.#ring.next
      if (!(oldest instanceof Waiting)) return
      if (oldest.until > now) {
        this.#timer ??= this.#arm(oldest.until - now)
        return
      }
      const late = `${this.#label} did not answer within ${this.#ms} ms`
      oldest.end(oldest.failed, new SwitchbackError('SB_DEADLINE', late))
    }
  }
}

class Link {
  next: Link = this
  before: Link = this
}

type Settle<R> = (value: R | PromiseLike<R>) => void

/** One operation that has not been answered yet. */
class Waiting<R> extends Link {
  readonly until: number
  readonly failed: (error: unknown) => R | PromiseLike<R>
  readonly #resolve: Settle<R>
  readonly #reject: (error: unknown) => void

  constructor(
    until: number,
    failed: (error: unknown) => R | PromiseLike<R>,
    resolve: Settle<R>,
    reject: (error: unknown) => void,
  ) {
    super()
    this.until = until
    this.failed = failed
    this.#resolve = resolve
    this.#reject = reject
  }

  enter(ring: Link): void {
    this.next = ring
    this.before = ring.before
    this.before.next = this
    ring.before = this
  }

  /** Only the first end counts. */
  end<A>(how: (what: A) => R | PromiseLike<R>, what: A): void {
    if (this.next === this) return
    this.before.next = this.next
    this.next.before = this.before
    this.next = this
    try {
      this.#resolve(how(what))
    } catch (error) {
      this.#reject(error)
    }
  }
}
