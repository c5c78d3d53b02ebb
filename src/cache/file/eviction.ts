import { TOMBSTONE, VALUE } from './cells.ts'
import type { FileCacheConfig } from './options.ts'
import { newToken } from '../envelope.ts'
import type { Transaction } from './sqlite/transaction.ts'

/** Rows that the clock's hand passes in one step. */
const STEP = 32

/** Most steps within one write, so that it stays short. The next write goes on. */
const MAX_STEPS = 64

/** Tombstones that give way to the floor at a time. */
const DROPPED = 500

type ClockRow = [number, number, number, number, number, string]

/**
 * Brings the store back within its bounds, inside the transaction of a write that may have exceeded
 * them. Eviction is a clock: its hand goes round by age and removes each value that was not used
 * since its last visit. A value younger than a tombstone lifetime leaves a tombstone, since a slow
 * filler that saw the cell before must still be refused.
 */
export function makeRoom(tx: Transaction, config: FileCacheConfig): void {
  if (tx.tombstones > config.maxTombstones) dropTombstones(tx)
  if (tx.entries <= config.maxEntries && tx.bytes <= config.maxBytes) return
  // A little more than needed, so that not each write has to come here.
  const entries = config.maxEntries - Math.min(16, config.maxEntries >> 5)
  const bytes = config.maxBytes - (config.maxBytes >> 8)
  for (let step = 0; step < MAX_STEPS; step++) {
    const rows = tx.database
      .statement(
        `SELECT id, kind, used, written_at, size, key FROM cells WHERE id > ? ORDER BY id LIMIT ${STEP}`,
      )
      .all(tx.hand) as ClockRow[]
    for (const row of rows) {
      if (tx.entries <= entries && tx.bytes <= bytes) return
      pass(tx, row, config.tombstoneTtl)
    }
    if (rows.length < STEP) tx.hand = 0
  }
  // Nothing but tombstones takes the space.
  if (tx.bytes > config.maxBytes) dropTombstones(tx)
}

function pass(tx: Transaction, row: ClockRow, tombstoneTtl: number): void {
  const [id, kind, used, writtenAt, size, key] = row
  tx.hand = id
  tx.changed = true
  if (kind !== VALUE) return
  if (used !== 0) {
    tx.database.statement('UPDATE cells SET used = 0 WHERE id = ?').run(id)
    return
  }
  tx.entries--
  tx.bytes -= size
  if (tx.now >= writtenAt + tombstoneTtl) {
    tx.database.statement('DELETE FROM cells WHERE id = ?').run(id)
    return
  }
  const left = Buffer.byteLength(key) + 100
  tx.database
    .statement(
      `UPDATE cells SET kind = ${TOMBSTONE}, token = ?, expires_at = 0, dies_at = ?, size = ?,
       successor = '', payload = '' WHERE id = ?`,
    )
    .run(newToken(), writtenAt + tombstoneTtl, left, id)
  tx.tombstones++
  tx.bytes += left
}

/** Removes the oldest tombstones; the floor records in their place that something was there. */
export function dropTombstones(tx: Transaction): void {
  const rows = tx.database
    .statement(
      `DELETE FROM cells WHERE id IN
       (SELECT id FROM cells WHERE kind = ${TOMBSTONE} ORDER BY dies_at LIMIT ${DROPPED})
       RETURNING size`,
    )
    .all() as [number][]
  if (rows.length === 0) return
  tx.tombstones -= rows.length
  for (const [size] of rows) tx.bytes -= size
  raiseFloor(tx)
}

/** See `database.ts` on the floor. */
export function raiseFloor(tx: Transaction): void {
  tx.floorToken = newToken()
  tx.floorAt = tx.now
  tx.changed = true
}
