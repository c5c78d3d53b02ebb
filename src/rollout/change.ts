import { isSwitchbackError, SwitchbackError } from '../errors.ts'
import { metricsUrl, type ProcessesOptions } from '../scrape/index.ts'
import { apply, type Applied } from './file/apply.ts'
import { type Answers, ask, asksAnybody } from './confirm/ask.ts'
import { requireSides } from './check/check-sides.ts'
import type { Confirmation } from './confirm/confirm.ts'
import type { ProcessConfirmation } from './confirm/confirm-processes.ts'
import type { FlagsDocument } from './file/document.ts'
import { changesNothing, type FlagsEdit } from './file/edit.ts'
import { type HistoryNote, readHistory } from './history/history.ts'
import { behindLinks } from './file/location.ts'
import type { FlagsFile } from './place/place.ts'
import { parseFlagdUrl } from './confirm/ofrep-client.ts'
import { knownText } from './history/outside-changes.ts'
import { addPilot, removePilot } from './edits/pilot.ts'
import { type FileLock, lockFile } from './file/lock.ts'
import { loadFlags } from './file/read.ts'
import { keepFirst, keepLastGood } from './file/last-good.ts'
import { whyFailing } from './edits/not-back.ts'
import { definitionOf } from './users/evaluate.ts'
import { requireTaken } from './file/refused.ts'
import { isBroken, remedy, restore, setAside } from './edits/restore.ts'
import { findOutside, recordOutside } from './history/record.ts'
import { rollBack } from './edits/roll-back.ts'
import { setShare } from './edits/set-share.ts'
import { parseShare } from './split/share.ts'
import { undo } from './edits/undo.ts'

/** The file, the author, and how flagd is asked whether it serves the change. */
export interface ChangeOptions {
  /** The flags file, or another place where the flags live. */
  readonly file: FlagsFile
  readonly flag: string
  readonly by: HistoryNote
  /**
   * flagd's OFREP address; `false` does not ask it.
   * @default 'http://127.0.0.1:8016'
   */
  readonly flagd?: string | false
  /**
   * The processes of the application, each of which must decide the change before it counts as
   * confirmed.
   * @default none are asked
   */
  readonly processes?: ProcessesOptions | undefined
  /**
   * How long to wait until flagd serves the change and every process decides it, in ms.
   * @default 5000, or as long as the place needs; 45000 for processes that are read from a Prometheus
   */
  readonly timeoutMs?: number
  /**
   * How many users who change sides are asked for.
   * @default 20, for `changeBack` 50
   */
  readonly probes?: number
  /**
   * Retry under the lock when another editor was faster, so that the change goes through however
   * many others are editing. Without it the change is refused.
   * @default false
   */
  readonly insist?: boolean
  /**
   * Make the edit only: write nothing, ask nobody.
   * @default false
   */
  readonly dryRun?: boolean
  /**
   * Called once when a process still lags after a second and a half, while others are waited for.
   */
  readonly onLag?: (so: ProcessConfirmation) => void
  /** Called with the edit before it is written; a rejection cancels the write. */
  readonly onEdit?: (edit: FlagsEdit) => void | Promise<void>
  readonly signal?: AbortSignal
}

/** The result of a change. */
export interface ChangeResult {
  readonly edit: FlagsEdit
  /**
   * `undefined` when nothing was written: in a dry run, or when all serve and decide this already.
   */
  readonly applied: Applied | undefined
  /** What flagd serves; `undefined` when it was not asked. */
  readonly confirmation: Confirmation | undefined
  /** What each process decides; `undefined` when no process is known. */
  readonly processes: ProcessConfirmation | undefined
  /** Whether all that were asked confirm it; `undefined` when none was asked. */
  readonly confirmed: boolean | undefined
}

/**
 * Sets the share, writes it and waits until flagd serves it. See `setShare` and `apply`.
 *
 * @throws {SwitchbackError} `SB_FLAGD_URL` before anything is written. Nothing is thrown after the
 * write: an abort while flagd is asked leaves the change unconfirmed.
 */
