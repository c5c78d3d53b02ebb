/**
 * What a server's clock shows now, from the times in its replies and this process's monotonic clock,
 * so that a jump of either machine's wall clock is noticed instead of believed.
 *
 * A reply says that the server's clock showed `t` somewhen between sending and receiving; the offset
 * therefore lies between `t - receivedAt` and `t + 1 - sentAt` (the server cuts off the fraction).
 * The estimate is the lowest offset that no reply contradicts: behind the server by less than the
 * fastest round trip seen, and never ahead of it, unless its clock was set back by less than a round
 * trip. A deadline made from it is not later than was meant.
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
    // Above the highest: the server's clock was set back (or drifted), so begin anew.
    if (!(this.#offset >= lowest && this.#offset <= highest)) this.#offset = lowest
  }
}
