import { SwitchbackError } from '../../errors.ts'

export interface OriginLimits {
  /** Loads that may run at once. */
  readonly concurrency: number
  /** Loads that may wait for their turn. */
  readonly queue: number
  /** Milliseconds after which a load that has not ended gives its place to the next. */
  readonly loadMs: number
}

/**
 * Limits how many loads run at once, so that a cold or lost cache does not become an origin outage
 * (docs/adr/0007-caps-instead-of-copies.md).
 */
export class Origin {
  readonly #limits: OriginLimits
  readonly #queue: ((place: Place) => void)[] = []
  /** The oldest first. */
  readonly #running = new Set<Place>()
  #timer: NodeJS.Timeout | undefined

  constructor(limits: OriginLimits) {
    this.#limits = limits
  }

  /**
   * @param nested the caller is itself a load, which has a place already: making it wait for
   * another could stop all of them for good
   * @throws SwitchbackError `SB_LOADS_BUSY`
   */
  async load<T>(load: () => T | Promise<T>, nested: boolean): Promise<T> {
    if (nested) return load()
    const free = this.#running.size < this.#limits.concurrency
    const place = free ? this.#take() : await this.#wait()
    try {
      const loaded = load()
      return loaded instanceof Promise ? await loaded : loaded
    } finally {
      this.#leave(place)
    }
  }

  get waiting(): number {
    return this.#queue.length
  }

  #take(): Place {
    const place = { since: performance.now() }
    this.#running.add(place)
    return place
  }

  #wait(): Promise<Place> {
    const { concurrency, queue } = this.#limits
    if (this.#queue.length >= queue) {
      throw new SwitchbackError(
        'SB_LOADS_BUSY',
        `${concurrency} loads run and ${queue} wait: the origin does not keep up.`,
        { hint: 'Check the origin. originConcurrency and originQueue set the two limits.' },
      )
    }
    return new Promise((resolve) => {
      this.#queue.push(resolve)
      this.#takeBackLater()
    })
  }

  #leave(place: Place): void {
    if (this.#running.delete(place)) this.#queue.shift()?.(this.#take())
  }

  /** While another load waits: takes the place of a load that does not end. */
  #takeBackLater(): void {
    const [oldest] = this.#running
    if (this.#timer !== undefined || oldest === undefined) return
    const { loadMs } = this.#limits
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined
        const due = performance.now() - loadMs
        for (const place of this.#running) {
          if (this.#queue.length > 0 && place.since <= due) this.#leave(place)
        }
        if (this.#queue.length > 0) this.#takeBackLater()
      },
      Math.max(1, oldest.since + loadMs - performance.now()),
    ).unref()
  }
}

/** Held by a load that runs. */
interface Place {
  readonly since: number
}