export function changeShare(
  options: ChangeOptions & { readonly percent: number | string; readonly from?: number | string },
): Promise<ChangeResult> {
  const { flag, percent, from } = options
  const wanted = { flag, percent, ...(from === undefined ? {} : { from }) }
  return change(options, (document) => {
    if (parseShare(percent) > 0) requireSides(document, flag)
    return setShare(document, wanted)
  })
}

/**
 * Routes all users to the old side, however many others are editing, and waits until flagd serves
 * it.
 */
export function changeBack(
  options: ChangeOptions & {
    readonly keepPilots?: boolean
    readonly disable?: boolean
    /**
     * Replace a file that is broken, refused or gone by the last one that was written here; the
     * broken one is kept as `<file>.broken`.
     * @default false
     */
    readonly restore?: boolean
  },
): Promise<ChangeResult> {
  const { flag, keepPilots = false, disable = false } = options
  const how = { flag, keepPilots, disable }
  return changeFile({ insist: true, probes: 50, ...options }, async (file) => {
    try {
      const edit = rollBack(await loadFlags(file), how)
      requireTaken(edit.after)
      return edit
    } catch (error) {
      if (!isBroken(error)) throw error
      if (options.restore === true) return restore(file, how)
      const hints = [error.hint ?? '', await remedy(file, flag)]
      throw new SwitchbackError(error.code, `nothing was rolled back: ${error.message}`, {
        hint: hints.filter((hint) => hint !== '').join('; or '),
        cause: error,
      })
    }
  })
}

/** Adds a pilot, or removes it with `remove`. */
export function changePilot(
  options: ChangeOptions & {
    readonly attribute: string
    readonly values: readonly string[]
    readonly remove?: boolean
  },
): Promise<ChangeResult> {
  const { flag, attribute, values, remove = false } = options
  return change(options, (document) => {
    if (remove) return removePilot(document, { flag, attribute })
    requireSides(document, flag)
    return addPilot(document, { flag, attribute, values })
  })
}

/** Undoes the last change of the flag, as a new one; also an edit by hand. */
export async function changeUndo(options: ChangeOptions): Promise<ChangeResult> {
  const { flag } = options
  const file = await behindLinks(options.file)
  if (options.dryRun !== true) {
    // A problem of writing is reported by the write itself.
    await recordOutside({ file, document: await loadFlags(file) }).catch(() => {})
  }
  return change(options, async (document) => {
    const history = [...(await readHistory(file)), ...(await findOutside({ file, document }))]
    const outside = history.findLast((entry) => entry.flag === flag && entry.action === 'outside')
    const earlier = outside === undefined ? undefined : await knownText(file, outside.before)
    return undo(document, { flag, history, ...(earlier === undefined ? {} : { earlier }) })
  })
}

type Make = (file: FlagsFile) => Promise<FlagsEdit>

function change(
  options: ChangeOptions,
  make: (document: FlagsDocument) => FlagsEdit | Promise<FlagsEdit>,
): Promise<ChangeResult> {
  return changeFile(options, async (file) => make(await loadFlags(file)))
}

async function changeFile(given: ChangeOptions, make: Make): Promise<ChangeResult> {
  const reachMs = typeof given.file === 'string' ? undefined : given.file.reachMs
  const options = reachMs === undefined ? given : { timeoutMs: reachMs, ...given }
  const { flagd, processes } = options
  // Everything that can be checked is checked before the file is touched.
  if (typeof flagd === 'string') parseFlagdUrl(flagd)
  const { metrics = [], prometheus } = processes ?? {}
  for (const url of [...metrics, ...(prometheus === undefined ? [] : [prometheus.url])]) {
    metricsUrl(url)
  }
  const { edit, applied, answers } = await write(options, make)
  return resultOf(edit, applied, await answers)
}

