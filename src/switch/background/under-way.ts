import { SwitchbackError } from '../../errors.ts'

/** What is not acknowledged yet, for which closing waits. */
export class UnderWay {
  #count = 0
  /** From then on every operation is refused. */
  closed = false
  #ended: (() => void) | undefined

  /** @throws SwitchbackError `SB_CLOSED` */
  async hold<T>(work: () => Promise<T>): Promise<T> {
    if (this.closed) throw closedError()
    this.enter()
    try {
      return await work()
    } finally {
      this.leave()
    }
  }

  enter(): void {
    this.#count += 1
  }

  leave(): void {
    this.#count -= 1
    if (this.#count === 0) this.#ended?.()
  }

  /** Resolves when all of it is acknowledged. */
  async close(): Promise<void> {
    this.closed = true
    if (this.#count === 0) return
    await new Promise<void>((resolve) => {
      this.#ended = resolve
    })
  }
}

/** @param what is closed */
export function closedError(what = 'cache'): SwitchbackError {
  return new SwitchbackError('SB_CLOSED', `The ${what} was closed.`, {
    hint: 'Close it after the last operation.',
  })
}
