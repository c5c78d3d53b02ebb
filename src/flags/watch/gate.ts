/** Failures in a row before evaluations are no longer waited for, while the provider says READY. */
const FAILURES = 3
/** Milliseconds between two trials while the gate is shut. */
const PROBE_INTERVAL = 250
/** Applies while an earlier evaluation has not returned: a hung service must not collect them. */
const PROBE_INTERVAL_HUNG = 1_000
const PROBE_INTERVAL_MANY_HUNG = 10_000
const MANY = 16

/**
 * Whether waiting for the flag service makes sense. Shut after a few failures in a row; then one
 * evaluation at a time tests whether it is back, and any answer, however late, opens the gate.
 */
export class Gate {
  readonly #onChange: () => void
  #failures = 0
  #shut = false
  #detail = ''
  #probedAt = Number.NEGATIVE_INFINITY

  /** @param onChange called when the gate shuts or opens */
  constructor(onChange: () => void) {
    this.#onChange = onChange
  }

  get shut(): boolean {
    return this.#shut
  }

  /** The last failure, for people. */
  get detail(): string {
    return this.#detail
  }

  /** The service answered, or reports that it is back. */
  open(): void {
    this.#failures = 0
    if (!this.#shut) return
    this.#shut = false
    this.#onChange()
  }

  /** @param ready whether the provider believes that it can be asked */
  failed(detail: string, ready: boolean): void {
    this.#failures++
    this.#detail = detail
    if (this.#shut || this.#failures < (ready ? FAILURES : 1)) return
    this.#shut = true
    this.#probedAt = performance.now()
    this.#onChange()
  }

  /**
   * Takes the right to test whether the service is back; at most one caller has it at a time.
   * @param underWay evaluations that have not returned
   */
  takeProbe(underWay: number): boolean {
    const now = performance.now()
    let interval = PROBE_INTERVAL
    if (underWay > 0) interval = underWay < MANY ? PROBE_INTERVAL_HUNG : PROBE_INTERVAL_MANY_HUNG
    if (now - this.#probedAt < interval) return false
    this.#probedAt = now
    return true
  }
}
