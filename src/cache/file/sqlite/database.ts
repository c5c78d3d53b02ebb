import type { Side } from '../../../side.ts'
import { isWellFormed } from '../../envelope.ts'
import { openSqlite, pragma, type Sqlite, type Statement, transact } from './sqlite.ts'

/** Changes with every incompatible change of the tables. */
export const SCHEMA_VERSION = 3

/**
 * `dies_at` is when the sweep may remove the row: the end of what its token must outlive. Each row
 * is in one of the two partial indexes. `used` is the second chance of the eviction clock, whose
 * hand follows `id`. The floor stands for removed rows (docs/adr/0003-sqlite.md).
 */
const SCHEMA = `
CREATE TABLE cells (
  id INTEGER PRIMARY KEY,
  key TEXT NOT NULL UNIQUE,
  kind INTEGER NOT NULL,
  token TEXT NOT NULL,
  written_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  dies_at INTEGER NOT NULL,
  size INTEGER NOT NULL,
  used INTEGER NOT NULL DEFAULT 0,
  successor TEXT NOT NULL,
  payload NOT NULL
);
CREATE INDEX dying_values ON cells (dies_at) WHERE kind = 1 AND dies_at < 9999999999999;
CREATE INDEX dying_tombstones ON cells (dies_at) WHERE kind = 0;
CREATE TABLE owed (
  seq INTEGER PRIMARY KEY,
  side TEXT NOT NULL,
  key TEXT NOT NULL,
  raw NOT NULL,
  generation TEXT NOT NULL,
  not_before INTEGER NOT NULL,
  UNIQUE (side, key)
);
CREATE TABLE meta (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  version INTEGER NOT NULL,
  boot_id TEXT NOT NULL,
  former_boots TEXT NOT NULL,
  tombstone_ttl INTEGER NOT NULL,
  commits INTEGER NOT NULL DEFAULT 0,
  entries INTEGER NOT NULL DEFAULT 0,
  tombstones INTEGER NOT NULL DEFAULT 0,
  bytes INTEGER NOT NULL DEFAULT 0,
  hand INTEGER NOT NULL DEFAULT 0,
  swept_at INTEGER NOT NULL DEFAULT 0,
  floor_token TEXT NOT NULL DEFAULT '',
  floor_at INTEGER NOT NULL DEFAULT 0,
  owed_off INTEGER NOT NULL DEFAULT 0,
  owed_on INTEGER NOT NULL DEFAULT 0
);`

export interface Identity {
  readonly version: number
  readonly bootId: string
  readonly formerBoots: string
  readonly tombstoneTtl: number
  readonly commits: number
  readonly owed: PerSide
}

export type PerSide = Readonly<Record<Side, number>>

export interface Beginning {
  readonly bootId: string
  readonly formerBoots: string
  readonly tombstoneTtl: number
  readonly floorToken: string
}

/**
 * One connection. With `synchronous=OFF` an acknowledged write is in the system's page cache: it
 * outlives the process however that ends, but not a power loss. Where the two cannot be
 * distinguished (no boot id), writes wait for the disk instead.
 */
export class Database {
  readonly sqlite: Sqlite
  readonly #statements: Map<string, Statement> = new Map()

  constructor(path: string, durability: 'OFF' | 'FULL') {
    this.sqlite = openSqlite(path)
    try {
      // Takes effect only while the file is still empty.
      pragma(this.sqlite, 'auto_vacuum=INCREMENTAL')
      pragma(this.sqlite, 'journal_mode=WAL')
      pragma(this.sqlite, `synchronous=${durability}`)
      // A truncated file would end a process that has it mapped with SIGBUS.
      pragma(this.sqlite, 'mmap_size=0')
      pragma(this.sqlite, 'cell_size_check=ON')
      pragma(this.sqlite, 'cache_size=-8192')
      // A checkpoint runs inside a commit. Small ones stall the event loop less.
      pragma(this.sqlite, 'wal_autocheckpoint=500')
      pragma(this.sqlite, 'journal_size_limit=8388608')
    } catch (error) {
      this.close()
      throw error
    }
  }

  /** What the store records about itself; undefined while it is empty. */
  identity(): Identity | undefined {
    const tables = this.sqlite.prepare("SELECT 1 FROM sqlite_master WHERE name = 'meta'").get()
    if (tables === undefined) return undefined
    const [version] = this.statement('SELECT version FROM meta WHERE id = 1').get() as [number]
    if (version !== SCHEMA_VERSION) {
      const owed = { off: 0, on: 0 }
      return { version, bootId: '', formerBoots: '', tombstoneTtl: 0, commits: 0, owed }
    }
    const [bootId, formerBoots, tombstoneTtl, commits, off, on] = this.statement(
      `SELECT boot_id, former_boots, tombstone_ttl, commits, owed_off, owed_on
       FROM meta WHERE id = 1`,
    ).get() as [string, string, number, number, number, number]
    return { version, bootId, formerBoots, tombstoneTtl, commits, owed: { off, on } }
  }

  create({ bootId, formerBoots, tombstoneTtl, floorToken }: Beginning): void {
    transact(this.sqlite, () => {
      this.sqlite.exec(SCHEMA)
      this.sqlite
        .prepare(
          `INSERT INTO meta (id, version, boot_id, former_boots, tombstone_ttl, floor_token, floor_at)
           VALUES (1, ?, ?, ?, ?, ?, ?)`,
        )
        .run(
          SCHEMA_VERSION,
          bootId,
          formerBoots,
          tombstoneTtl,
          floorToken,
          floorToken === '' ? 0 : Date.now(),
        )
    })
  }

  /** A statement that gives rows as arrays, prepared once for each connection. */
  statement(sql: string): Statement {
    let statement = this.#statements.get(sql)
    if (statement === undefined) {
      statement = this.sqlite.prepare(sql)
      if (/^(?:SELECT|UPDATE.*RETURNING|DELETE.*RETURNING)/s.test(sql)) statement.raw()
      this.#statements.set(sql, statement)
    }
    return statement
  }

  close(): void {
    // libsql keeps the file open until the last statement is collected.
    this.#statements.clear()
    this.sqlite.close()
  }
}

/** SQLite TEXT ends at a NUL and cannot hold a lone surrogate; such a string is kept as UTF-16 bytes. */
export function toSql(text: string): string | Uint8Array {
  return text.includes('\0') || !isWellFormed(text) ? Buffer.from(text, 'utf16le') : text
}

export function fromSql(value: string | Uint8Array): string {
  return typeof value === 'string'
    ? value
    : Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('utf16le')
}
