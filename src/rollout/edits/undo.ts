import { isDeepStrictEqual } from 'node:util'
import { quote, SwitchbackError } from '../../errors.ts'
import { type FlagsDocument, type JsonPath, valueOf } from '../file/document.ts'
import { atPlace, flagNode } from '../file/flag-members.ts'
import type { Change, FlagsEdit } from '../file/edit.ts'
import { pointer } from '../check/findings.ts'
import { flagChanges } from '../file/flag-diff.ts'
import { hashName, type HistoryEntry, recorded, type RecordedChange } from '../history/history.ts'
import { removePilot } from './pilot.ts'
import { shareInForce, finish } from './set-share.ts'
import { parseShare } from '../split/share.ts'

/**
 * Undoes the last edit of a flag, as a new edit; called again, the one before it. Other edits since
 * then stay.
 *
 * @throws {SwitchbackError} `SB_UNDO_NOTHING` when the history has none left; `SB_UNDO_CONFLICT`
 * when the place was changed again; `SB_UNDO_UNKNOWN` for a removed pilot, whose names the history
 * does not keep, and for an outside edit whose text before is unknown.
 */
export function undo(
  document: FlagsDocument,
  options: {
    readonly flag: string
    readonly history: readonly HistoryEntry[]
    /** The text before an outside edit, for one whose history line has no changes. */
    readonly earlier?: FlagsDocument
  },
): FlagsEdit {
  const { flag, history, earlier } = options
  const undone = new Set(history.flatMap((entry) => entry.undoes ?? []))
  const entry = history.findLast(
    (each) =>
      each.flag === flag &&
      each.action !== 'undo' &&
      !undone.has(each.id) &&
      // The same content, written again for a flagd that had not noticed it.
      each.before !== each.after,
  )
  if (entry === undefined) {
    flagNode(document, flag)
    throw new SwitchbackError(
      'SB_UNDO_NOTHING',
      `the history has no edit of ${quote(flag)} to undo`,
      {
        hint: 'switchback history shows what was changed; switchback set sets any share',
      },
    )
  }
  if (entry.pilot !== undefined) return undoPilot(document, entry)
  const kept = entry.changes ?? changesOutside(document, entry, earlier)
  const changes = kept.map(({ path, from, to }): Change => {
    const node = atPlace(document, path)
    const now = node === undefined ? undefined : valueOf(node)
    if (!isDeepStrictEqual(now, to)) throw conflict(entry, path)
    return { path, from: to, to: from }
  })
  const from = shareInForce(document, flag)
  const edit = finish(document, {
    action: 'undo',
    flag,
    changes,
    from: from === undefined ? undefined : parseShare(from),
    to: undefined,
  })
  const to = shareInForce(edit.after, flag)
  return { ...edit, to, undoes: entry.id }
}

/**
 * The changes of an outside edit, from the texts themselves: the history keeps no names of users.
 */
function changesOutside(
  document: FlagsDocument,
  entry: HistoryEntry,
  earlier: FlagsDocument | undefined,
): readonly RecordedChange[] {
  if (entry.action !== 'outside') return []
  if (entry.after !== document.hash) throw conflict(entry, ['flags', entry.flag])
  const changes =
    earlier?.hash === entry.before ? flagChanges(earlier, document, entry.flag) : undefined
  if (changes !== undefined) return changes.map(recorded)
  throw new SwitchbackError(
    'SB_UNDO_UNKNOWN',
    `the edit by hand of ${entry.at} cannot be undone: the text before it is not known`,
    { hint: 'set the share that you want: switchback set 10; or edit the file by hand again' },
  )
}

function undoPilot(document: FlagsDocument, entry: HistoryEntry): FlagsEdit {
  const { attribute } = entry.pilot ?? { attribute: '' }
  if (entry.action !== 'pilot' || entry.pilot?.replaces === true) {
    throw new SwitchbackError(
      'SB_UNDO_UNKNOWN',
      `the pilot on ${quote(attribute)} cannot be restored: the history keeps no names`,
      { hint: `add it again: switchback pilot --attribute ${attribute} --in ...` },
    )
  }
  const edit = removePilot(document, { flag: entry.flag, attribute })
  const names = (edit.pilot?.values ?? []).map(hashName)
  if (!isDeepStrictEqual(names, entry.pilot?.values)) {
    throw conflict(entry, ['flags', entry.flag, 'targeting'])
  }
  return { ...edit, action: 'undo', undoes: entry.id }
}

function conflict(entry: HistoryEntry, path: JsonPath): SwitchbackError {
  return new SwitchbackError(
    'SB_UNDO_CONFLICT',
    `the ${entry.action === 'outside' ? 'edit by hand' : entry.action} of ${entry.at} was changed since, at ${pointer(path)}`,
    { hint: 'set the share that you want: switchback set 10' },
  )
}
