import { isSwitchbackError, messageOf, SwitchbackError } from '../../../errors.ts'
import { loadPeer } from '../../../peers.ts'
import type { Sqlite, Statement } from './sqlite.ts'

export interface Driver {
  readonly name: 'node:sqlite' | 'libsql'
  open(path: string): Sqlite
}

/** What is used of `node:sqlite`, which the types of Node.js 20 do not have. */
interface NodeSqlite {
  readonly DatabaseSync: new (path: string) => DatabaseSync
  readonly StatementSync: { readonly prototype: object }
}

interface DatabaseSync {
  readonly isOpen: boolean
  readonly isTransaction: boolean
  exec(sql: string): void
  prepare(sql: string): StatementSync
  close(): void
}

type StatementSync = Omit<Statement, 'raw'> & { setReturnArrays(arrays: boolean): void }

let driver: Driver | undefined

/**
 * SQLite of Node.js where it has what is used here (22.16 and later), else the package libsql. Not an
 * import: an application that never uses the file cache never loads either.
 *
 * @throws SwitchbackError `SB_PEER_MISSING` when there is neither, `SB_FILE_STORE_UNAVAILABLE` when
 * libsql has nothing for this platform
 */
export function sqliteDriver(): Driver {
  return (driver ??= nodeDriver() ?? libsqlDriver())
}

export function nodeDriver(): Driver | undefined {
  const sqlite = ofNode()
  if (sqlite === undefined) return undefined
  return { name: 'node:sqlite', open: (path) => new NodeDatabase(new sqlite.DatabaseSync(path)) }
}

export function libsqlDriver(): Driver {
  const Database = libsql()
  return { name: 'libsql', open: (path) => new Database(path, { timeout: 0 }) }
}

function ofNode(): NodeSqlite | undefined {
  const { emitWarning } = process
  // Node.js 22 calls it experimental, in a warning to every application that uses a file cache. What is
  // used of it is held by tests on each Node.js.
  process.emitWarning = () => {}
  try {
    const sqlite = process.getBuiltinModule?.('node:sqlite') as NodeSqlite | undefined
    const statement = sqlite?.StatementSync?.prototype ?? {}
    return 'setReturnArrays' in statement ? sqlite : undefined
  } finally {
    process.emitWarning = emitWarning
  }
}

type Libsql = new (path: string, options: { readonly timeout: number }) => Sqlite

function libsql(): Libsql {
  try {
    return loadPeer('libsql', 'fileCache') as Libsql
  } catch (error) {
    if (isSwitchbackError(error) && error.hint === 'npm i libsql') throw error
    throw new SwitchbackError(
      'SB_FILE_STORE_UNAVAILABLE',
      `The file cache cannot load the package libsql: ${messageOf(error)}`,
      {
        hint: 'Install without --omit=optional; libsql is prebuilt for Linux, macOS and Windows on x64 and arm64. Node.js 22.16 and later need no package.',
        cause: error,
      },
    )
  }
}

/** Node.js's, as libsql has it. Its calls never wait for a lock by default. */
class NodeDatabase implements Sqlite {
  readonly #database: DatabaseSync

  constructor(database: DatabaseSync) {
    this.#database = database
  }

  get inTransaction(): boolean {
    return this.#database.isTransaction
  }

  exec(sql: string): void {
    this.#database.exec(sql)
  }

  prepare(sql: string): Statement {
    return Object.assign(this.#database.prepare(sql), { raw }) as StatementSync & Statement
  }

  close(): void {
    if (this.#database.isOpen) this.#database.close()
  }
}

function raw(this: StatementSync & Statement): Statement {
  this.setReturnArrays(true)
  return this
}
