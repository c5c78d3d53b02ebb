const SHORTEST_MS = 10
const LONGEST_MS = 500
/** Of the one that is asked to see the change arrive. */
const LONGEST_OF_FIRST_MS = 25
/** Processes that wait for their flags answer so many questions a second in all. */
const A_SECOND = 200

/** How often processes are asked for a change that is on its way: answering costs them the time to take it. */
export class AskingPace {
  readonly #crowdMs: number
  readonly #resting = new Set<(woken: boolean) => void>()
  /** One has it, so that the others may have it too. */
  #arrived = false

  constructor(processes: number) {
    this.#crowdMs = Math.min(LONGEST_MS, (processes * 1000) / A_SECOND)
  }

  /**
   * Milliseconds until a process is asked again.
   *
   * @param before the pause before; 0 at first
   * @param tookMs its answer: one that answers slowly must not be kept busy with answering
   * @param first it is the one that is asked to see the change arrive
   */
  next(before: number, tookMs: number, first: boolean): number {
    const least = first || this.#arrived ? SHORTEST_MS : this.#crowdMs
    const most = first ? LONGEST_OF_FIRST_MS : LONGEST_MS
    return Math.min(LONGEST_MS, Math.max(tookMs, least, Math.min(most, before * 1.5)))
  }

  /** Ends after the pause, or when it is woken, and then with `true`. */
  rest(ms: number): Promise<boolean> {
    return new Promise((resolve) => {
      const end = (woken: boolean): void => {
        clearTimeout(timer)
        this.#resting.delete(end)
        resolve(woken)
      }
      const timer = setTimeout(end, ms, false)
      this.#resting.add(end)
    })
  }

  /** A first process has it: the others are asked now. */
  arrived(): void {
    if (this.#arrived) return
    this.#arrived = true
    this.wake()
  }

  wake(): void {
    for (const end of this.#resting) end(true)
  }
}
