import { loadPeer } from '../../peers.ts'

/** What is used of `libsql`, whose interface is better-sqlite3's. */
export interface Sqlite {
  readonly inTransaction: boolean
  exec(sql: string): void
  prepare(sql: string): Statement
  close(): void
}

export type SqlValue = string | number | Uint8Array | null

export interface Statement {
  raw(): Statement
  run(...values: readonly SqlValue[]): { readonly changes: number }
  get(...values: readonly SqlValue[]): unknown
  all(...values: readonly SqlValue[]): unknown
}

/**
 * Opens a database file. Calls never wait for a lock: SQLite would block the event loop meanwhile.
 * They throw `SQLITE_BUSY` instead, and whoever called tries again later.
 */
export function openSqlite(path: string): Sqlite {
  // Not an import: an application that never uses the file cache never loads the native code.
  const Database = loadPeer('libsql', 'fileCache') as new (
    path: string,
    options: { readonly timeout: number },
  ) => Sqlite
  return new Database(path, { timeout: 0 })
}

export function pragma(db: Sqlite, text: string): void {
  db.prepare(`PRAGMA ${text}`).all()
}

/** Runs `work` as one transaction that owns the write lock from its start. */
export function transact<T>(db: Sqlite, work: () => T): T {
  db.exec('BEGIN IMMEDIATE')
  try {
    const result = work()
    db.exec('COMMIT')
    return result
  } catch (error) {
    // Some errors (a full disk among them) have rolled the transaction back already.
    if (db.inTransaction) db.exec('ROLLBACK')
    throw error
  }
}

/** The SQLite or system error code of a failure, `''` if it has none. */
export function errorCode(error: unknown): string {
  if (!(error instanceof Error)) return ''
  if ('code' in error && typeof error.code === 'string') return error.code
  // libsql gives the result of a failed open in the text only.
  const result = /^ConnectionFailed\(.*: (\d+)"\)$/s.exec(error.message)?.[1]
  return result === undefined ? '' : (OPEN_RESULTS[result] ?? 'SQLITE_CANTOPEN')
}

const OPEN_RESULTS: Readonly<Record<string, string>> = {
  '5': 'SQLITE_BUSY',
  '8': 'SQLITE_READONLY',
  '10': 'SQLITE_IOERR',
  '11': 'SQLITE_CORRUPT',
  '13': 'SQLITE_FULL',
  '26': 'SQLITE_NOTADB',
}

/** Another process holds the lock, or was recovering the log: the same call will succeed later. */
export function isBusy(error: unknown): boolean {
  return /^SQLITE_(?:BUSY|LOCKED|PROTOCOL)/.test(errorCode(error))
}

/**
 * The files are not what SQLite wrote. A short read is a log that was cut off while in use, and a
 * missing table a file that was emptied.
 */
export function isDamage(error: unknown): boolean {
  return (
    /^SQLITE_(?:CORRUPT|NOTADB|IOERR_SHORT_READ|FORMAT)/.test(errorCode(error)) ||
    (error instanceof Error && /^no such (?:table|column)|malformed/.test(error.message))
  )
}
