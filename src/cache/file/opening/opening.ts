import { isDamage, transact } from '../sqlite/sqlite.ts'
import { SwitchbackError, quote } from '../../../errors.ts'
import { ControlFile } from '../ledger/control-file.ts'
import { Database, type Identity, SCHEMA_VERSION } from '../sqlite/database.ts'
import type { FilesIdentity, StoreFiles } from './files.ts'
import { newToken } from '../../envelope.ts'
import { tombstoneTtlRaised } from '../../warn.ts'
import { formerBoots, judgeBoot } from './machine.ts'

/** A store that is open. */
export interface Opened {
  readonly database: Database
  readonly control: ControlFile
  /** Of the control file, when this was opened. */
  readonly generation: number
  readonly identity: FilesIdentity
}

export interface Opening {
  readonly files: StoreFiles
  readonly bootId: string
  /** What this process had open until now, closed already. */
  readonly previous: Opened | undefined
  /** When the files of `previous` were last seen in their place. */
  readonly intactAt: number
  /** Why the database in `previous` can no longer be used. */
  readonly damage: unknown
  readonly tombstoneTtl: number
  readonly onWarning: (warning: SwitchbackError) => void
}

/**
 * Opens the store, or makes it, and checks whether everything acknowledged is still there. If not,
 * a fresh database is made, and as the ledger is lost with the old one, neither side is trusted
 * until its own clock has been asked (`FENCE_UNKNOWN`). Done by one process at a time; throws
 * `SQLITE_BUSY` while another one does it.
 */
export function openStore(opening: Opening): Opened {
  opening.files.makeDirectory()
  return opening.files.exclusively(() => {
    const control = new ControlFile(opening.files.control)
    try {
      return openWith(opening, control)
    } catch (error) {
      control.close()
      throw error
    }
  })
}

function openWith(opening: Opening, control: ControlFile): Opened {
  const { files, previous } = opening
  const whole = control.isWhole()
  const now = files.identity()
  // By a process that has fenced what was lost.
  const replaced =
    previous !== undefined &&
    whole &&
    now.control === previous.identity.control &&
    control.generation !== previous.generation
  let database: Database | undefined
  let loss: Loss | undefined
  if (!files.hasDatabase()) {
    if (whole || previous !== undefined) loss = { why: 'it was deleted' }
  } else if (opening.damage !== undefined && !replaced) {
    loss = { why: reason(opening.damage), cause: opening.damage, aside: true }
  } else {
    const found = inspect(opening, whole ? control : undefined)
    if (found instanceof Database) database = found
    else loss = found
  }
  if (database === undefined) {
    database = begin(opening, control, whole, loss)
  } else {
    try {
      keep(opening, control, whole, database)
      const deleted = previous !== undefined && now.database !== previous.identity.database
      // The files were deleted, and another process has made new ones without knowing of the loss.
      if (deleted && !replaced && control.lostAt < opening.intactAt) {
        control.setLost(Date.now())
        warn(opening, { why: 'its files were deleted' })
      }
    } catch (error) {
      database.close()
      throw error
    }
  }
  control.read()
  return { database, control, generation: control.generation, identity: files.identity() }
}

/** Continues with the existing database. */
function keep(opening: Opening, control: ControlFile, whole: boolean, database: Database): void {
  const { bootId, tombstoneTtl } = opening
  const identity = database.identity()!
  const longest = Math.max(tombstoneTtl, identity.tombstoneTtl)
  if (!whole) {
    const { commits, owed } = identity
    control.format({ commits, owed, tombstoneTtl: longest, lostAt: Date.now() })
    warn(opening, { why: 'its control file was damaged or deleted' })
  }
  // A process without a readable boot id left none.
  const adopts = identity.bootId === '' && bootId !== ''
  if (adopts || longest > identity.tombstoneTtl) {
    transact(database.sqlite, () => {
      database
        .statement(
          `UPDATE meta SET tombstone_ttl = max(tombstone_ttl, ?),
           boot_id = CASE boot_id WHEN '' THEN ? ELSE boot_id END WHERE id = 1`,
        )
        .run(longest, bootId)
      control.setTombstoneTtl(longest)
    })
  }
  if (longest > tombstoneTtl) {
    opening.onWarning(tombstoneTtlRaised(tombstoneTtl, longest, quote(opening.files.directory)))
  }
}

