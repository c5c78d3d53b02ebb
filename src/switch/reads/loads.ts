import type { Loader } from '../../cache/index.ts'
import type { Side } from '../../side.ts'
import type { Losses, Recorder } from '../../telemetry/index.ts'
import type { Background } from '../background/background.ts'
import type { Coherence } from '../truth/coherence.ts'
import { Flight, Flights, landing, NOWHERE, runLoader } from './flights.ts'
import type { Moves } from './moves.ts'
import type { PinnedOperation } from '../operation.ts'
import type { Origin } from './origin.ts'
import type { Values } from '../values.ts'

export interface LoadsParts {
  readonly coherence: Coherence
  readonly moves: Moves
  readonly background: Background
  readonly origin: Origin
  readonly values: Values
  readonly losses: Losses | undefined
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
  async takeOver(op: PinnedOperation): Promise<boolean> {
    this.#noteMiss(op)
    // A mirrored load needs the standby's token from before the load.
    const readAnyway = op.operation === 'getOrSet' && op.mirrored
    return (await this.#parts.moves.takeOver(op, readAnyway)) !== 'nothing'
  }

  /** The key was written or deleted by this process. */
  changed(key: string): void {
    this.#flights.drop(key)
  }

  /**
   * Everyone who misses the same cell waits for the same load; each gets a value of their own.
   *
   * A load that began before an operation may have seen what was replaced before that operation.
   * Its value is used only if it was stored after the operation had begun: the store takes it only
   * while the cell was not written since. Otherwise the operation reads again.
   */
  async load<T>(op: PinnedOperation, load: Loader<T>, ttlMs: number): Promise<T> {
    const { coherence, values } = this.#parts
    for (;;) {
      const flight = this.#flightFor(op)
      if (flight === undefined) {
        const { place, key } = op
        const own =
          place === undefined
            ? new Flight<Loaded>('', 0)
            : new Flight<Loaded>(op.cell.token, op.fence)
        this.#flights.add(place?.side ?? NOWHERE, key, own)
        own.result = this.#lead(op, load, ttlMs, own)
        return this.#valueOf<T>(await landing(own))
      }
      const joinedAt = performance.now()
      const loaded = (await landing(flight)) as Loaded
      op.loadMs += performance.now() - joinedAt
      if (loaded.stored || flight.startedAt > op.startedAt) {
        op.servedBy = loaded.servedBy
        return this.#valueOf<T>(loaded)
      }
      op.missedAt = performance.now()
      if (await coherence.read(op)) {
        const value = values.decode<T>(op.cell.payload)
        if (value !== undefined) return value
      }
    }
  }

  #flightFor({ place, key, cell, fence }: PinnedOperation): Flight | undefined {
    // Where neither side can be trusted with the key nothing is stored, so only a load that began after its caller
    // is used: the next one, which all who came meanwhile share.
    if (place === undefined)
      return this.#flights.find(NOWHERE, key, '', 0, Number.POSITIVE_INFINITY)
    // What takes longer is not stored.
    const maxAgeMs = place.backend.tombstoneTtl / 2
    return this.#flights.find(place.side, key, cell.token, fence, maxAgeMs)
  }

  #valueOf<T>({ payload, value }: Loaded): T {
    return payload === undefined ? (value as T) : (this.#parts.values.decode<T>(payload) as T)
  }

  async #lead<T>(
    op: PinnedOperation,
    load: Loader<T>,
    ttlMs: number,
    flight: Flight,
  ): Promise<Loaded> {
    const { coherence, moves, values, losses, background } = this.#parts
    const missed = op.cell
    const place = op.place?.side ?? NOWHERE
    try {
      this.#noteMiss(op)
      const taking = moves.takeOver(op, op.mirrored)
      const taken = taking instanceof Promise ? await taking : taking
      if (taken !== 'nothing') {
        const { payload } = op.cell
        const value = values.decode<T>(payload)
        if (value !== undefined) {
          return { payload, value, servedBy: op.servedBy, stored: taken === 'moved' }
        }
      }
      op.cell = missed
      const value = await this.#fromOrigin(op, load, flight)
      const payload = values.encodeLoaded(value)
      if (payload === undefined) return { payload, value, servedBy: 'origin', stored: false }
      const entry = values.entry(payload, ttlMs)
      const { token, known } = await coherence.fill(op, entry)
      if (token !== '') {
        if (op.outcome === 'miss') losses?.stored(op.active.side, op.key, ttlMs)
        else losses?.dropped(op.key)
        const seen = op.standbyCell
        if (op.mirrored && op.place === op.active && seen !== undefined) {
          background.mirror(op, entry, token, seen.token)
        }
      }
      return { payload, value, servedBy: 'origin', stored: known }
    } finally {
      this.#flights.ended(place, op.key, flight)
    }
  }

  #noteMiss({ outcome, cell, active, key, bucket }: PinnedOperation): void {
    if (outcome !== 'miss' || cell.state !== 'absent') return
    this.#parts.losses?.missed(active.side, key, bucket)
  }

  async #fromOrigin<T>(op: PinnedOperation, load: Loader<T>, flight: Flight): Promise<T> {
    const { origin, recorder } = this.#parts
    const { side } = op.active
    const startedAt = performance.now()
    let ok = false
    try {
      const nested = flight.parent !== undefined
      const value = await origin.load(() => runLoader(flight, load), nested)
      ok = true
      op.servedBy = 'origin'
      return value
    } finally {
      const loadMs = performance.now() - startedAt
      op.loadMs += loadMs
      recorder.originLoad(side, loadMs, ok)
    }
  }
}

interface Loaded {
  /** Undefined when the value could not be encoded. */
  readonly payload: string | undefined
  readonly value: unknown
  readonly servedBy: Side | 'origin' | 'none'
  /** It was stored in the cell that was missed, so nothing was written or deleted until then, as far as a hit could know. */
  readonly stored: boolean
}
