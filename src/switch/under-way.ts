import { SwitchbackError } from '../errors.ts'

/** The writes that are not acknowledged yet, for which closing the cache waits. */
export class UnderWay {
  #count = 0
  /** From then on every operation is refused. */
  closed = false
  #ended: (() => void) | undefined

  /** @throws SwitchbackError `SB_CLOSED` */
  async write<T>(work: () => Promise<T>): Promise<T> {
    if (this.closed) throw closedError()
    this.#count += 1
    try {
      return await work()
    } finally {
      this.#count -= 1
      if (this.#count === 0) this.#ended?.()
    }
  }

  /** Resolves when all writes under way are acknowledged. */
  async close(): Promise<void> {
    this.closed = true
    if (this.#count === 0) return
    await new Promise<void>((resolve) => {
      this.#ended = resolve
    })
  }
}

export function closedError(): SwitchbackError {
  return new SwitchbackError('SB_CLOSED', 'The cache was closed.', {
    hint: 'Close it after the last operation.',
  })
}
