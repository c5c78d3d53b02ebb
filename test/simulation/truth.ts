/**
 * What is true, seen from outside of the caches: versions of an origin, when writes were acknowledged, and
 * what reads returned. A read that starts after a write or delete was acknowledged must not return
 * anything that had come into being before that write began.
 */
export class Truth {
  /** Counts everything that happened, so that times can be compared. */
  #clock = 0
  readonly #versions = new Map<string, number>()
  /** For each value when it came into being; not there: nobody acknowledged it yet. */
  readonly #born = new Map<string, number>()
  readonly #known = new Set<string>()
  /** Of the acknowledged writes of a key, when the one that began last began. */
  readonly #floors = new Map<string, number>()
  /** Keys of which a store was made to forget a cell by itself, which nothing can notice. */
  readonly excused: Set<string> = new Set()
  reads = 0
  writes = 0
  excusedReads = 0
  #names = 0

  /** A new version at the origin; its cache operation begins in this very moment. */
  begin(key: string): { readonly at: number; readonly version: number } {
    const version = (this.#versions.get(key) ?? 0) + 1
    this.#versions.set(key, version)
    this.#clock += 1
    return { at: this.#clock, version }
  }

  /** A value that a write gives to the caches. Each is unique. */
  valueOf(key: string, version: number, by: string = ''): string {
    const value = `${key}.v${version}${by}`
    this.#known.add(value)
    return value
  }

  /** Whoever looks finds it from now on. */
  born(value: string): void {
    this.#clock += 1
    this.#born.set(value, this.#clock)
  }

  /** Unless the set that wrote it is still under way, and may end behind later ones. */
  bornAgain(value: string): void {
    if (this.#born.has(value)) this.born(value)
  }

  isOlder(value: unknown, floor: number): boolean {
    return (this.#born.get(value as string) ?? Number.POSITIVE_INFINITY) < floor
  }

  /** What a loader finds at the origin just now. */
  load(key: string): string {
    this.#names += 1
    const value = `${key}.v${this.#versions.get(key) ?? 0} (load ${this.#names})`
    this.#clock += 1
    this.#known.add(value)
    this.#born.set(value, this.#clock)
    return value
  }

  acknowledged(key: string, at: number, value?: string): void {
    this.writes += 1
    this.#clock += 1
    if (value !== undefined) this.#born.set(value, this.#clock)
    this.#floors.set(key, Math.max(this.#floors.get(key) ?? 0, at))
  }

  /** A write of which its process alone knew is known to all by now. */
  toldLate(key: string, at: number): void {
    this.#floors.set(key, Math.max(this.floor(key), at))
  }

  floor(key: string): number {
    return this.#floors.get(key) ?? 0
  }

  /** What is wrong with a read that began when {@link floor} was `floor`. */
  judge(key: string, floor: number, value: unknown): string | undefined {
    this.reads += 1
    if (value === undefined) return undefined
    if (typeof value !== 'string' || !this.#known.has(value))
      return `${key}: nobody wrote ${String(value)}`
    if (!this.isOlder(value, floor)) return undefined
    if (this.excused.has(key)) {
      this.excusedReads += 1
      return undefined
    }
    return `STALE: a read of ${key} returned ${value}, though a newer write or delete was acknowledged before the read began`
  }
}
