import { TOMBSTONE, VALUE } from './cells.ts'
import { dropTombstones, makeRoom } from './eviction.ts'
import type { FileCacheConfig } from './options.ts'
import { pragma } from './sqlite/sqlite.ts'
import type { Store } from './store.ts'
import type { Transaction } from './sqlite/transaction.ts'

/** Rows removed, or noted as used, in one transaction. */
const BATCH = 200

/** Milliseconds between two batches of one round. */
const PAUSE = 20

/** Free pages (of 4 KiB) that the file may keep, and how many are given back at a time. */
const SPARE_PAGES = 512
const RETURNED_PAGES = 128

/** The eviction clock learns what was used only once the store is this full. */
const NEARLY_FULL = 0.7

type StateRow = [number, number, number]

/**
 * Removes dead rows, a small batch at a time, and gives the space back to the file system. One
 * process at a time does a round, whichever it is. Failures are ignored here: operations meet them
 * too, and report them.
 */
export class Sweeper {
  readonly #store: Store
  readonly #used: Set<string>
  readonly #config: FileCacheConfig
  #timer: NodeJS.Timeout | undefined

  constructor(store: Store, used: Set<string>, config: FileCacheConfig) {
    this.#store = store
    this.#used = used
    this.#config = config
  }

  start(): void {
    if (this.#timer === undefined)
      this.#next(this.#config.sweepInterval * (0.8 + Math.random() * 0.4))
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #next(wait: number, continued: boolean = false): void {
    this.#timer = setTimeout(() => {
      let more = false
      try {
        more = this.#sweep(Date.now(), continued)
      } catch {
        // Busy, full or broken: the next round tries again.
      }
      if (!this.#store.closed) this.#next(more ? PAUSE : this.#config.sweepInterval, more)
    }, wait)
    this.#timer.unref()
  }

  /** One step of a round. True if there is more to do at once. */
  #sweep(now: number, continued: boolean): boolean {
    // Only an operation creates deleted files again.
    if (!this.#store.isInPlace()) return false
    const { database } = this.#store.withHeader()
    const [entries, bytes, sweptAt] = database
      .statement('SELECT entries, bytes, swept_at FROM meta WHERE id = 1')
      .get() as StateRow
    const { maxEntries, maxBytes, sweepInterval } = this.#config
    const full = entries > maxEntries * NEARLY_FULL || bytes > maxBytes * NEARLY_FULL
    const used = [...this.#used].slice(0, full ? BATCH : Infinity)
    for (const name of used) this.#used.delete(name)
    if (full) this.#noteUsed(used)
    const moreUsed = full && used.length === BATCH

    if (!continued && now >= sweptAt && now < sweptAt + sweepInterval * 0.8) return moreUsed
    const removed = this.#store.transact((tx) => {
      tx.changed = true
      tx.database.statement('UPDATE meta SET swept_at = ? WHERE id = 1').run(now)
      const dead = removeDead(tx)
      if (tx.tombstones > this.#config.maxTombstones) dropTombstones(tx)
      makeRoom(tx, this.#config)
      return dead
    })
    const spare = this.#returnSpace()
    return removed || spare || moreUsed
  }

  #noteUsed(keys: readonly string[]): void {
    if (keys.length === 0) return
    this.#store.transact((tx) => {
      const note = tx.database.statement('UPDATE cells SET used = 1 WHERE key = ? AND used = 0')
      for (const key of keys) if (note.run(key).changes > 0) tx.changed = true
    })
  }

  #returnSpace(): boolean {
    const { database } = this.#store.withHeader()
    const [free] = database.statement('SELECT freelist_count FROM pragma_freelist_count').get() as [
      number,
    ]
    if (free <= SPARE_PAGES) return false
    pragma(database.sqlite, `incremental_vacuum(${RETURNED_PAGES})`)
    return true
  }
}

/** True if a whole batch was removed, so that there may be more. */
function removeDead(tx: Transaction): boolean {
  const values = tx.database
    .statement(
      `DELETE FROM cells WHERE id IN (SELECT id FROM cells WHERE kind = ${VALUE}
       AND dies_at < 9999999999999 AND dies_at <= ? ORDER BY dies_at LIMIT ${BATCH}) RETURNING size`,
    )
    .all(Date.now()) as [number][]
  const tombstones = tx.database
    .statement(
      `DELETE FROM cells WHERE id IN (SELECT id FROM cells WHERE kind = ${TOMBSTONE}
       AND dies_at <= ? ORDER BY dies_at LIMIT ${BATCH}) RETURNING size`,
    )
    .all(tx.now) as [number][]
  for (const [size] of values) tx.bytes -= size
  for (const [size] of tombstones) tx.bytes -= size
  tx.entries -= values.length
  tx.tombstones -= tombstones.length
  return values.length === BATCH || tombstones.length === BATCH
}
