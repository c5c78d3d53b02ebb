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
  type Membership,
  type NamesPage,
  type WriteOptions,
  type WriteResult,
} from '../backend.ts'
import type { Cell } from '../cell.ts'
import { storageKey } from '../storage-key.ts'
import {
  namesBehind,
  type NewCell,
  peek,
  readCell,
  sizeOf,
  store as storeCell,
  TOMBSTONE,
  VALUE,
} from './cells.ts'
import { sqliteDriver } from './sqlite/sqlite-driver.ts'
import { makeRoom, raiseFloor } from './eviction.ts'
import { FileLedger } from './ledger/ledger.ts'
import { type OnWarning, Warnings } from '../warn.ts'
import { configOf, type FileCacheConfig, type FileCacheOptions } from './options.ts'
import { Store } from './store.ts'
import { Sweeper } from './sweeper.ts'

/** Rows removed in one transaction by `clear`. */
const CLEARED = 500

/** Values noted as used for the eviction clock between two looks of the sweeper. */
const MAX_USED = 2000

const REFUSED: WriteResult = Object.freeze({ written: false, token: '' })
const NOT_DONE: InvalidateResult = Object.freeze({ done: false, existed: false, token: '' })

/** A cache in files, shared by the processes of one machine. */
export interface FileCache extends CacheBackend {
  readonly ledger: Ledger
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * A cache in the files of a local directory: it outlives restarts and `kill -9`, is shared safely
 * by all processes of the machine, and keeps within its bounds. Nothing is touched before the first
 * use. Operations answer synchronously, and with a promise only while another process writes; their
 * errors are in docs/errors.md.
 *
 * @throws SwitchbackError `SB_FILE_OPTION_INVALID`; `SB_PEER_MISSING` or
 * `SB_FILE_STORE_UNAVAILABLE` when neither this Node.js nor the package libsql has SQLite for it
 */
export function fileCache(options: FileCacheOptions): FileCache {
  const warnings = new Warnings()
  const config = configOf(options, warnings.tell)
  // A missing package is reported here: later it would look like a side that is down.
  sqliteDriver()
  return new SqliteFileCache(config, warnings)
}

class SqliteFileCache implements FileCache {
  readonly name: string = 'file'
  readonly ledger: Ledger
  readonly #config: FileCacheConfig
  readonly #store: Store
  /** Values read since the sweeper last asked. */
  readonly #used: Set<string> = new Set()
  readonly #sweeper: Sweeper
  readonly #warnings: Warnings

  constructor(config: FileCacheConfig, warnings: Warnings) {
    this.#config = config
    this.#warnings = warnings
    this.#store = new Store(config)
    this.#sweeper = new Sweeper(this.#store, this.#used, config)
    this.#store.onOpen = () => this.#sweeper.start()
    this.ledger = new FileLedger(this.#store)
  }

  get tombstoneTtl(): number {
    return this.#config.tombstoneTtl
  }

  read(key: string): MaybePromise<Cell> {
    const name = storageKey(key)
    return this.#store.run(() => this.#load(name))
  }

  write(key: string, entry: Entry, options: WriteOptions): MaybePromise<WriteResult> {
    const name = storageKey(key)
    const size = sizeOf(name, entry.payload)
    if (size > this.#config.maxBytes) throw tooLarge(key, size, this.#config.maxBytes)
    const { within } = options
    if (within <= 0) return REFUSED
    const until = performance.now() + within
    return this.#store.run(() => this.#write(name, entry, options, until), within)
  }

  invalidate(key: string, options: InvalidateOptions): MaybePromise<InvalidateResult> {
    const name = storageKey(key)
    if (options.notBefore !== undefined && this.now() < options.notBefore) return NOT_DONE
    const { successor = '', within } = options
    const until = performance.now() + within
    return this.#store.run(() => this.#invalidate(name, successor, until), within)
  }

  async clear({ signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    signal?.throwIfAborted()
    const last = await this.#store.run(() =>
      this.#store.transact((tx) => {
        // Stands for every row that goes now, and refuses fillers that saw nothing.
        raiseFloor(tx)
        const [id] = tx.database.statement('SELECT max(id) FROM cells').get() as [number | null]
        return id ?? 0
      }),
    )
    while ((await this.#store.run(() => this.#clearSome(last))) === CLEARED) {
      await setImmediate()
      signal?.throwIfAborted()
    }
  }

  async *names(after: string, signal?: AbortSignal): AsyncGenerator<NamesPage> {
    let cursor = after
    for (;;) {
      signal?.throwIfAborted()
      const names = await this.#store.run(() =>
        namesBehind(this.#store.withHeader().database, cursor),
      )
      cursor = names.at(-1) ?? ''
      if (cursor === '') return
      yield { names, cursor }
      await setImmediate()
    }
  }

  onWarning(listener: OnWarning): void {
    this.#warnings.to(listener)
  }

  /** Two caches in one directory are two stores. */
  join({ pair }: Membership): void {
    this.#store.use(pair)
  }

  now(): number {
    try {
      return this.#store.withHeader().control.now()
    } catch {
      // Nothing can be read, so nothing is served either.
      return Date.now()
    }
  }

  /** Commits something: a store that cannot be written to cannot serve. */
  ping(): MaybePromise<void> {
    return this.#store.run(() =>
      this.#store.transact((tx) => {
        tx.changed = true
      }),
    )
  }

  async close(): Promise<void> {
    this.#sweeper.stop()
    this.#store.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #load(name: string): Cell {
    const { control, database } = this.#store.withHeader()
    const cell = readCell(database, name, control.now(), this.tombstoneTtl)
    if (cell.state === 'value' && this.#used.size < MAX_USED) this.#used.add(name)
    return cell
  }

  /**
   * @param until `performance.now()` after which nothing is written, however long the process was
   * stopped
   */
  #write(name: string, entry: Entry, options: WriteOptions, until: number): WriteResult {
    const { expiresAt, payload } = entry
    const { expect, stands } = options
    return this.#store.transact((tx) => {
      // From here on all other writers wait for this transaction.
      if (performance.now() > until) return REFUSED
      const found = peek(tx, name, this.tombstoneTtl)
      if (expect !== ANY && (expect !== found.token || stands?.() === false)) return REFUSED
      const cell: NewCell = { kind: VALUE, payload, expiresAt, successor: '' }
      const token = storeCell(tx, name, found, cell, this.tombstoneTtl)
      makeRoom(tx, this.#config)
      return { written: true, token }
    })
  }

  #invalidate(name: string, successor: string, until: number): InvalidateResult {
    return this.#store.transact((tx) => {
      if (performance.now() > until) return NOT_DONE
      const found = peek(tx, name, this.tombstoneTtl)
      const cell: NewCell = { kind: TOMBSTONE, payload: '', expiresAt: 0, successor }
      const token = storeCell(tx, name, found, cell, this.tombstoneTtl)
      makeRoom(tx, this.#config)
      return { done: true, existed: found.state === 'value', token }
    })
  }

  #clearSome(last: number): number {
    return this.#store.transact((tx) => {
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
