/** Caps how many loads run at once, so that a cold or lost cache does not become an origin outage. */
export class Origin {
  readonly #limit: number
  readonly #queue: (() => void)[] = []
  #running = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  async load<T>(load: () => T | Promise<T>): Promise<T> {
    if (this.#running >= this.#limit) {
      await new Promise<void>((resolve) => {
        this.#queue.push(resolve)
      })
    } else {
      this.#running += 1
    }
    try {
      return await load()
    } finally {
      const next = this.#queue.shift()
      if (next === undefined) this.#running -= 1
      else next()
    }
  }

  get waiting(): number {
    return this.#queue.length
  }
}
