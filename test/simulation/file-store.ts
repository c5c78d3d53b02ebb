import {
  ABSENT,
  ANY,
  type Cell,
  type CellState,
  type Due,
  type Entry,
  type InvalidateOptions,
  type InvalidateResult,
  type Heard,
  type Ledger,
  type MaybePromise,
  type Owed,
  type WriteOptions,
  type WriteResult,
} from '../../src/cache/index.ts'
import { FENCE_UNKNOWN, type FileCache } from '../../src/cache/index.ts'
import { SwitchbackError } from '../../src/errors.ts'
import type { Side } from '../../src/side.ts'
import type { Machine } from './machine.ts'
import { DELAYS } from './redis-server.ts'

interface Row {
  readonly kind: 'value' | 'tombstone'
  readonly token: string
  readonly payload: string
  readonly writtenAt: number
  readonly expiresAt: number
  readonly successor: string
}

/** The files that the programs of the machine share, with the meaning of the shipped store. */
export class Disk {
  readonly rows: Map<string, Row> = new Map()
  floor: { readonly token: string; readonly at: number } = { token: '', at: 0 }
  readonly owed: Record<Side, Map<string, Owed>> = { off: new Map(), on: new Map() }
  readonly fences: Record<Side, number> = { off: 0, on: 0 }
  /** Another number each time that a side is distrusted as a whole; 0: it is not. */
  readonly distrusts: Record<Side, number> = { off: 0, on: 0 }
  readonly heard: Record<Side, Heard | undefined> = { off: undefined, on: undefined }
  /** Of what is owed. */
  generations = 0
  clock = 0
  offset = 0
  /** Another program is in a transaction. */
  lockedUntil = 0
  /** No write finds room; the control file can still be changed. */
  fullUntil = 0
  /** Nothing can be read. */
  brokenUntil = 0
  readonly machine: Machine
  plainly: number
  /** What is over is removed at once, as by a round of the shipped store's sweeper. */
  sweeps = false
  /** A side is distrusted. */
  onFence: (side: Side) => void = () => undefined
  #tokens = 0
  readonly #span: number

  constructor(machine: Machine, plainly: number, span: number = DELAYS.length) {
    this.machine = machine
    this.plainly = plainly
    this.#span = span
  }

  /** Never behind what it has stamped, though the host's clock is set back. */
  now(): number {
    return Math.max(Date.now() + this.offset, this.clock)
  }

  stamp(): number {
    const now = this.now()
    this.offset = Math.max(0, now - Date.now())
    this.clock = now
    return now
  }

  token(): string {
    this.#tokens += 1
    return `f${String(this.#tokens).padStart(11, '0')}`
  }

  /**
   * Until when one transaction does not get its turn. Who waits asks again and again, and others may be
   * luckier: this is of one, not of all.
   */
  turn(): number {
    const wait =
      DELAYS[
        this.machine.choices.take(`${this.machine.running?.name} writes`, this.#span, this.plainly)
      ]!
    return wait > 0.2 ? this.machine.now + wait : 0
  }
}

const PATIENCE_MS = 1000

/** One program's way to the files. */
export class DiskCache implements FileCache {
  readonly name: string = 'file'
  readonly tombstoneTtl: number
  readonly ledger: Ledger
  readonly #disk: Disk
  #closed = false

  constructor(disk: Disk, tombstoneTtl: number) {
    this.tombstoneTtl = tombstoneTtl
    this.#disk = disk
    this.ledger = new DiskLedger(disk, this)
  }

  read(key: string): MaybePromise<Cell> {
    this.check()
    const cell = this.#cell(key)
    this.#note('reads', key, cell.payload)
    return cell
  }

  #note(what: 'reads' | 'puts' | 'refused' | 'marks', key: string, value: string): void {
    const { trace, running } = this.#disk.machine
    trace?.push({ process: running?.name ?? '', what, place: 'F', key, value })
  }

