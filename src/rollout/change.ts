import { isSwitchbackError, messageOf, SwitchbackError } from '../errors.ts'
import { apply, type Applied } from './apply.ts'
import { confirm, type Confirmation } from './confirm.ts'
import type { FlagsDocument } from './document.ts'
import { changesNothing, type FlagsEdit } from './edit.ts'
import { type HistoryNote, readHistory } from './history.ts'
import { locate } from './location.ts'
import { parseFlagdUrl } from './ofrep.ts'
import { addPilot, removePilot } from './pilot.ts'
import { type FileLock, lockFile } from './lock.ts'
import { type Probes, probesForEdit } from './probes.ts'
import { loadFlags } from './read.ts'
import { isBroken, keepLastGood, remedy, restore, setAside } from './restore.ts'
import { rollBack } from './roll-back.ts'
import { setShare } from './set-share.ts'
import { undo } from './undo.ts'

/** Which file, who changes it, and how flagd is asked whether it serves the change. */
export interface ChangeOptions {
  readonly file: string
  readonly flag: string
  readonly by: HistoryNote
  /**
   * flagd's OFREP address; `false` does not ask it.
   * @default 'http://127.0.0.1:8016'
   */
  readonly flagd?: string | false
  /**
   * How long to wait until flagd serves the change, in ms.
   * @default 5000
   */
  readonly timeoutMs?: number
  /**
   * How many users who move are asked for.
   * @default 20, for `changeBack` 50
   */
  readonly probes?: number
  /**
   * Start over when another editor was faster, under the lock, so that the change goes through however
   * many others are editing. Without it the caller is told.
   * @default false
   */
  readonly insist?: boolean
  /**
   * Make the edit and stop there: nothing is written, flagd is not asked.
   * @default false
   */
  readonly dryRun?: boolean
  /** Called with the edit before it is written; a rejection stops it. */
  readonly onEdit?: (edit: FlagsEdit) => void | Promise<void>
  readonly signal?: AbortSignal
}

/** What became of a change. */
export interface ChangeResult {
  readonly edit: FlagsEdit
  /** `undefined` when there was nothing to change, and in a dry run. */
  readonly applied: Applied | undefined
  /** `undefined` when flagd was not asked. */
  readonly confirmation: Confirmation | undefined
}

/**
 * Sets the share, writes it and waits until flagd serves it. See `setShare` and `apply`.
 *
 * @throws {SwitchbackError} `SB_FLAGD_URL` before anything is written. Nothing is thrown after the
 * write: an abort while flagd is asked makes the confirmation an unconfirmed one.
 */
export function changeShare(
  options: ChangeOptions & { readonly percent: number | string; readonly from?: number | string },
): Promise<ChangeResult> {
  const { flag, percent, from } = options
  const wanted = { flag, percent, ...(from === undefined ? {} : { from }) }
  return change(options, (document) => setShare(document, wanted))
}

/** Takes everybody back, however many others are editing, and waits until flagd serves it. */
export function changeBack(
  options: ChangeOptions & {
    readonly keepPilots?: boolean
    readonly disable?: boolean
    /**
     * Put the last file that was written here in place of one that is broken or gone, which is kept as
     * `<file>.broken`.
     * @default false
     */
    readonly restore?: boolean
  },
): Promise<ChangeResult> {
  const { flag, keepPilots = false, disable = false } = options
  const how = { flag, keepPilots, disable }
  return changeFile({ insist: true, probes: 50, ...options }, async (file) => {
    try {
      return rollBack(await loadFlags(file), how)
    } catch (error) {
      if (!isBroken(error)) throw error
      if (options.restore === true) return restore(file, how)
      const hints = [error.hint ?? '', await remedy(file, flag)]
      throw new SwitchbackError(error.code, error.message, {
        hint: hints.filter((hint) => hint !== '').join('; or '),
        cause: error,
      })
    }
  })
}

/** Adds a pilot, or takes it away with `remove`. */
export function changePilot(
  options: ChangeOptions & {
    readonly attribute: string
    readonly values: readonly string[]
    readonly remove?: boolean
  },
): Promise<ChangeResult> {
  const { flag, attribute, values, remove = false } = options
  return change(options, (document) =>
    remove
      ? removePilot(document, { flag, attribute })
      : addPilot(document, { flag, attribute, values }),
  )
}

