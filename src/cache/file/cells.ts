import { ABSENT, type Cell, type CellState } from '../cell.ts'
import { type Database, fromSql, toSql } from './sqlite/database.ts'
import { newToken } from '../envelope.ts'
import type { Transaction } from './sqlite/transaction.ts'

export const TOMBSTONE = 0
export const VALUE = 1

/** What a row takes beside its key and payload: its columns and its places in three indexes. */
const ROW_BYTES = 100

/** Of the floor, the kind is null. */
type SelectedRow = [string, number, number | null, number, string, string | Uint8Array]

/** The cell of a key; where it has no row, a tombstone while the floor lives. */
export function readCell(database: Database, key: string, now: number, tombstoneTtl: number): Cell {
  // One statement for both: beginning a second one costs as much as all the rest.
  const [token, writtenAt, kind, expiresAt, successor, payload] = database
    .statement(
      `SELECT token, written_at, kind, expires_at, successor, payload FROM cells WHERE key = ?
       UNION ALL SELECT floor_token, floor_at, NULL, 0, '', '' FROM meta LIMIT 1`,
    )
    .get(key) as SelectedRow
  if (kind === null) return floorCell(token, writtenAt, now, tombstoneTtl)
  const state = stateOf(kind, writtenAt, expiresAt, now, tombstoneTtl)
  if (state === 'expired') {
    const stale = fromSql(payload)
    return { state, token, payload: '', writtenAt, expiresAt, successor: '', stale }
  }
  return {
    state,
    token,
    payload: state === 'value' ? fromSql(payload) : '',
    writtenAt,
    expiresAt: state === 'value' ? expiresAt : 0,
    successor: state === 'tombstone' ? successor : '',
  }
}

/** In one look, so many that a page of them is soon done with. */
const NAMES = 500

/** The names of values in their order, behind one of them. */
export function namesBehind(database: Database, name: string): string[] {
  const rows = database
    .statement(
      `SELECT key FROM cells WHERE key > ? AND kind = ${VALUE} ORDER BY key LIMIT ${NAMES}`,
    )
    .all(name) as [string][]
  return rows.map(([key]) => key)
}

function floorCell(token: string, at: number, now: number, tombstoneTtl: number): Cell {
  return token === '' || now >= at + tombstoneTtl
    ? ABSENT
    : { ...ABSENT, state: 'tombstone', token, writtenAt: at }
}

function stateOf(
  kind: number,
  writtenAt: number,
  expiresAt: number,
  now: number,
  tombstoneTtl: number,
): CellState {
  if (kind === VALUE) {
    // An expiry is a date, by the host's clock; `now` is the store's.
    const date = Date.now()
    if (date < expiresAt) return 'value'
    // The date may have passed before the value was written, if its writer's clock was behind.
    return date < expiresAt + tombstoneTtl || now < writtenAt + tombstoneTtl ? 'expired' : 'absent'
  }
  return now < writtenAt + tombstoneTtl ? 'tombstone' : 'absent'
}

/** What a writer has to know of the row that it replaces. */
export interface Found {
  readonly exists: boolean
  readonly token: string
  readonly state: CellState
  readonly kind: number
  readonly size: number
}

type PeekedRow = [number, string, number, number, number]

export function peek(tx: Transaction, key: string, tombstoneTtl: number): Found {
  const { now } = tx
  const row = tx.database
    .statement('SELECT kind, token, written_at, expires_at, size FROM cells WHERE key = ?')
    .get(key) as PeekedRow | undefined
  if (row === undefined) {
    const { state, token } = floorCell(tx.floorToken, tx.floorAt, now, tombstoneTtl)
    return { exists: false, token, state, kind: TOMBSTONE, size: 0 }
  }
  const [kind, token, writtenAt, expiresAt, size] = row
  const state = stateOf(kind, writtenAt, expiresAt, now, tombstoneTtl)
  return { exists: true, token, state, kind, size }
}

export interface NewCell {
  readonly kind: number
  readonly payload: string
  /** 0 for a tombstone. */
  readonly expiresAt: number
  readonly successor: string
}

export function sizeOf(key: string, payload: string): number {
  return Buffer.byteLength(key) + Buffer.byteLength(payload) + ROW_BYTES
}

/** Replaces what was found, and keeps count. The result is the new token. */
export function store(
  tx: Transaction,
  key: string,
  found: Found,
  { kind, payload, expiresAt, successor }: NewCell,
  tombstoneTtl: number,
): string {
  const token = newToken()
  const size = sizeOf(key, payload)
  const diesAt = Math.max(kind === VALUE ? expiresAt : 0, tx.now) + tombstoneTtl
  tx.database
    .statement(
      `INSERT INTO cells
       (kind, token, written_at, expires_at, dies_at, size, successor, payload, key)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (key) DO UPDATE SET kind = excluded.kind, token = excluded.token,
       written_at = excluded.written_at, expires_at = excluded.expires_at,
       dies_at = excluded.dies_at, size = excluded.size, used = 1,
       successor = excluded.successor, payload = excluded.payload`,
    )
    .run(kind, token, tx.now, expiresAt, diesAt, size, successor, toSql(payload), key)
  if (found.exists) {
    if (found.kind === VALUE) tx.entries--
    else tx.tombstones--
  }
  if (kind === VALUE) tx.entries++
  else tx.tombstones++
  tx.bytes += size - found.size
  tx.changed = true
  return token
}