  write(key: string, entry: Entry, options: WriteOptions): MaybePromise<WriteResult> {
    const { expect, within, stands } = options
    if (within <= 0) return { written: false, token: '' }
    const until = this.#disk.machine.now + within
    return this.change(Math.min(within, PATIENCE_MS), () => {
      if (this.#disk.machine.now > until) return { written: false, token: '' }
      if (expect !== ANY && (expect !== this.#cell(key).token || stands?.() === false)) {
        this.#note('refused', key, entry.payload)
        return { written: false, token: '' }
      }
      this.#note('puts', key, entry.payload)
      const token = this.#put(key, { ...entry, kind: 'value', successor: '' })
      return { written: true, token }
    })
  }

  invalidate(key: string, options: InvalidateOptions): MaybePromise<InvalidateResult> {
    const { successor = '', notBefore = 0, within } = options
    if (this.now() < notBefore) return { done: false, existed: false, token: '' }
    const until = this.#disk.machine.now + within
    return this.change(Math.min(within, PATIENCE_MS), () => {
      if (this.#disk.machine.now > until) return { done: false, existed: false, token: '' }
      const existed = this.#cell(key).state === 'value'
      this.#note('marks', key, '')
      const token = this.#put(key, { kind: 'tombstone', payload: '', expiresAt: 0, successor })
      return { done: true, existed, token }
    })
  }

  async clear(): Promise<void> {
    const disk = this.#disk
    await this.change(PATIENCE_MS, () => {
      disk.floor = { token: disk.token(), at: this.now() }
    })
    await this.change(PATIENCE_MS, () => {
      disk.rows.clear()
      disk.machine.tell(() => 'the files are emptied by clear')
    })
  }

  now(): number {
    return this.#disk.now()
  }

  ping(): MaybePromise<void> {
    return this.change(PATIENCE_MS, () => void this.#disk.stamp())
  }

  async close(): Promise<void> {
    this.#closed = true
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  check(): void {
    if (this.#closed)
      throw new SwitchbackError('SB_FILE_STORE_CLOSED', 'The file cache was closed.')
    if (this.#disk.machine.now < this.#disk.brokenUntil) {
      throw new SwitchbackError('SB_FILE_STORE_FAILED', 'The disk cannot be read.')
    }
  }

  /** One transaction: at once, or when the other programs let go. */
  change<T>(patience: number, work: () => T): MaybePromise<T> {
    this.check()
    const { machine, lockedUntil } = this.#disk
    const free = Math.max(this.#disk.turn(), lockedUntil)
    if (machine.now >= free) return this.#commit(work)
    return this.#wait(machine.now + patience, free, work)
  }

  async #wait<T>(deadline: number, free: number, work: () => T): Promise<T> {
    const { machine } = this.#disk
    let until = free
    while (machine.now < until) {
      const left = deadline - machine.now
      if (left <= 0) {
        throw new SwitchbackError('SB_FILE_STORE_BUSY', 'Other processes hold the lock.')
      }
      await machine.pause(Math.min(left, Math.max(until - machine.now, 0.1)))
      until = Math.max(until, this.#disk.lockedUntil)
    }
    // As the shipped store: what waited is tried once more, and a write looks for itself whether its time is up.
    return this.#commit(work)
  }

  #commit<T>(work: () => T): T {
    this.check()
    if (this.#disk.machine.now < this.#disk.fullUntil) {
      throw new SwitchbackError('SB_FILE_STORE_FULL', 'No space left.')
    }
    return work()
  }

  #put(key: string, row: Omit<Row, 'token' | 'writtenAt'>): string {
    const disk = this.#disk
    const token = disk.token()
    disk.rows.set(key, { ...row, token, writtenAt: disk.stamp() })
    disk.machine.tell(() => {
      const what = row.kind === 'value' ? row.payload : 'a tombstone'
      const names = row.successor === '' ? '' : ` naming ${row.successor}`
      return `${disk.machine.running?.name ?? '?'} writes ${what}${names} to the files for ${key} [${token}]`
    })
    return token
  }

  #cell(key: string): Cell {
    const now = this.now()
    const ttl = this.tombstoneTtl
    let row = this.#disk.rows.get(key)
    if (row !== undefined && this.#disk.sweeps && stateOf(row, now, ttl) === 'absent') {
      this.#disk.rows.delete(key)
      row = undefined
    }
    if (row === undefined) {
      const { token, at } = this.#disk.floor
      const over = token === '' || now >= at + ttl
      return over ? ABSENT : { ...ABSENT, state: 'tombstone', token, writtenAt: at }
    }
    const { token, writtenAt, expiresAt, successor, payload } = row
    const state = stateOf(row, now, ttl)
    const live = state === 'value'
    return {
      state,
      token,
      payload: live ? payload : '',
      writtenAt,
      expiresAt: live || state === 'expired' ? expiresAt : 0,
      successor: state === 'tombstone' ? successor : '',
      ...(state === 'expired' && { stale: payload }),
    }
  }
}

function stateOf(row: Row, now: number, ttl: number): CellState {
  if (row.kind === 'tombstone') return now < row.writtenAt + ttl ? 'tombstone' : 'absent'
  // An expiry is a date, by the host's clock.
  const date = Date.now()
  if (date < row.expiresAt) return 'value'
  return date < row.expiresAt + ttl || now < row.writtenAt + ttl ? 'expired' : 'absent'
}

class DiskLedger implements Ledger {
  readonly #disk: Disk
  readonly #cache: DiskCache

  constructor(disk: Disk, cache: DiskCache) {
    this.#disk = disk
    this.#cache = cache
  }

  owes(side: Side, key: string): boolean {
    this.#cache.check()
    return this.#disk.owed[side].has(key)
  }

  owe(side: Side, key: string, notBefore: number, within = PATIENCE_MS): MaybePromise<void> {
    return this.#cache.change(Math.min(within, PATIENCE_MS), () => {
      const before = this.#disk.owed[side].get(key)?.notBefore ?? 0
      this.#disk.generations += 1
      const generation = String(this.#disk.generations)
      // Who is noted again is the last.
      this.#disk.owed[side].delete(key)
      this.#disk.owed[side].set(key, {
        side,
        key,
        generation,
        notBefore: Math.max(before, notBefore),
      })
      this.#disk.machine.tell(
        () =>
          `${this.#disk.machine.running?.name ?? '?'} notes: an invalidation of ${key} is pending on ${side}`,
      )
    })
  }

