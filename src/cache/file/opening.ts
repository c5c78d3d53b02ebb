import { isDamage } from './sqlite.ts'
import { SwitchbackError, quote } from '../../errors.ts'
import { ControlFile } from './control-file.ts'
import { Database, type Fences, type Identity, SCHEMA_VERSION } from './database.ts'
import type { FilesIdentity, StoreFiles } from './files.ts'
import { freshToken } from './stamps.ts'

/**
 * Added to the fence of a ledger that was lost: the other side's clock stamps its cells, and may be
 * ahead of this machine's.
 */
const CLOCK_MARGIN = 2000

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
  /** Why the database in `previous` cannot be used any more. */
  readonly damage: unknown
  readonly onWarning: (warning: SwitchbackError) => void
}

/**
 * Opens the store, or makes it, and finds out whether what was acknowledged is still all there. If
 * not, a fresh database is begun, and as the ledger is lost with the old one, both sides are fenced:
 * nothing older than now is trusted.
 *
 * Done by one process at a time. Throws `SQLITE_BUSY` while another one does it.
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
  // By a process that knew what it did: it has fenced what was lost.
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
  if (database !== undefined && previous !== undefined && !replaced) {
    if (now.database !== previous.identity.database) fenceUnknown(opening, control, database)
  }
  if (database === undefined) {
    database = begin(opening, control, whole, loss)
  } else if (!whole) {
    const identity = database.identity()
    control.format(identity?.commits ?? 0, fenceNow(identity?.fences))
    warn(opening, { why: 'its control file was damaged or deleted' })
  }
  control.readHeader()
  return { database, control, generation: control.generation, identity: files.identity() }
}

const NO_FENCES: Fences = { off: 0, on: 0 }

interface Loss {
  readonly why: string
  readonly cause?: unknown
  /** Keep the files for a look. */
  readonly aside?: boolean
}

/** The database that is there, if it is all there. */
function inspect({ files, bootId }: Opening, control: ControlFile | undefined): Database | Loss {
  let database: Database | undefined
  try {
    database = new Database(files.database, durabilityOf(bootId))
    const identity = database.identity()
    if (identity !== undefined && identity.version > SCHEMA_VERSION) throw newer(files.database)
    const loss = lossOf(identity, bootId, control)
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
): Loss | undefined {
  if (identity === undefined) return { why: 'it was emptied' }
  if (identity.version < SCHEMA_VERSION) return { why: 'an older Switchback made it' }
  if (identity.bootId !== bootId) {
    return { why: 'the machine was started anew, and may have lost power' }
  }
  // A writer counts in the control file just before it commits, so that may be ahead by one.
  return control !== undefined && identity.commits < control.commits - 1
    ? { why: 'its last writes are missing', aside: true }
    : undefined
}

/** It must not be replaced: its maker would replace ours in turn. */
function newer(path: string): SwitchbackError {
  return new SwitchbackError('SB_FILE_STORE_NEWER', `A newer Switchback made ${quote(path)}.`, {
    hint: 'Give this version a directory of its own until it is updated too.',
  })
}

function begin(
  opening: Opening,
  control: ControlFile,
  whole: boolean,
  loss: Loss | undefined,
): Database {
  const { files, bootId } = opening
  if (whole) control.renewGeneration()
  if (loss?.aside === true) files.setAside(Date.now())
  else files.removeDatabase()
  files.removeStrayLog()
  files.createDatabase()
  const database = new Database(files.database, durabilityOf(bootId))
  try {
    const known = { off: whole ? control.fence('off') : 0, on: whole ? control.fence('on') : 0 }
    const fences = loss === undefined ? NO_FENCES : fenceNow(known)
    database.create(bootId, loss === undefined ? '' : freshToken(), fences)
    control.format(0, fences)
  } catch (error) {
    database.close()
    throw error
  }
  if (loss !== undefined) warn(opening, loss)
  return database
}

/** Somebody deleted the files, and another process has begun new ones without knowing of the loss. */
function fenceUnknown(opening: Opening, control: ControlFile, database: Database): void {
  const { off, on } = fenceNow()
  const covered = opening.intactAt + CLOCK_MARGIN
  if (control.fence('off') >= covered && control.fence('on') >= covered) return
  control.raiseFence('off', off)
  control.raiseFence('on', on)
  database.sqlite.exec(`UPDATE meta SET fence_off = ${off}, fence_on = ${on}`)
  warn(opening, { why: 'its files were deleted' })
}

function fenceNow(known: Fences = NO_FENCES): Fences {
  const before = Date.now() + CLOCK_MARGIN
  return { off: Math.max(before, known.off), on: Math.max(before, known.on) }
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
      `The file cache in ${quote(files.directory)} begins anew: ${loss.why}.`,
      {
        cause: loss.cause,
        hint: 'Nothing cached before now is trusted, on either side; values load again as they are asked for.',
      },
    ),
  )
}
