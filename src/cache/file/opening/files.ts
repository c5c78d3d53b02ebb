import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { errorCode, isDamage, openSqlite, type Sqlite } from '../sqlite/sqlite.ts'

/** Sets of damaged files kept for inspection; older ones are removed. */
const KEPT_DAMAGED = 3

const PARTS = ['', '-wal', '-shm'] as const

/**
 * As `mkdirSync` with `recursive`, which on Node 20 never ends where a directory exists in which none
 * can be made and which says ENOENT (below /proc), and which hides a read-only disk behind ENOENT.
 */
function makePath(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 })
  } catch (error) {
    const code = errorCode(error)
    if (code === 'EEXIST' && statSync(path).isDirectory()) return
    const parent = dirname(path)
    if (code !== 'ENOENT' || parent === path || existsSync(parent)) throw error
    makePath(parent)
    mkdirSync(path, { mode: 0o700 })
  }
}

/** Device and inode of each file; `''` for one that is missing. */
export interface FilesIdentity {
  readonly database: string
  readonly control: string
}

/** The files of one store. */
export class StoreFiles {
  readonly directory: string
  readonly database: string
  readonly control: string
  readonly #lock: string
  /** Its existence says that other machines were met. */
  readonly #others: string
  readonly #name: string

  constructor(directory: string, name: string) {
    this.directory = directory
    this.#name = name
    this.database = join(directory, `${name}.db`)
    this.control = join(directory, `${name}.control`)
    this.#lock = join(directory, `${name}.lock`)
    this.#others = join(directory, `${name}.others`)
  }

  makeDirectory(): void {
    makePath(this.directory)
  }

  hasDatabase(): boolean {
    return existsSync(this.database)
  }

  /** SQLite gives its other files the mode of this one. */
  createDatabase(): void {
    closeSync(openSync(this.database, 'wx', 0o600))
  }

  get others(): boolean {
    return existsSync(this.#others)
  }

  meetOthers(): void {
    closeSync(openSync(this.#others, 'a', 0o600))
  }

  /** Identifies these files, to notice that they were deleted or replaced. */
  identity(): FilesIdentity {
    return { database: identityOf(this.database), control: identityOf(this.control) }
  }

  /**
   * Runs `work` while no other process does. The lock is SQLite's own on an empty file, so that the
   * system releases it whatever ends the process. Throws `SQLITE_BUSY` if it is taken.
   */
  exclusively<T>(work: () => T): T {
    const lock = this.#takeLock()
    try {
      return work()
    } finally {
      lock.close()
    }
  }

  /** Renames the database out of the way. */
  setAside(now: number): string {
    const aside = `${this.database}.damaged-${new Date(now).toISOString().replace(/[:.]/g, '')}`
    for (const part of PARTS) {
      if (existsSync(this.database + part)) renameSync(this.database + part, aside + part)
    }
    this.#forgetOldDamage()
    return aside
  }

  removeDatabase(): void {
    for (const part of PARTS) rmSync(this.database + part, { force: true })
  }

  /** A log without its database would be taken for the log of the next one. */
  removeStrayLog(): void {
    rmSync(`${this.database}-wal`, { force: true })
    rmSync(`${this.database}-shm`, { force: true })
  }

  #takeLock(): Sqlite {
    if (!existsSync(this.#lock)) closeSync(openSync(this.#lock, 'a', 0o600))
    for (let tries = 0; ; tries++) {
      const lock = openSqlite(this.#lock)
      try {
        // Without a journal, which an exclusive transaction begins at once, it needs no room on the disk.
        lock.exec('PRAGMA journal_mode=MEMORY; BEGIN EXCLUSIVE')
        return lock
      } catch (error) {
        lock.close()
        if (!isDamage(error) || tries > 0) throw error
        truncateSync(this.#lock)
      }
    }
  }

  #forgetOldDamage(): void {
    const prefix = `${this.#name}.db.damaged-`
    const sets = readdirSync(this.directory)
      .filter((file) => file.startsWith(prefix) && !/-(?:wal|shm)$/.test(file))
      .sort()
    for (const file of sets.slice(0, -KEPT_DAMAGED)) {
      for (const part of PARTS) rmSync(join(this.directory, file + part), { force: true })
    }
  }
}

function identityOf(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false })
  return stat === undefined ? '' : `${stat.dev}:${stat.ino}`
}
