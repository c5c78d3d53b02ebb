import { type FlagsDocument, hashOf, readFlags } from '../file/document.ts'
import { changedFlags, flagChanges, namesNobody, variantNames } from '../file/flag-diff.ts'
import { type HistoryEntry, newId, recorded } from './history.ts'
import { readLastGood } from '../file/last-good.ts'
import type { FlagsFile } from '../place/place.ts'
import { whyFailing } from '../edits/not-back.ts'
import { shareInForce } from '../edits/set-share.ts'
import { surprise } from './surprise.ts'

/**
 * More flags than this changed at once are recorded as one line: a file that came from elsewhere.
 */
const mostFlags = 20

/** An edit that no command made. */
export interface OutsideEdit {
  /** The text before, where it is known. */
  readonly before: FlagsDocument | undefined
  readonly beforeHash: string
  readonly after: FlagsDocument
  /** ISO 8601, UTC. */
  readonly at: string
}

/**
 * The lines of the history for an edit that no command made: one per changed flag, with its share,
 * what `undo` needs, and a warning where it moved users who should have stayed. One line without a
 * flag when the text before is not known, or no flag changed (then with an empty list of changes).
 */
export function outsideEntries({ before, beforeHash, after, at }: OutsideEdit): HistoryEntry[] {
  const line = (flag: string, more: Partial<HistoryEntry> = {}): HistoryEntry => ({
    version: 1,
    id: newId(),
    at,
    who: 'unknown',
    via: 'outside',
    action: 'outside',
    flag,
    ...more,
    before: beforeHash,
    after: after.hash,
  })
  if (before === undefined) return [line('')]
  const flags = changedFlags(before, after)
  if (flags.length === 0) return [line('', { changes: [] })]
  if (flags.length > mostFlags) return [line('')]
  return flags.map((flag) => {
    const [from, to] = [shareIn(before, flag), shareIn(after, flag)]
    const changes = flagChanges(before, after, flag)
    const variants = new Set([...variantNames(before, flag), ...variantNames(after, flag)])
    const warning = surprise(before, after, flag, { from, to })
    return line(flag, {
      ...(from === undefined ? {} : { from }),
      ...(to === undefined ? {} : { to }),
      ...(changes !== undefined && namesNobody(changes, variants)
        ? { changes: changes.map(recorded) }
        : {}),
      ...(warning === '' ? {} : { warning }),
    })
  })
}

/** Of a rule that fails, what it says of a share decides nothing. */
function shareIn(document: FlagsDocument, flag: string): number | undefined {
  try {
    const share = shareInForce(document, flag)
    return share === 0 || whyFailing(document, flag) === '' ? share : undefined
  } catch {
    // The flag was added or removed.
    return undefined
  }
}

/** The text with this hash: a given one, or the last that a command wrote. */
export async function knownText(
  file: FlagsFile,
  hash: string,
  atHand: readonly FlagsDocument[] = [],
): Promise<FlagsDocument | undefined> {
  const known = atHand.find((document) => document.hash === hash)
  if (known !== undefined) return known
  try {
    const document = readFlags(await readLastGood(file))
    return document.hash === hash ? document : undefined
  } catch {
    // No command has written the file yet, or the copy cannot be read: the share before is unknown.
    return undefined
  }
}

/** Of the text that is kept; `undefined` where there is none. */
export async function hashOfKnown(file: FlagsFile): Promise<string | undefined> {
  return readLastGood(file).then(hashOf, () => undefined)
}
