import { AsyncLocalStorage } from 'node:async_hooks'
import type { Loader } from '../../cache/index.ts'
import type { Side } from '../../side.ts'

/** One load under way, which may itself ask a cache. */
export class Flight<T = unknown> {
  /** Token of the cell that it is to replace, and the fence of its side then. */
  readonly token: string
  readonly fence: number
  /** By `performance.now()`. */
  readonly startedAt: number = performance.now()
  /** The load inside which it began, of whichever cache. */
  readonly parent: Flight | undefined = callerFlight()
  /** The loads that it waits for, once there are any. */
  waitsFor: Set<Flight> | undefined
  /** False while it may still wait for one of the places in which loads run. */
  placed: boolean = this.parent !== undefined
  ended = false
  /** The value that it ends in. */
  result!: Promise<T>

  constructor(token: string, fence: number) {
    this.token = token
    this.fence = fence
  }
}

/** The place of loads whose key neither side can be trusted with. */
export const NOWHERE = 'nowhere'

/**
 * The latest load of each key on each side. `loads.ts` decides who may take a load's value; here
 * only loads are left out that would make a caller wait in vain.
 */
export class Flights {
  readonly #flights = new Map<string, Flight>()

  /**
   * A load of the key under way that missed the same and is not older than `maxAgeMs`. The fence moves
   * where an acknowledged write could not leave a token.
   */
  find(
    side: Side | typeof NOWHERE,
    key: string,
    token: string,
    fence: number,
    maxAgeMs: number,
  ): Flight | undefined {
    const flight = this.#flights.get(side + key)
    if (flight === undefined || flight.token !== token) return undefined
    if (flight.fence !== fence) return undefined
    if (performance.now() - flight.startedAt > maxAgeMs) return undefined
    return waitsForCaller(flight) ? undefined : flight
  }

  /** From now on other callers may find it. */
  add(side: Side | typeof NOWHERE, key: string, flight: Flight): void {
    this.#flights.set(side + key, flight)
  }

  /** @param side where others may have found it */
  ended(side: Side | typeof NOWHERE, key: string, flight: Flight): void {
    flight.ended = true
    const id = side + key
    if (this.#flights.get(id) === flight) this.#flights.delete(id)
  }

  /** The key was written or deleted here: no caller joins a load from before. */
  drop(key: string): void {
    if (this.#flights.size === 0) return
    this.#flights.delete(`off${key}`)
    this.#flights.delete(`on${key}`)
    this.#flights.delete(NOWHERE + key)
  }
}

/** The flight's result. Records meanwhile that the load from which this is called waits for it. */
export function landing<T>(flight: Flight<T>): Promise<T> {
  const waitsFor = waitsOf(callerFlight())
  if (waitsFor === undefined) return flight.result
  waitsFor.add(flight)
  return flight.result.finally(() => waitsFor.delete(flight))
}

function waitsOf(caller: Flight | undefined): Set<Flight> | undefined {
  return caller && (caller.waitsFor ??= new Set())
}

const context = new AsyncLocalStorage<Flight>()
let running = 0
let ending = false

function callerFlight(): Flight | undefined {
  let flight = running === 0 ? undefined : context.getStore()
  while (flight?.ended === true) flight = flight.parent
  return flight
}

/** Runs a loader, which has one of the places in which loads run. */
export function runLoader<T>(flight: Flight, load: Loader<T>): T | Promise<T> {
  flight.placed = true
  running += 1
  let loaded: T | Promise<T>
  try {
    loaded = context.run(flight, load)
  } catch (error) {
    loaderEnded()
    throw error
  }
  if (loaded instanceof Promise) return loaded.finally(loaderEnded)
  loaderEnded()
  return loaded
}

/**
 * On Node 20 a context makes every `await` of the process more expensive, so it exists only while
 * loaders run. A microtask ends it, since the loads of one turn begin one behind the other.
 */
function loaderEnded(): void {
  running -= 1
  if (running > 0 || ending) return
  ending = true
  void Promise.resolve().then(() => {
    ending = false
    if (running === 0) context.disable()
  })
}

/**
 * Whether the flight, directly or through others, waits for the load from which this is called: for
 * its value, or for its place.
 */
function waitsForCaller(flight: Flight): boolean {
  const caller = callerFlight()
  if (caller === undefined) return false
  if (!flight.placed) return true
  const seen = new Set<Flight>()
  const reaches = (from: Flight): boolean => {
    if (from === caller) return true
    if (seen.has(from)) return false
    seen.add(from)
    return [...(from.waitsFor ?? [])].some(reaches)
  }
  return reaches(flight)
}