/** Takes the last change of the flag back, as a new one. */
export function changeUndo(options: ChangeOptions): Promise<ChangeResult> {
  return change(options, async (document) => {
    const { file } = await locate(options.file)
    return undo(document, { flag: options.flag, history: await readHistory(file) })
  })
}

type Make = (file: string) => Promise<FlagsEdit>

function change(
  options: ChangeOptions,
  make: (document: FlagsDocument) => FlagsEdit | Promise<FlagsEdit>,
): Promise<ChangeResult> {
  return changeFile(options, async (file) => make(await loadFlags(file)))
}

async function changeFile(options: ChangeOptions, make: Make): Promise<ChangeResult> {
  const { flag, flagd, timeoutMs, signal } = options
  // Whatever can be found wrong is found before the file is touched.
  if (typeof flagd === 'string') parseFlagdUrl(flagd)
  const { edit, probes, applied } = await write(options, make)
  if (probes === undefined) return { edit, applied, confirmation: undefined }
  const confirmation = await confirm({
    flag,
    probes,
    ...(flagd === undefined || flagd === false ? {} : { url: flagd }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(applied === undefined ? {} : { since: applied.at }),
    ...(signal === undefined ? {} : { signal }),
  }).catch((error: unknown) => {
    if (applied === undefined) throw error
    return unanswered(probes, error, signal?.aborted === true)
  })
  return { edit, applied, confirmation }
}

/** Once the file is written, the caller must be told so, whatever happens to the question. */
function unanswered(probes: Probes, error: unknown, interrupted: boolean): Confirmation {
  const message = messageOf(error)
  return {
    confirmed: false,
    servedMs: undefined,
    lastMs: undefined,
    probes: probes.movers.length + probes.stayers.length,
    movers: probes.movers.length,
    cause: interrupted ? 'interrupted while waiting for flagd' : message,
    hint: 'switchback status tells whether flagd serves it',
  }
}

interface Written {
  readonly edit: FlagsEdit
  readonly applied: Applied | undefined
  /** Found before the write, so that flagd is asked the moment it could serve the change. */
  readonly probes: Probes | undefined
}

/** Edits without the lock, since a person may take their time over it; under it when insisting. */
async function write(options: ChangeOptions, make: Make): Promise<Written> {
  try {
    return await attempt(options, make)
  } catch (error) {
    const lost = isSwitchbackError(error) && error.code === 'SB_FLAGS_CHANGED'
    if (!lost || options.insist !== true) throw error
  }
  const { signal } = options
  const { file } = await locate(options.file)
  const lock = await lockFile(file, {
    timeoutMs: 10_000,
    ...(signal === undefined ? {} : { signal }),
  })
  try {
    // Whoever edits by hand does not know of the lock, hence a few attempts.
    for (let left = 5; ; left--) {
      try {
        return await attempt(options, make, lock)
      } catch (error) {
        const lost = isSwitchbackError(error) && error.code === 'SB_FLAGS_CHANGED'
        if (!lost || left === 0) throw error
      }
    }
  } finally {
    await lock.release()
  }
}

async function attempt(options: ChangeOptions, make: Make, lock?: FileLock): Promise<Written> {
  const { file, by, flagd, probes: count = 20, signal } = options
  const edit = await make(file)
  await options.onEdit?.(edit)
  if (options.dryRun === true) return { edit, applied: undefined, probes: undefined }
  // Who insists is in a hurry.
  const patienceMs = options.insist === true ? 500 : 3000
  const probes = flagd === false ? undefined : await probesForEdit(edit, { count, patienceMs })
  if (changesNothing(edit)) return { edit, applied: undefined, probes }
  const aside = edit.action === 'restore' ? await setAside(file) : ''
  const applied = await apply(edit, {
    file,
    by,
    ...(signal === undefined ? {} : { signal }),
    ...(lock === undefined ? {} : { lock }),
  })
  const unkept = await keepLastGood(applied.file, edit.after.text)
  const warning = [aside, applied.warning, unkept].filter((each) => each !== '').join('; ')
  return { edit, applied: { ...applied, warning }, probes }
}
