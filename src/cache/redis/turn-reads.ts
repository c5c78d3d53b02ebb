import type { RedisNode } from './client.ts'

/** The server does nothing else while it answers one command: this bounds it to some microseconds. */
const MAX_NAMES = 100

/** No answer is used before all have arrived: larger ones are requested with fewer at once. */
const MAX_UNITS = 131_072

/** The names requested in one turn. */
export interface Batch {
  readonly names: readonly string[]
  /** In the order of the names; `null` where there is no string. */
  readonly texts: Promise<Texts>
}

type Texts = readonly (string | null)[]

interface OpenBatch extends Batch {
  readonly names: string[]
  readonly send: () => void
}

/**
 * Reads everything requested in one turn of the event loop with one MGET, since the client's cost
 * per command is more than the rest of a hit. Nothing waits longer than its own turn, since
 * `nextTick` comes after the microtasks and before any input or output.
 *
 * A Cluster refuses names of several slots in one command: there each read is a command of its own.
 */
export class TurnReads {
  readonly #node: RedisNode
  #open: OpenBatch | undefined
  #maxNames: number = MAX_NAMES

  constructor(node: RedisNode) {
    this.#node = node
  }

  /** The batch whose last name is now this one. */
  add(name: string): Batch {
    const batch = (this.#open ??= this.#begin())
    batch.names.push(name)
    if (batch.names.length >= this.#maxNames) {
      this.#open = undefined
      batch.send()
    }
    return batch
  }

  #begin(): OpenBatch {
    const names: string[] = []
    let send = (): void => undefined
    const texts = new Promise<Texts>((resolve, reject) => {
      send = () =>
        void this.#node
          .mget(names)
          .then((found) => this.#learn(found))
          .then(resolve, reject)
    })
    const batch: OpenBatch = { names, texts, send }
    process.nextTick(() => {
      // A full batch has been sent already.
      if (this.#open !== batch) return
      this.#open = undefined
      send()
    })
    return batch
  }

  #learn(texts: Texts): Texts {
    if (!Array.isArray(texts)) throw new TypeError('MGET was not answered with a list')
    let units = 0
    for (const text of texts) units += text?.length ?? 0
    const fitting = Math.floor((MAX_UNITS * texts.length) / Math.max(1, units))
    this.#maxNames = Math.max(1, Math.min(MAX_NAMES, fitting))
    return texts
  }
}
