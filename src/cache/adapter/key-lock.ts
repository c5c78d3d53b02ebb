import type { MaybePromise } from '../backend.ts'

/**
 * One step at a time for each key, within this process. A step whose turn it is runs at once, and
 * only a step that waits makes the next one wait.
 */
export class KeyLock {
  readonly #tails = new Map<string, Promise<unknown>>()
  #closed: Promise<unknown> | undefined

  run<T>(key: string, step: () => MaybePromise<T>): MaybePromise<T> {
    const before = this.#tails.get(key) ?? this.#closed
    const result = before === undefined ? step() : before.then(step, step)
    if (!(result instanceof Promise)) return result
    this.#tails.set(key, result)
    const release = (): void => {
      if (this.#tails.get(key) === result) this.#tails.delete(key)
    }
    result.then(release, release)
    return result
  }

  /** One step alone: after all that came before it, before all that come after. */
  async runAlone<T>(step: () => MaybePromise<T>): Promise<T> {
    const before = [...this.#tails.values(), this.#closed]
    const result = Promise.allSettled(before).then(step)
    this.#closed = result
    // Later steps of the key wait for this one.
    this.#tails.clear()
    try {
      return await result
    } finally {
      if (this.#closed === result) this.#closed = undefined
    }
  }
}
