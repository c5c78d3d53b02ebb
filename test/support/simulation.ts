import {
  ABSENT,
  ANY,
  type CacheBackend,
  type Cell,
  type Entry,
  type InvalidateOptions,
  type InvalidateResult,
  type Ledger,
  type WriteOptions,
  type WriteResult,
} from '../../src/cache/index.ts'
import { SwitchbackError } from '../../src/errors.ts'
import { deferred } from './deferred.ts'

/** A seeded generator (mulberry32), so that every run can be replayed. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

/**
 * Decides who moves next. Everything that could happen in another order on a real machine waits here
 * for its turn, and time is virtual, so that thousands of schedules run in a second.
 */
export class Schedule {
  readonly random: () => number
  now = 1_000_000
  /** No more answers get lost. */
  calm = false
  readonly #waiting: (() => void)[] = []

  constructor(seed: number) {
    this.random = seeded(seed)
  }

  chance(probability: number): boolean {
    return this.random() < probability
  }

  pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.random() * from.length)]!
  }

  /** Waits for a turn. */
  turn(): Promise<void> {
    const { promise, resolve } = deferred<void>()
    this.#waiting.push(() => resolve())
    return promise
  }

  /** Gives turns at random until nobody waits. */
  async run(): Promise<void> {
    for (;;) {
      // All that follows from the last turn without another one happens before the next.
      await new Promise((resolve) => setImmediate(resolve))
      if (this.#waiting.length === 0) return
      const [next] = this.#waiting.splice(Math.floor(this.random() * this.#waiting.length), 1)
      this.now += 1 + (this.chance(0.1) ? Math.floor(this.random() * 60) : 0)
      next!()
    }
  }
}

/** What the two stores of a machine hold, shared by the simulated processes. */
export class SimulatedStore {
  readonly cells: Map<string, Cell> = new Map()
  /** Changes with each restart: what was on its way to the old server never arrives. */
  life = 0
  #tokens = 0

  /** Restarts with what it held at some time. */
  restart(cells: ReadonlyMap<string, Cell>): void {
    this.life += 1
    this.cells.clear()
    for (const [key, cell] of cells) this.cells.set(key, cell)
  }

  token(): string {
    this.#tokens += 1
    return `t${this.#tokens}`
  }

  read(key: string): Cell {
    return this.cells.get(key) ?? ABSENT
  }

  write(key: string, entry: Entry, expect: string, now: number): WriteResult {
    if (expect !== ANY && this.read(key).token !== expect) return { written: false, token: '' }
    const token = this.token()
    const { payload, expiresAt } = entry
    this.cells.set(key, {
      state: 'value',
      token,
      payload,
      expiresAt,
      writtenAt: now,
      successor: '',
    })
    return { written: true, token }
  }

  invalidate(key: string, successor: string, now: number): InvalidateResult {
    const existed = this.read(key).state === 'value'
    const token = this.token()
    this.cells.set(key, { ...ABSENT, state: 'tombstone', token, successor, writtenAt: now })
    return { done: true, existed, token }
  }
}

export interface LinkOptions {
  readonly schedule: Schedule
  readonly store: SimulatedStore
  readonly ledger?: Ledger
  /** Probability that an answer does not come in time. */
  readonly timeouts: number
  /** False: the store applies at once, like a file; true: requests travel. */
  readonly remote: boolean
}

/**
 * One process's way to a store. A request that times out may be applied before, a while after, or
 * never; the store refuses it once its own clock has passed the request's bound.
 */
export class SimulatedLink implements CacheBackend {
  readonly name: string
  readonly tombstoneTtl = 1_000_000_000
  readonly ledger?: Ledger
  readonly #options: LinkOptions

  constructor(name: string, options: LinkOptions) {
    this.name = name
    this.#options = options
    if (options.ledger !== undefined) this.ledger = options.ledger
  }

  read(key: string): Cell | Promise<Cell> {
    return this.#request(DEADLINE_MS, false, () => this.#options.store.read(key))
  }

  write(
    key: string,
    entry: Entry,
    { expect, within }: WriteOptions,
  ): WriteResult | Promise<WriteResult> {
    const { store, schedule } = this.#options
    return this.#request(
      within,
      true,
      () => store.write(key, entry, expect, schedule.now),
      () => ({ written: false, token: '' }),
    )
  }

  invalidate(
    key: string,
    { within, successor = '', notBefore = 0 }: InvalidateOptions,
  ): InvalidateResult | Promise<InvalidateResult> {
    const { store, schedule } = this.#options
    const refused: InvalidateResult = { done: false, existed: false, token: '' }
    return this.#request(
      within,
      successor !== '',
      () => (schedule.now < notBefore ? refused : store.invalidate(key, successor, schedule.now)),
      () => refused,
    )
  }

  async clear(): Promise<void> {
    this.#options.store.cells.clear()
  }

  now(): number {
    return this.#options.schedule.now
  }

  async ping(): Promise<void> {}

  async close(): Promise<void> {}

  #request<T>(within: number, bounded: boolean, apply: () => T, refuse?: () => T): T | Promise<T> {
    const { schedule, remote, timeouts } = this.#options
    if (!remote) return apply()
    // The client's estimate of the store's clock is wrong by up to this much.
    const until = schedule.now + within + Math.floor(schedule.random() * 50)
    const { life } = this.#options.store
    const arrive = (): T => {
      if (this.#options.store.life !== life) throw new Error('the connection was lost')
      return bounded && refuse !== undefined && schedule.now > until ? refuse() : apply()
    }
    return !schedule.calm && schedule.chance(timeouts)
      ? this.#lose(within, arrive)
      : this.#travel(arrive)
  }

  async #travel<T>(arrive: () => T): Promise<T> {
    await this.#options.schedule.turn()
    const reply = arrive()
    await this.#options.schedule.turn()
    return reply
  }

  async #lose<T>(within: number, arrive: () => T): Promise<T> {
    const { schedule } = this.#options
    const sentAt = schedule.now
    if (schedule.chance(0.7)) {
      void schedule
        .turn()
        .then(() => (schedule.chance(0.5) ? schedule.turn() : undefined))
        .then(arrive)
        .catch(() => undefined)
    }
    await schedule.turn()
    schedule.now = Math.max(schedule.now, sentAt + within)
    throw new SwitchbackError('SB_DEADLINE', `${this.name} did not answer`)
  }
}

export const DEADLINE_MS = 100
