import { createHash } from 'node:crypto'
import type { TickAnswer } from './tick.ts'

/** Two clocks that nobody sets drift apart by less. */
const MAX_DRIFT = 1e-3

/**
 * The current time of a server's clock, from the times in its replies and this process's monotonic
 * clock, so that a jump of either wall clock is noticed. The estimate is the lowest offset that no
 * reply contradicts: behind the server by less than the fastest round trip seen, and never ahead of
 * it, so a deadline made from it is not later than intended (docs/adr/0008-cells-and-eras.md).
 */
export class ServerClock {
  #offset = Number.NaN
  /** No reply allows more, as of then. */
  #highest = Number.POSITIVE_INFINITY
  #highestAt = 0

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
   * @returns by how many milliseconds at least the clock was set ahead since the last reply; at most 0: it was not
   */
  learn(serverTime: number, sentAt: number, receivedAt: number = performance.now()): number {
    const lowest = serverTime - receivedAt
    const highest = serverTime + 1 - sentAt
    const allowed = this.#highest + (receivedAt - this.#highestAt) * MAX_DRIFT
    this.#highest = lowest > allowed ? highest : Math.min(allowed, highest)
    this.#highestAt = receivedAt
    // Above the highest: the server's clock was set back (or drifted), so the estimate is reset.
    if (!(this.#offset >= lowest && this.#offset <= highest)) this.#offset = lowest
    return lowest - allowed
  }
}

/** What is known of a server, without asking it. */
export class ServerState {
  readonly clock: ServerClock = new ServerClock()
  /** Its latest answer. */
  heard: TickAnswer | undefined
  /** False from the loss of a connection until it was asked on the next. */
  protected connected = false
  /** Of a cluster whose other store keeps what it owes: the state of the pair. */
  readonly #head: (() => ServerState | undefined) | undefined
  #mixed: { readonly of: string; readonly era: string; readonly since: number } | undefined

  constructor(head: (() => ServerState | undefined) | undefined) {
    this.#head = head
  }

  /** Whether what it answers counts. */
  get trusted(): boolean {
    return this.connected && this.#head?.()?.trusted !== false
  }

  /** The era that its cells have; `''` before it was heard. */
  get cellEra(): string {
    const head = this.#head?.()
    return head === undefined ? (this.heard?.name ?? '') : (this.#mixedWith(head)?.era ?? '')
  }

  /** When that era began, by its own clock; 0 before it was heard. */
  get since(): number {
    const head = this.#head?.()
    return (head === undefined ? this.heard : this.#mixedWith(head))?.since ?? 0
  }

  /** See {@link TickAnswer.adopted}. */
  get adopted(): boolean {
    return this.heard?.adopted === true && this.#head?.()?.adopted !== false
  }

  /** All its cells may be used just now without asking the board in the other store. */
  get licensed(): boolean {
    return this.connected && performance.now() < this.heard!.licensedUntil
  }

  /** Its own era and that of the head: another one of either is another one of both. */
  #mixedWith(head: ServerState): { readonly era: string; readonly since: number } | undefined {
    const [own, heads] = [this.heard, head.heard]
    if (own === undefined || heads === undefined) return undefined
    const of = heads.name + own.name
    if (this.#mixed?.of !== of) {
      const era = createHash('sha1').update(of).digest('hex').slice(0, own.name.length)
      const headsSince = heads.since + this.clock.now() - head.clock.now()
      this.#mixed = { of, era, since: Math.floor(Math.max(own.since, headsSince)) }
    }
    return this.#mixed
  }
}
