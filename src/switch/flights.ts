import { AsyncLocalStorage } from 'node:async_hooks'
import type { Loader } from '../cache/index.ts'
import type { Side } from '../side.ts'

/** What a load is to replace. */
export interface Missed {
  readonly token: string
  /** The side's fence then. It moves where an acknowledged write could not leave a token. */
  readonly fence: number
}

/** One load under way, with the value that it ends in. */
export interface Flight<T = unknown> {
  readonly missed: Missed
  /** By `performance.now()`. */
  readonly startedAt: number
  readonly result: Promise<T>
  readonly nest: Nest
}

/**
 * The latest load of each key on each side. `loads.ts` decides who may take a load's value; here
 * only loads are left out that would make a caller wait in vain.
 */
export class Flights {
  readonly #flights = new Map<string, Flight>()

  /** A load of the key under way that missed the same and is not older than `maxAgeMs`. */
  find(side: Side, key: string, missed: Missed, maxAgeMs: number): Flight | undefined {
    const flight = this.#flights.get(side + key)
    if (flight === undefined || flight.missed.token !== missed.token) return undefined
    if (flight.missed.fence !== missed.fence) return undefined
    if (performance.now() - flight.startedAt > maxAgeMs) return undefined
    return waitsForCaller(flight) ? undefined : flight
  }

  /** @param side where other callers may find it; none: no caller joins */
  start<T>(
    side: Side | undefined,
    key: string,
    missed: Missed,
    lead: (nest: Nest) => Promise<T>,
  ): Flight<T> {
    const parent = callerNest()
    const nest: Nest = { parent, waitsFor: new Set(), placed: parent !== undefined, ended: false }
    const fly = async (): Promise<T> => {
      try {
        return await lead(nest)
      } finally {
        nest.ended = true
        if (this.#flights.get(id) === flight) this.#flights.delete(id)
      }
    }
    const id = `${side}${key}`
    const flight = { missed, startedAt: performance.now(), result: fly(), nest }
    if (side !== undefined) this.#flights.set(id, flight)
    return flight
  }

  /** The key was written or deleted here: no caller joins a load from before. */
  drop(key: string): void {
    if (this.#flights.size === 0) return
    this.#flights.delete(`off${key}`)
    this.#flights.delete(`on${key}`)
  }
}

/** The flight's result. Records meanwhile that the load from which this is called waits for it. */
export function landing<T>({ result, nest }: Flight<T>): Promise<T> {
  const caller = callerNest()
  if (caller === undefined) return result
  caller.waitsFor.add(nest)
  return result.finally(() => caller.waitsFor.delete(nest))
}

/** A load that may itself ask a cache, and what it waits for there. */
export interface Nest {
  /** The load inside which it began, of whichever cache. */
  readonly parent: Nest | undefined
  readonly waitsFor: Set<Nest>
  /** False while it may still wait for one of the places in which loads run. */
  placed: boolean
  ended: boolean
}

const context = new AsyncLocalStorage<Nest>()
let running = 0

function callerNest(): Nest | undefined {
  let nest = running === 0 ? undefined : context.getStore()
  while (nest?.ended === true) nest = nest.parent
  return nest
}

/**
 * Runs a loader, which has one of the places in which loads run. On Node 20 such a context makes
 * every `await` of the process more expensive, so it exists only while a loader runs.
 */
export async function runLoader<T>(nest: Nest, load: Loader<T>): Promise<T> {
  nest.placed = true
  running += 1
  try {
    const loaded = context.run(nest, load)
    return loaded instanceof Promise ? await loaded : loaded
  } finally {
    running -= 1
    if (running === 0) context.disable()
  }
}

/**
 * Whether the flight, directly or through others, waits for the load from which this is called: for
 * its value, or for its place.
 */
function waitsForCaller(flight: Flight): boolean {
  const caller = callerNest()
  if (caller === undefined) return false
  if (!flight.nest.placed) return true
  const seen = new Set<Nest>()
  const reaches = (from: Nest): boolean => {
    if (from === caller) return true
    if (seen.has(from)) return false
    seen.add(from)
    return [...from.waitsFor].some(reaches)
  }
  return reaches(flight.nest)
}
