/** Does something again and again, pausing after each time. Keeps no process alive. */
export class Repeated {
  readonly #work: () => Promise<void>
  readonly #pauseMs: number
  #timer: NodeJS.Timeout | undefined
  #stopped = false

  /** @param work must not reject */
  constructor(work: () => Promise<void>, pauseMs: number) {
    this.#work = work
    this.#pauseMs = pauseMs
    this.#schedule()
  }

  get stopped(): boolean {
    return this.#stopped
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
  }

  #schedule(): void {
    if (this.#stopped) return
    this.#timer = setTimeout(() => {
      void this.#work().finally(() => this.#schedule())
    }, this.#pauseMs).unref()
  }
}
