import type { Loader } from '../cache/index.ts'
import type { Side } from '../side.ts'
import type { Recorder } from '../telemetry/index.ts'
import type { Background } from './background.ts'
import type { Coherence } from './coherence.ts'
import { Flights } from './flights.ts'
import type { Losses } from './losses.ts'
import type { Moves } from './moves.ts'
import type { PinnedOperation } from './operation.ts'
import type { Origin } from './origin.ts'
import type { Values } from './values.ts'

export interface LoadsParts {
  readonly coherence: Coherence
  readonly moves: Moves
  readonly background: Background
  readonly origin: Origin
  readonly values: Values
  readonly losses: Losses
  readonly recorder: Recorder
}

/** What happens on a miss: the other side, then the origin, once for all who wait. */
export class Loads {
  readonly #parts: LoadsParts
  readonly #flights = new Flights()

  constructor(parts: LoadsParts) {
    this.#parts = parts
  }

  /** On a miss: takes the value over from the standby if that is allowed. True: `op.cell` is alive. */
  takeOver(op: PinnedOperation): Promise<boolean> {
    this.#parts.losses.missed(op)
    // A mirrored load needs the standby's token from before the load.
    return this.#parts.moves.takeOver(op, op.operation === 'getOrSet' && op.mirrored)
  }

  /** Everyone who misses the same cell waits for the same load; each gets a value of their own. */
  async load<T>(op: PinnedOperation, load: Loader<T>, ttlMs: number): Promise<T> {
    const joinedAt = performance.now()
    let leader = false
    const start = (): Promise<Loaded<T>> => {
      leader = true
      return this.#lead(op, load, ttlMs)
    }
    // Where neither side can be trusted with the key, no token tells an old load from a new one.
    const loaded = await (op.place === undefined
      ? start()
      : this.#flights.join(`${op.place.side}:${op.cell.token}:${op.key}`, start))
    if (!leader) {
      op.servedBy = loaded.servedBy
      op.loadMs = performance.now() - joinedAt
    }
    if (loaded.payload === undefined) return loaded.value as T
    return this.#parts.values.decode<T>(loaded.payload) as T
  }

  async #lead<T>(op: PinnedOperation, load: Loader<T>, ttlMs: number): Promise<Loaded<T>> {
    const { coherence, values, losses, background } = this.#parts
    const missed = op.cell
    if (await this.takeOver(op)) {
      const { payload } = op.cell
      const value = values.decode<T>(payload)
      if (value !== undefined) return { payload, value, servedBy: op.servedBy }
    }
    op.cell = missed
    const value = await this.#fromOrigin(op, load)
    const payload = values.encodeLoaded(value)
    if (payload === undefined) return { payload, value, servedBy: 'origin' }
    const entry = values.entry(payload, ttlMs)
    const token = await coherence.fill(op, entry, op.loadMs)
    if (token !== '') {
      losses.stored(op, ttlMs)
      const seen = op.standbyCell
      if (op.mirrored && op.place === op.active && seen !== undefined) {
        background.mirror(op, entry, token, seen.token)
      }
    }
    return { payload, value, servedBy: 'origin' }
  }

  async #fromOrigin<T>(op: PinnedOperation, load: Loader<T>): Promise<T> {
    const { origin, recorder } = this.#parts
    const { side } = op.active
    const startedAt = performance.now()
    let ok = false
    try {
      const value = await origin.load(load)
      ok = true
      op.servedBy = 'origin'
      return value
    } finally {
      op.loadMs = performance.now() - startedAt
      recorder.originLoad(side, op.loadMs, ok)
    }
  }
}

interface Loaded<T> {
  /** Undefined when the value could not be encoded. */
  readonly payload: string | undefined
  readonly value: T
  readonly servedBy: Side | 'origin' | 'none'
}