  list(side: Side, limit: number, due?: Due): readonly Owed[] {
    this.#cache.check()
    const { now, latest } = due ?? { now: Number.MAX_SAFE_INTEGER, latest: 0 }
    return [...this.#disk.owed[side].values()]
      .filter(({ notBefore }) => notBefore <= now || notBefore > latest)
      .slice(0, limit)
  }

  settle({ side, key, generation }: Owed): MaybePromise<boolean> {
    return this.#cache.change(PATIENCE_MS, () => {
      if (this.#disk.owed[side].get(key)?.generation !== generation) return false
      this.#disk.machine.tell(
        () =>
          `${this.#disk.machine.running?.name ?? '?'} settles the invalidation of ${key} on ${side}`,
      )
      return this.#disk.owed[side].delete(key)
    })
  }

  count(side: Side): number {
    this.#cache.check()
    return this.#disk.owed[side].size
  }

  /** Stands in the control file, which needs no lock. */
  fence(side: Side, before: number): void {
    this.#cache.check()
    const { machine, fences, distrusts } = this.#disk
    this.#disk.onFence(side)
    if (before < FENCE_UNKNOWN) fences[side] = Math.max(fences[side], before)
    else {
      this.#disk.generations += 1
      distrusts[side] = FENCE_UNKNOWN + this.#disk.generations
    }
    machine.tell(() => {
      const what = before < FENCE_UNKNOWN ? `what ${side} holds from before ${before}` : side
      return `${machine.running?.name ?? '?'} distrusts ${what}`
    })
  }

  writeOff(side: Side): () => Promise<void> {
    const last = this.#disk.generations
    const owed = this.#disk.owed[side]
    return async () => {
      try {
        await this.#cache.change(PATIENCE_MS, () => {
          for (const { key, generation } of owed.values())
            if (Number(generation) <= last) owed.delete(key)
        })
      } catch {
        // Still owed.
      }
    }
  }

  fencedBefore(side: Side): number {
    this.#cache.check()
    return this.#disk.distrusts[side] || this.#disk.fences[side]
  }

  trustedFrom(side: Side, key: string): number {
    return this.owes(side, key) ? Number.POSITIVE_INFINITY : this.fencedBefore(side)
  }

  replaceFence(side: Side, from: number, before: number): boolean {
    this.#cache.check()
    if (this.fencedBefore(side) !== from) return false
    const { fences, distrusts } = this.#disk
    // What was raised meanwhile stays, as another number.
    fences[side] = distrusts[side] === 0 ? before : Math.max(fences[side] + 1, before)
    distrusts[side] = 0
    return true
  }

  era(side: Side): number {
    return this.#disk.heard[side]?.era ?? 0
  }

  server(side: Side): number {
    return this.#disk.heard[side]?.server ?? 0
  }

  adopt(side: Side, from: number, heard: Heard, before: number): boolean {
    this.#cache.check()
    if (this.era(side) !== from) return false
    const { fences, distrusts } = this.#disk
    const least = distrusts[side] === 0 ? fences[side] + 1 : 0
    fences[side] = Math.max(fences[side], before, least)
    this.#disk.heard[side] = heard
    this.#disk.machine.tell(
      () => `${this.#disk.machine.running?.name ?? '?'} goes over to another era of ${side}`,
    )
    return true
  }
}
