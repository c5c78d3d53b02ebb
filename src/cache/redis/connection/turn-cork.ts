import type { Writable } from 'node:stream'
import type { RedisClient } from './redis-client.ts'

/**
 * Sends the commands of one turn of the event loop in one write: a system call per command costs
 * more than the rest of a hit. Nothing waits longer than its own turn, since `nextTick` comes after
 * the microtasks and before any input or output. A Cluster has no single stream: there it does
 * nothing.
 */
export class TurnCork {
  readonly #client: { readonly stream?: Writable | null }
  #held = false

  constructor(client: RedisClient) {
    this.#client = client as { readonly stream?: Writable | null }
  }

  /** Call before a command is sent. */
  hold(): void {
    if (this.#held) return
    const { stream } = this.#client
    if (stream === undefined || stream === null || typeof stream.cork !== 'function') return
    this.#held = true
    stream.cork()
    process.nextTick(() => {
      this.#held = false
      stream.uncork()
    })
  }
}
