import { SwitchbackError } from '../errors.ts'

export interface OriginLimits {
  /** Loads that may run at once. */
  readonly concurrency: number
  /** Loads that may wait for their turn. */
  readonly queue: number
  /** Milliseconds after which a load that has not ended gives its place to the next. */
  readonly loadMs: number
}

/** Caps how many loads run at once, so that a cold or lost cache does not become an origin outage. */
export class Origin {
  readonly #limits: OriginLimits
  readonly #queue: (() => void)[] = []
  #running = 0

  constructor(limits: OriginLimits) {
    this.#limits = limits
  }

  /**
   * @param nested the caller is itself a load, which holds a place already: to make it wait for another
   * would stop all of them for good
   * @throws SwitchbackError `SB_LOADS_BUSY`
   */
  async load<T>(load: () => T | Promise<T>, nested: boolean): Promise<T> {
    if (nested) return load()
    await this.#enter()
    let held = true
    const leave = (): void => {
      if (!held) return
      held = false
      const next = this.#queue.shift()
      if (next === undefined) this.#running -= 1
      else next()
    }
    const timer = setTimeout(leave, this.#limits.loadMs).unref()
    try {
      return await load()
    } finally {
      clearTimeout(timer)
      leave()
    }
  }

  get waiting(): number {
    return this.#queue.length
  }

  async #enter(): Promise<void> {
    const { concurrency, queue } = this.#limits
    if (this.#running < concurrency) {
      this.#running += 1
      return
    }
    if (this.#queue.length >= queue) {
      throw new SwitchbackError(
        'SB_LOADS_BUSY',
        `${concurrency} loads run and ${queue} wait: the origin does not keep up.`,
        { hint: 'Look at the origin. originConcurrency and originQueue set the two limits.' },
      )
    }
    await new Promise<void>((resolve) => {
      this.#queue.push(resolve)
    })
  }
}
