/**
 * The current time of a server's clock, from the times in its replies and this process's monotonic
 * clock, so that a jump of either wall clock is noticed. The estimate is the lowest offset that no
 * reply contradicts: behind the server by less than the fastest round trip seen, and never ahead of
 * it, so a deadline made from it is not later than intended (docs/adr/0008-cells-and-eras.md).
 */
export class ServerClock {
  #offset = Number.NaN

  /** False until the first reply. */
  get known(): boolean {
    return !Number.isNaN(this.#offset)
  }

  /** Epoch milliseconds; the local wall clock until something is known. */
  now(): number {
    return Number.isNaN(this.#offset) ? Date.now() : performance.now() + this.#offset
  }

  /**
   * @param serverTime the server's clock in the reply, epoch milliseconds, cut off
   * @param sentAt `performance.now()` before the command was sent
   * @param receivedAt `performance.now()` after its reply came
   */
  learn(serverTime: number, sentAt: number, receivedAt: number = performance.now()): void {
    const lowest = serverTime - receivedAt
    const highest = serverTime + 1 - sentAt
    // Above the highest: the server's clock was set back (or drifted), so the estimate is reset.
    if (!(this.#offset >= lowest && this.#offset <= highest)) this.#offset = lowest
  }
}
