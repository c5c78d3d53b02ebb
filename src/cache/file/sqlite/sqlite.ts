import { sqliteDriver } from './sqlite-driver.ts'

/** What is used of SQLite, in libsql's words, which are better-sqlite3's. */
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
 * Opens a database file. Calls never wait for a lock, since SQLite would block the event loop
 * meanwhile. They throw `SQLITE_BUSY` instead, and the caller tries again later.
 */
export function openSqlite(path: string): Sqlite {
  return sqliteDriver().open(path)
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
  const { code, errcode, message } = failureOf(error)
  if (errcode !== undefined) return resultName(errcode)
  if (code !== undefined && code !== '') return code
  // libsql gives the result of a failed open in the text only.
  const result = /^ConnectionFailed\(.*: (\d+)"\)$/s.exec(message)?.[1]
  return result === undefined ? '' : resultName(Number(result))
}

/** The errors of Node.js are of another realm where the library runs in one of its own, as in Jest. */
function failureOf(error: unknown): Failure {
  const { code, errcode, message } = (error ?? {}) as Partial<Failure>
  return {
    code: typeof code === 'string' ? code : undefined,
    errcode: typeof errcode === 'number' ? errcode : undefined,
    message: typeof message === 'string' ? message : '',
  }
}

interface Failure {
  readonly code: string | undefined
  /** SQLite's result code, as `node:sqlite` gives it. */
  readonly errcode: number | undefined
  readonly message: string
}

/** SQLite's name of a result code; of an extended one only where it is told from its like. */
function resultName(code: number): string {
  return EXTENDED[code] ?? RESULTS[code & 0xff] ?? 'SQLITE_CANTOPEN'
}

const EXTENDED: Readonly<Record<number, string>> = {
  522: 'SQLITE_IOERR_SHORT_READ',
  778: 'SQLITE_IOERR_WRITE',
  1546: 'SQLITE_IOERR_TRUNCATE',
  4874: 'SQLITE_IOERR_SHMSIZE',
}

const RESULTS: Readonly<Record<number, string>> = {
  1: 'SQLITE_ERROR',
  3: 'SQLITE_PERM',
  5: 'SQLITE_BUSY',
  6: 'SQLITE_LOCKED',
  7: 'SQLITE_NOMEM',
  8: 'SQLITE_READONLY',
  10: 'SQLITE_IOERR',
  11: 'SQLITE_CORRUPT',
  13: 'SQLITE_FULL',
  14: 'SQLITE_CANTOPEN',
  15: 'SQLITE_PROTOCOL',
  19: 'SQLITE_CONSTRAINT',
  24: 'SQLITE_FORMAT',
  26: 'SQLITE_NOTADB',
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
    /^no such (?:table|column)|malformed/.test(failureOf(error).message)
  )
}
