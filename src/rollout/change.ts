import { isSwitchbackError } from '../errors.ts'
import { apply, type Applied, loadFlags } from './apply.ts'
import { confirm, type Confirmation } from './confirm.ts'
import type { FlagsDocument } from './document.ts'
import type { FlagsEdit } from './edit.ts'
import { type HistoryEntry, type HistoryNote, readHistory, undo } from './history.ts'
import { locate } from './location.ts'
import { addPilot, removePilot } from './pilot.ts'
import { findProbes } from './probes.ts'
import { rollBack } from './roll-back.ts'
import { setShare } from './set-share.ts'

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
   * @default 20
   */
  readonly probes?: number
  /**
   * How often to start over when another editor was faster. 0 tells the caller instead.
   * @default 0
   */
  readonly retries?: number
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

/** Sets the share, writes it and waits until flagd serves it. See `setShare` and `apply`. */
export function changeShare(
  options: ChangeOptions & { readonly percent: number | string; readonly from?: number | string },
): Promise<ChangeResult> {
  const { flag, percent, from } = options
  const wanted = { flag, percent, ...(from === undefined ? {} : { from }) }
  return change(options, (document) => setShare(document, wanted))
}

/** Takes everybody back, however many others are editing, and waits until flagd serves it. */
export function changeBack(
  options: ChangeOptions & { readonly keepPilots?: boolean; readonly disable?: boolean },
): Promise<ChangeResult> {
  const { flag, keepPilots = false, disable = false } = options
  return change({ retries: 20, probes: 100, ...options }, (document) =>
    rollBack(document, { flag, keepPilots, disable }),
  )
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
  return change(options, (document, history) => undo(document, { flag: options.flag, history }))
}

async function change(
  options: ChangeOptions,
  make: (document: FlagsDocument, history: readonly HistoryEntry[]) => FlagsEdit,
): Promise<ChangeResult> {
  const { file, flag, by, flagd, timeoutMs, probes: count = 20, signal } = options
  for (let retries = options.retries ?? 0; ; retries--) {
    const document = await loadFlags(file)
    const edit = make(document, await readHistory((await locate(file)).file))
    await options.onEdit?.(edit)
    if (options.dryRun === true) return { edit, applied: undefined, confirmation: undefined }
    const asking = flagd === false ? undefined : findProbes({ ...edit, flag, count })
    let applied: Applied | undefined
    try {
      if (edit.changes.length > 0) {
        applied = await apply(edit, { file, by, ...(signal === undefined ? {} : { signal }) })
      }
    } catch (error) {
      if (isSwitchbackError(error) && error.code === 'SB_FLAGS_CHANGED' && retries > 0) continue
      throw error
    }
    if (asking === undefined) return { edit, applied, confirmation: undefined }
    const confirmation = await confirm({
      flag,
      probes: asking,
      ...(flagd === undefined || flagd === false ? {} : { url: flagd }),
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      ...(applied === undefined ? {} : { since: applied.at }),
      ...(signal === undefined ? {} : { signal }),
    })
    return { edit, applied, confirmation }
  }
}
