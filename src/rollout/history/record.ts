import { readFile } from 'node:fs/promises'
import { messageOf } from '../../errors.ts'
import { type FlagsDocument, hashOf } from '../file/document.ts'
import type { FlagsEdit } from '../file/edit.ts'
import { namesNobody, variantNames } from '../file/flag-diff.ts'
import {
  appendEntries,
  hashName,
  type HistoryEntry,
  type HistoryNote,
  newId,
  readHistory,
  recorded,
} from './history.ts'
import { lockFile } from '../file/lock.ts'
import type { FlagsFile } from '../place/place.ts'
import { hashOfKnown, knownText, outsideEntries } from './outside-changes.ts'

/**
 * Appends an edit, preceded by any outside change since the entry before. The caller holds the lock
 * of the file.
 */
export async function appendHistory(
  file: string,
  edit: FlagsEdit,
  by: HistoryNote,
): Promise<{ history: HistoryEntry; warning: string }> {
  const entry = entryOf(edit, by)
  try {
    await appendEntries(file, await linesOf(file, edit, entry, await readHistory(file)))
    return { history: entry, warning: '' }
  } catch (error) {
    const message = messageOf(error)
    return { history: entry, warning: `the history could not be written: ${message}` }
  }
}

/** The line of an edit. */
export function entryOf(edit: FlagsEdit, by: HistoryNote): HistoryEntry {
  return {
    version: 1,
    id: newId(),
    at: new Date().toISOString(),
    ...by,
    action: edit.action,
    flag: edit.flag,
    ...(edit.from === undefined ? {} : { from: edit.from }),
    ...(edit.to === undefined ? {} : { to: edit.to }),
    before: edit.before.hash,
    after: edit.after.hash,
    ...changesOf(edit),
    ...(edit.undoes === undefined ? {} : { undoes: edit.undoes }),
  }
}

/** The line of an edit, preceded by those of any outside change since the end of the history. */
export async function linesOf(
  file: FlagsFile,
  edit: FlagsEdit,
  entry: HistoryEntry,
  history: readonly HistoryEntry[],
): Promise<HistoryEntry[]> {
  const beforeHash = history.at(-1)?.after ?? (await hashOfKnown(file))
  if (beforeHash === undefined || beforeHash === edit.before.hash) return [entry]
  // The text before a restore is broken or gone; the restored one takes its place.
  const before = edit.action === 'restore' ? undefined : await knownText(file, beforeHash)
  return [...outsideEntries({ before, beforeHash, after: edit.before, at: entry.at }), entry]
}

/**
 * What `undo` needs, without the names of users. An undo itself is never undone, so it needs
 * nothing.
 */
function changesOf(edit: FlagsEdit): Pick<HistoryEntry, 'changes' | 'pilot'> {
  const { action, pilot, changes, after, flag } = edit
  if (pilot !== undefined) return { pilot: { ...pilot, values: pilot.values.map(hashName) } }
  const told = action !== 'undo' || namesNobody(changes, new Set(variantNames(after, flag)))
  return told ? { changes: changes.map(recorded) } : {}
}

/** Input of {@link findOutside} and {@link recordOutside}. */
export interface OutsideLook {
  /** The flags file behind symbolic links, or another place. */
  readonly file: FlagsFile
  /** Its current text. */
  readonly document: FlagsDocument
  /** Earlier texts that the caller has seen, the latest last. @default none */
  readonly seen?: readonly FlagsDocument[]
  /** SHA-256 of the file that is recorded already. @default what the history says */
  readonly since?: string | undefined
}

/** The lines that the history lacks after an outside change; writes nothing. */
export async function findOutside({
  file,
  document,
  seen = [],
  since,
}: OutsideLook): Promise<HistoryEntry[]> {
  // Without a readable history, what the caller has seen counts.
  const last = since ?? (await readHistory(file).catch(() => [])).at(-1)?.after
  // Without a history, the file changed since it was seen last, or since the copy that is kept of it.
  const beforeHash = last ?? seen.at(-1)?.hash ?? (await hashOfKnown(file))
  if (beforeHash === undefined || beforeHash === document.hash) return []
  const before = await knownText(file, beforeHash, seen)
  return outsideEntries({ before, beforeHash, after: document, at: new Date().toISOString() })
}

/**
 * Appends outside changes once: under the lock of the file, and only while the file and the end of
 * the history are what was looked at. So no other watcher has been faster, and no command is
 * between its rename and its line, which is written under the same lock.
 *
 * @returns the lines, or none when there is nothing to write any more
 * @throws what prevents writing: `SB_LOCK_BUSY`, or the system's error
 */
export async function recordOutside(
  look: OutsideLook,
  options: { readonly timeoutMs?: number } = {},
): Promise<HistoryEntry[]> {
  const { file, document } = look
  const entries = await findOutside(look)
  const [first] = entries
  if (first === undefined) return []
  if (typeof file !== 'string') {
    return (await file.record({ entries, hash: document.hash })) ? entries : []
  }
  const lock = await lockFile(file, options)
  try {
    const last = (await readHistory(file)).at(-1)
    const stands = last === undefined || last.after === first.before
    if (!stands || hashOf(await readFile(file)) !== document.hash) return []
    await appendEntries(file, entries)
    return entries
  } finally {
    await lock.release()
  }
}
