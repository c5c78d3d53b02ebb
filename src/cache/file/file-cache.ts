import { setImmediate } from 'node:timers/promises'
import { quote, SwitchbackError } from '../../errors.ts'
import {
  ANY,
  type CacheBackend,
  type Entry,
  type InvalidateOptions,
  type InvalidateResult,
  type Ledger,
  type MaybePromise,
  type WriteOptions,
  type WriteResult,
} from '../backend.ts'
import type { Cell } from '../cell.ts'
import { storageKey } from '../storage-key.ts'
import {
  cellOf,
  type NewCell,
  peek,
  readFloor,
  readRow,
  sizeOf,
  store as storeCell,
  TOMBSTONE,
  VALUE,
} from './cells.ts'
import { slotOf } from './control-file.ts'
import { makeRoom, raiseFloor } from './eviction.ts'
import { FileLedger } from './ledger.ts'
import { Memory } from './memory.ts'
import { configOf, type FileCacheConfig, type FileCacheOptions } from './options.ts'
import { isCurrent, Store } from './store.ts'
import { Sweeper } from './sweeper.ts'

/** Rows removed in one transaction by `clear`. */
const CLEARED = 500

const REFUSED: WriteResult = Object.freeze({ written: false, token: '' })
const NOT_DONE: InvalidateResult = Object.freeze({ done: false, existed: false, token: '' })

/** A cache in files, shared by the processes of one machine. */
export interface FileCache extends CacheBackend {
  readonly ledger: Ledger
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * A cache in the files of a local directory: it outlives restarts and `kill -9`, is shared safely by
 * all processes of the machine, and keeps within its bounds. Nothing is touched before the first use.
 *
 * Operations answer synchronously, and with a promise only while another process writes. They throw
 * (or reject with) a `SwitchbackError`: `SB_FILE_STORE_FULL`, `SB_FILE_STORE_READONLY`,
 * `SB_FILE_STORE_DIRECTORY`, `SB_FILE_STORE_BUSY`, `SB_FILE_STORE_NEWER`, `SB_FILE_STORE_UNAVAILABLE`,
 * `SB_FILE_STORE_FAILED`, `SB_FILE_STORE_CLOSED`; and
 * `SB_KEY_INVALID`, `SB_KEY_TOO_LONG`, `SB_VALUE_TOO_LARGE` for what they were given.
 *
 * @throws SwitchbackError `SB_FILE_OPTION_INVALID`
 */
export function fileCache(options: FileCacheOptions): FileCache {
  return new SqliteFileCache(configOf(options))
}

class SqliteFileCache implements FileCache {
  readonly name: string = 'file'
  readonly tombstoneTtl: number
  readonly ledger: Ledger
  readonly #config: FileCacheConfig
  readonly #store: Store
  readonly #memory: Memory
  readonly #sweeper: Sweeper

  constructor(config: FileCacheConfig) {
    this.tombstoneTtl = config.tombstoneTtl
    this.#config = config
    this.#store = new Store(config)
    this.#memory = new Memory(config.maxMemory)
    this.#sweeper = new Sweeper(this.#store, this.#memory, config)
    this.#store.onOpen = () => this.#sweeper.start()
    this.ledger = new FileLedger(this.#store)
  }

  read(key: string): MaybePromise<Cell> {
    const copy = this.#memory.get(key)
    if (copy !== undefined) {
      const now = Date.now()
      try {
        if (this.#store.current(now).control.slotStamp(copy.slot) === copy.stamp) {
          if (!copy.used) this.#memory.touch(copy)
          return now < copy.cell.expiresAt ? copy.cell : cellOf(copy.row, now, this.tombstoneTtl)
        }
      } catch {
        // The long way meets the same failure, and overcomes or reports it.
      }
      this.#memory.delete(key)
    }
    const name = storageKey(key)
    return this.#store.run(() => this.#load(key, name))
  }

  write(key: string, entry: Entry, options: WriteOptions): MaybePromise<WriteResult> {
    const name = storageKey(key)
    const size = sizeOf(name, entry.payload)
    if (size > this.#config.maxBytes) throw tooLarge(key, size, this.#config.maxBytes)
    if (options.within <= 0) return REFUSED
    return this.#store.run(
      () => this.#write(key, name, size, entry, options.expect),
      options.within,
    )
  }

  invalidate(key: string, options: InvalidateOptions): MaybePromise<InvalidateResult> {
    const name = storageKey(key)
    if (options.notBefore !== undefined && this.now() < options.notBefore) return NOT_DONE
    return this.#store.run(
      () => this.#invalidate(key, name, options.successor ?? ''),
      options.within,
    )
  }

