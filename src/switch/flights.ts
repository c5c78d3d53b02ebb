import { AsyncLocalStorage } from 'node:async_hooks'
import type { Side } from '../side.ts'

/** One load under way, with the value that it ends in. */
export interface Flight<T = unknown> {
  /** The token that was missed. */
  readonly token: string
  /** By `performance.now()`. */
  readonly startedAt: number
  readonly result: Promise<T>
  readonly nest: Nest
}

/**
 * The latest load of each key on each side. Who may take a load's value is decided by whoever joins
 * (`loads.ts`); here only loads are left out that would make somebody wait in vain.
 */
export class Flights {
  readonly #flights = new Map<string, Flight>()

  /** A load of the key under way that missed the same token and is not older than `maxAgeMs`. */
  find(side: Side, key: string, token: string, maxAgeMs: number): Flight | undefined {
    const flight = this.#flights.get(side + key)
    if (flight === undefined || flight.token !== token) return undefined
    if (performance.now() - flight.startedAt > maxAgeMs) return undefined
    return waitsForCaller(flight) ? undefined : flight
  }

  start<T>(side: Side, key: string, token: string, load: () => Promise<T>): Flight<T> {
    const id = side + key
    const flight = startFlight(token, load, () => {
      if (this.#flights.get(id) === flight) this.#flights.delete(id)
    })
    this.#flights.set(id, flight)
    return flight
  }

  /** The key was written or deleted here: nobody joins what began before. */
  drop(key: string): void {
    if (this.#flights.size === 0) return
    this.#flights.delete(`off${key}`)
    this.#flights.delete(`on${key}`)
  }

  get size(): number {
    return this.#flights.size
  }
}

/** A load that nobody joins. */
export function startFlight<T>(
  token: string,
  load: () => Promise<T>,
  onEnd: () => void = () => {},
): Flight<T> {
  const parent = callerNest()
  const nest: Nest = { parent, waitsFor: new Set(), placed: parent !== undefined, ended: false }
  const result = runIn(nest, load).finally(() => {
    nest.ended = true
    onEnd()
  })
  return { token, startedAt: performance.now(), result, nest }
}

/** Whether this is called from within a load, of whichever cache. */
export function isNested(): boolean {
  return callerNest() !== undefined
}

/** The flight's result. Notes meanwhile that the load from which this is called waits for it. */
export async function landing<T>(flight: Flight<T>): Promise<T> {
  const caller = callerNest()
  const { nest } = flight
  if (caller === undefined) return flight.result
  caller.waitsFor.add(nest)
  try {
    return await flight.result
  } finally {
    caller.waitsFor.delete(nest)
  }
}

/** A load that may itself ask a cache, and what it waits for there. */
interface Nest {
  readonly parent: Nest | undefined
  readonly waitsFor: Set<Nest>
  /** False while it may yet wait for one of the places in which loads run. */
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

/** On Node 20 such a context makes every `await` of the process dearer, so it is off while nothing loads. */
async function runIn<T>(nest: Nest, load: () => Promise<T>): Promise<T> {
  running += 1
  try {
    return await context.run(nest, load)
  } finally {
    running -= 1
    if (running === 0) context.disable()
  }
}

/** The load from which this is called has got one of the places in which loads run. */
export function takePlace(): void {
  const nest = callerNest()
  if (nest !== undefined) nest.placed = true
}

/**
 * Whether the flight, directly or through others, waits for the load from which this is called: for its
 * value, or for the place that it holds.
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