interface Loss {
  readonly why: string
  readonly cause?: unknown
  /** Keeps the files for inspection. */
  readonly aside?: boolean
  /** Remembered by the next database. */
  readonly formerBoots?: string
}

/** The database that is there, if it is all there. */
function inspect({ files, bootId }: Opening, control: ControlFile | undefined): Database | Loss {
  let database: Database | undefined
  try {
    database = new Database(files.database, durabilityOf(bootId))
    const identity = database.identity()
    if (identity !== undefined && identity.version > SCHEMA_VERSION) throw newer(files.database)
    const loss = lossOf(identity, bootId, control, files)
    if (loss === undefined) return database
    database.close()
    return loss
  } catch (error) {
    database?.close()
    if (!isDamage(error)) throw error
    return { why: reason(error), cause: error, aside: true }
  }
}

function lossOf(
  identity: Identity | undefined,
  bootId: string,
  control: ControlFile | undefined,
  files: StoreFiles,
): Loss | undefined {
  if (identity === undefined) return { why: 'it was emptied' }
  if (identity.version < SCHEMA_VERSION) return { why: 'an older Switchback made it' }
  const boot = judgeBoot(bootId, identity.bootId, identity.formerBoots)
  if (boot === 'shared') throw shared(files.directory)
  if (boot === 'restarted') {
    const why = 'the machine was restarted, and may have lost power'
    return { why, formerBoots: formerBoots(identity.bootId, identity.formerBoots) }
  }
  // A writer counts in the control file just before it commits, so that may be ahead by one.
  return control !== undefined && identity.commits < control.commits - 1
    ? { why: 'its last writes are missing', aside: true }
    : undefined
}

function shared(directory: string): SwitchbackError {
  return new SwitchbackError(
    'SB_DIRECTORY_SHARED',
    `Another machine uses the file cache in ${quote(directory)} too.`,
    {
      hint: 'Give each machine a directory on its own disk. If the other machine is gone, delete the directory.',
    },
  )
}

/** It must not be replaced: its maker would replace ours in turn. */
function newer(path: string): SwitchbackError {
  return new SwitchbackError(
    'SB_FILE_STORE_NEWER',
    `A newer version of Switchback made ${quote(path)}.`,
    {
      hint: 'Give this version its own directory until it is updated too.',
    },
  )
}

function begin(
  opening: Opening,
  control: ControlFile,
  whole: boolean,
  loss: Loss | undefined,
): Database {
  const { files, bootId, tombstoneTtl } = opening
  if (whole) control.renewGeneration()
  if (loss?.aside === true) files.setAside(Date.now())
  else files.removeDatabase()
  files.removeStrayLog()
  files.createDatabase()
  const database = new Database(files.database, durabilityOf(bootId))
  try {
    database.create({
      bootId,
      formerBoots: loss?.formerBoots ?? '',
      tombstoneTtl,
      floorToken: loss === undefined ? '' : newToken(),
    })
    const lostAt = loss === undefined ? 0 : Date.now()
    control.format({ commits: 0, owed: { off: 0, on: 0 }, tombstoneTtl, lostAt })
  } catch (error) {
    database.close()
    throw error
  }
  if (loss !== undefined) warn(opening, loss)
  return database
}

function durabilityOf(bootId: string): 'OFF' | 'FULL' {
  return bootId === '' ? 'FULL' : 'OFF'
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function warn({ files, onWarning }: Opening, loss: Loss): void {
  onWarning(
    new SwitchbackError(
      loss.aside === true ? 'SB_FILE_STORE_DAMAGED' : 'SB_FILE_STORE_RESET',
      `The file cache in ${quote(files.directory)} was reset: ${loss.why}.`,
      {
        cause: loss.cause,
        hint: 'Nothing cached before now is trusted, on either side; values load again as they are asked for.',
      },
    ),
  )
}
