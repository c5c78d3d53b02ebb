/**
 * One load at a time per key *and miss token*: a reader that started after an acknowledged write or
 * delete sees another token and so never joins a load that began before it.
 */
export class Flights {
  readonly #flights = new Map<string, Promise<unknown>>()

  /** Joins the flight under way, or starts one. */
  join<T>(id: string, start: () => Promise<T>): Promise<T> {
    const underWay = this.#flights.get(id)
    if (underWay !== undefined) return underWay as Promise<T>
    const flight = start().finally(() => this.#flights.delete(id))
    this.#flights.set(id, flight)
    return flight
  }

  get size(): number {
    return this.#flights.size
  }
}