  async clear({ signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    signal?.throwIfAborted()
    const last = await this.#store.run(() =>
      this.#store.transact(0, (tx) => {
        // Stands for every row that goes now, and refuses whoever filled while nothing was there.
        raiseFloor(tx, this.now())
        const [id] = tx.database.statement('SELECT max(id) FROM cells').get() as [number | null]
        return id ?? 0
      }),
    )
    while ((await this.#store.run(() => this.#clearSome(last))) === CLEARED) {
      await setImmediate()
      signal?.throwIfAborted()
    }
    await this.#store.run(() => this.#store.withHeader().control.renewSlots())
  }

  now(): number {
    return Date.now()
  }

  /** Commits something: a store that cannot be written to cannot serve. */
  ping(): MaybePromise<void> {
    return this.#store.run(() =>
      this.#store.transact(0, (tx) => {
        tx.changed = true
      }),
    )
  }

  async close(): Promise<void> {
    this.#sweeper.stop()
    this.#store.close()
    this.#memory.clear()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** The order matters: header, stamp, row. See `control-file.ts`. */
  #load(key: string, name: string): Cell {
    const opened = this.#store.withHeader()
    const slot = slotOf(name)
    const stamp = opened.control.slotStamp(slot)
    const row = readRow(opened.database, name)
    const now = Date.now()
    if (row === undefined) return readFloor(opened.database, now, this.tombstoneTtl)
    const cell = cellOf(row, now, this.tombstoneTtl)
    // The database may have been replaced between stamp and row: then the row is not what it stands for.
    if (stamp !== 0 && isCurrent(opened)) {
      this.#memory.set(key, { storageKey: name, row, cell, slot, stamp })
    }
    return cell
  }

  #write(key: string, name: string, size: number, entry: Entry, expect: string): WriteResult {
    const { expiresAt, payload } = entry
    this.#memory.delete(key)
    return this.#store.transact(slotOf(name), (tx) => {
      const writtenAt = Date.now()
      const found = peek(tx, name, writtenAt, this.tombstoneTtl)
      if (expect !== ANY && expect !== found.token) return REFUSED
      const diesAt = expiresAt + this.tombstoneTtl
      const cell: NewCell = { kind: VALUE, payload, writtenAt, expiresAt, diesAt, successor: '' }
      const token = storeCell(tx, name, found, cell, size)
      makeRoom(tx, this.#config, writtenAt)
      return { written: true, token }
    })
  }

  #invalidate(key: string, name: string, successor: string): InvalidateResult {
    this.#memory.delete(key)
    return this.#store.transact(slotOf(name), (tx) => {
      const writtenAt = Date.now()
      const found = peek(tx, name, writtenAt, this.tombstoneTtl)
      const diesAt = writtenAt + this.tombstoneTtl
      const cell: NewCell = {
        kind: TOMBSTONE,
        payload: '',
        writtenAt,
        expiresAt: 0,
        diesAt,
        successor,
      }
      const token = storeCell(tx, name, found, cell, sizeOf(name, ''))
      makeRoom(tx, this.#config, writtenAt)
      return { done: true, existed: found.state === 'value', token }
    })
  }

  #clearSome(last: number): number {
    return this.#store.transact(0, (tx) => {
      const rows = tx.database
        .statement(
          `DELETE FROM cells WHERE id IN (SELECT id FROM cells WHERE id <= ? ORDER BY id
           LIMIT ${CLEARED}) RETURNING kind, size`,
        )
        .all(last) as [number, number][]
      for (const [kind, size] of rows) {
        if (kind === VALUE) tx.entries--
        else tx.tombstones--
        tx.bytes -= size
      }
      tx.changed = rows.length > 0
      return rows.length
    })
  }
}

function tooLarge(key: string, size: number, maxBytes: number): SwitchbackError {
  return new SwitchbackError(
    'SB_VALUE_TOO_LARGE',
    `The value of ${quote(key)} takes ${size} bytes, more than the whole file cache may (${maxBytes}).`,
    { hint: 'Raise maxBytes, or do not cache values of this size.' },
  )
}
