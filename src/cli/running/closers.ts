/** Things to close, the last opened first. Node 20 has no `AsyncDisposableStack`. */
export class Closers {
  readonly #closers: (() => Promise<unknown> | void)[] = []
  #closing: Promise<void> | undefined

  add(close: () => Promise<unknown> | void): void {
    this.#closers.push(close)
  }

  /** Closes each even when another one fails; rejects with the first failure. */
  close(): Promise<void> {
    this.#closing ??= this.#closeAll()
    return this.#closing
  }

  async #closeAll(): Promise<void> {
    const failures: unknown[] = []
    for (const close of this.#closers.toReversed()) {
      try {
        await close()
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length > 0) throw failures[0]
  }
}
