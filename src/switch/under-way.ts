import { SwitchbackError } from '../errors.ts'

/** The writes that are not acknowledged yet, for which closing the cache waits. */
export class UnderWay {
  #count = 0
  #closed = false
  #ended: (() => void) | undefined

  /** @throws SwitchbackError `SB_CLOSED` */
  refuseIfClosed(): void {
    if (!this.#closed) return
    throw new SwitchbackError('SB_CLOSED', 'The cache was closed.', {
      hint: 'Close it after the last operation.',
    })
  }

  async write<T>(work: () => Promise<T>): Promise<T> {
    this.refuseIfClosed()
    this.#count += 1
    try {
      return await work()
    } finally {
      this.#count -= 1
      if (this.#count === 0) this.#ended?.()
    }
  }

  /** From now on everything is refused. Resolves when all writes under way are acknowledged. */
  async close(): Promise<void> {
    this.#closed = true
    if (this.#count === 0) return
    await new Promise<void>((resolve) => {
      this.#ended = resolve
    })
  }
}
