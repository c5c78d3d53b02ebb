import { quote, SwitchbackError } from '../../errors.ts'
import { checkNames, type NamesOf } from '../../options.ts'
import {
  ANY,
  type CacheBackend,
  type Entry,
  type InvalidateOptions,
  type InvalidateResult,
  type NamesPage,
  type WriteOptions,
  type WriteResult,
} from '../backend.ts'
import { ABSENT, type Cell, NEVER } from '../cell.ts'
import { newToken } from '../envelope.ts'
import { storageKey } from '../storage-key.ts'
import { evictOver } from './evict-over.ts'

export interface MemoryCacheOptions {
  /** In logs, metrics and health. @default 'memory' */
  readonly name?: string
  /** Values kept; the least recently used goes first. Tombstones count on their own. @default 10_000 */
  readonly maxEntries?: number
  /** How long a tombstone lives, in milliseconds. @default 120_000 */
  readonly tombstoneTtl?: number
}

const OPTIONS: NamesOf<MemoryCacheOptions> = { name: true, maxEntries: true, tombstoneTtl: true }
const DEFAULT_MAX_ENTRIES = 10_000
const DEFAULT_TOMBSTONE_TTL_MS = 120_000

/**
 * A cache in the memory of this process: bounded, synchronous, and gone with it. For tests, and for
 * a process that is alone.
 *
 * @throws SwitchbackError `SB_MEMORY_OPTIONS`
 */
export function memoryCache(options: MemoryCacheOptions = {}): CacheBackend {
  checkNames('memoryCache', options, OPTIONS)
  return new MemoryCache(options)
}

class MemoryCache implements CacheBackend {
  readonly name: string
  readonly tombstoneTtl: number
  readonly #maxEntries: number
  /** Least recently used first. */
  readonly #values = new Map<string, Cell>()
  /** Oldest first: an evicted value must not take with it what guards a deleted one. */
  readonly #tombstones = new Map<string, Cell>()

  constructor(options: MemoryCacheOptions) {
    const { maxEntries = DEFAULT_MAX_ENTRIES } = options
    if (!(Number.isInteger(maxEntries) && maxEntries >= 1)) {
      throw new SwitchbackError(
        'SB_MEMORY_OPTIONS',
        `\`maxEntries\` must be a whole number from 1; got ${quote(maxEntries)}.`,
        { hint: 'Leave it out for 10000.' },
      )
    }
    this.name = options.name ?? 'memory'
    this.tombstoneTtl = options.tombstoneTtl ?? DEFAULT_TOMBSTONE_TTL_MS
    this.#maxEntries = maxEntries
  }

  read(key: string): Cell {
    const name = storageKey(key)
    const cell = this.#values.get(name)
    if (cell === undefined) return this.#readTombstone(name)
    const now = this.now()
    if (now < cell.expiresAt || cell.expiresAt === NEVER) {
      this.#values.delete(name)
      this.#values.set(name, cell)
      return cell
    }
    const diesAt = Math.max(cell.expiresAt, cell.writtenAt) + this.tombstoneTtl
    if (now < diesAt) return { ...cell, state: 'expired', payload: '', stale: cell.payload }
    this.#values.delete(name)
    return ABSENT
  }

  write(key: string, { payload, expiresAt }: Entry, { expect, within }: WriteOptions): WriteResult {
    const refused = expect !== ANY && this.read(key).token !== expect
    if (refused || within < 0) return { written: false, token: '' }
    const name = storageKey(key)
    const token = newToken()
    const writtenAt = this.now()
    this.#drop(name)
    this.#values.set(name, { state: 'value', token, payload, writtenAt, expiresAt, successor: '' })
    evictOver(this.#values, this.#maxEntries)
    return { written: true, token }
  }

  invalidate(key: string, { successor = '', notBefore = 0 }: InvalidateOptions): InvalidateResult {
    const now = this.now()
    const existed = this.read(key).state === 'value'
    if (now < notBefore) return { done: false, existed: false, token: '' }
    return { done: true, existed, token: this.#bury(storageKey(key), successor, now) }
  }

  async clear({ signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    signal?.throwIfAborted()
    const now = this.now()
    for (const name of [...this.#values.keys(), ...this.#tombstones.keys()]) {
      this.#bury(name, '', now)
    }
  }

  async *names(after: string): AsyncGenerator<NamesPage> {
    // It does not outlive its process, so nobody goes on with it.
    if (after === '') yield { names: [...this.#values.keys()], cursor: '' }
  }

  now(): number {
    return Date.now()
  }

  ping(): void {}

  async close(): Promise<void> {
    this.#values.clear()
    this.#tombstones.clear()
  }

  #readTombstone(name: string): Cell {
    const cell = this.#tombstones.get(name)
    return cell === undefined || this.#isOver(cell, this.now()) ? ABSENT : cell
  }

  #bury(name: string, successor: string, now: number): string {
    const token = newToken()
    this.#drop(name)
    this.#tombstones.set(name, { ...ABSENT, state: 'tombstone', token, writtenAt: now, successor })
    for (const [oldest, cell] of this.#tombstones) {
      if (!this.#isOver(cell, now)) break
      this.#tombstones.delete(oldest)
    }
    evictOver(this.#tombstones, this.#maxEntries)
    return token
  }

  #isOver(tombstone: Cell, now: number): boolean {
    return now >= tombstone.writtenAt + this.tombstoneTtl
  }

  #drop(name: string): void {
    this.#values.delete(name)
    this.#tombstones.delete(name)
  }
}