function resultOf(edit: FlagsEdit, applied: Applied | undefined, answers: Answers): ChangeResult {
  const all = [answers.confirmation, answers.processes].filter((each) => each !== undefined)
  const confirmed = all.length === 0 ? undefined : all.every((each) => each.confirmed)
  return { edit, applied, ...answers, confirmed }
}

interface Written {
  readonly edit: FlagsEdit
  readonly applied: Applied | undefined
  /** All are asked from the moment they could have the change, while its history is still written. */
  readonly answers: Answers | Promise<Answers>
}

/**
 * Edits without the lock, since a person may take time to confirm; under the lock when insisting.
 */
async function write(options: ChangeOptions, make: Make): Promise<Written> {
  try {
    return await attempt(options, make)
  } catch (error) {
    const lost = isSwitchbackError(error) && error.code === 'SB_FLAGS_CHANGED'
    if (!lost || options.insist !== true) throw error
  }
  const { signal } = options
  const file = await behindLinks(options.file)
  const lock =
    typeof file === 'string'
      ? await lockFile(file, { timeoutMs: 10_000, ...(signal === undefined ? {} : { signal }) })
      : undefined
  try {
    // An editor does not use the lock, and other places have none, hence a few attempts.
    const most = typeof file === 'string' ? 5 : (file.retries ?? 50)
    for (let left = most; ; left--) {
      try {
        return await attempt(options, make, lock)
      } catch (error) {
        const lost = isSwitchbackError(error) && error.code === 'SB_FLAGS_CHANGED'
        if (!lost || left === 0) throw error
      }
    }
  } finally {
    await lock?.release()
  }
}

async function attempt(options: ChangeOptions, make: Make, lock?: FileLock): Promise<Written> {
  const { file, by, signal } = options
  if (options.dryRun !== true && typeof file !== 'string') await file.update?.()
  const edit = await make(file)
  if (options.dryRun !== true) requireTaken(edit.after)
  const again = changesNothing(edit)
  if (again && options.dryRun !== true && typeof file !== 'string') await file.requireCurrent?.()
  await options.onEdit?.(edit)
  if (options.dryRun === true) {
    return { edit, applied: undefined, answers: { confirmation: undefined, processes: undefined } }
  }
  // Who is asked must be able to evaluate it, which is not to be learned after the write.
  if (asksAnybody(options)) definitionOf(edit.after, edit.flag)
  if (again) {
    const answers = await ask(edit, options, undefined, true)
    const done = resultOf(edit, undefined, answers).confirmed !== false
    if (done) return { edit, applied: undefined, answers }
    // A newer time is for a flagd that watches a file.
    if (typeof file !== 'string') {
      return { edit, applied: undefined, answers: ask(edit, options, undefined) }
    }
  }
  let answers: Promise<Answers> | undefined
  const askSince = (at: number): Promise<Answers> => {
    const asked = ask(edit, options, { at })
    // Reported by who waits for it, also when what is written meanwhile fails.
    asked.catch(() => {})
    return asked
  }
  try {
    const own = typeof file === 'string' ? file : undefined
    const aside = edit.action === 'restore' && own !== undefined ? await setAside(own) : ''
    if (own !== undefined) await keepFirst(own, edit)
    const applied = await apply(edit, {
      file,
      by,
      ...(signal === undefined ? {} : { signal }),
      ...(lock === undefined ? {} : { lock }),
      onWritten: (at) => (answers = askSince(at)),
    })
    // A flag that was disabled for its rule has the rule still.
    const good = own !== undefined && whyFailing(edit.after, edit.flag) === ''
    const unkept = good ? await keepLastGood(applied.file, edit.after.text) : ''
    const warning = [aside, applied.warning, unkept].filter((each) => each !== '').join('; ')
    const given = { ...applied, warning }
    return { edit, applied: given, answers: answers ?? askSince(applied.at) }
  } catch (error) {
    // The content is what is wanted, so failing to write it again is not an error.
    if (!again || (isSwitchbackError(error) && error.code === 'SB_FLAGS_CHANGED')) throw error
    return { edit, applied: undefined, answers: answers ?? ask(edit, options, undefined) }
  }
}
