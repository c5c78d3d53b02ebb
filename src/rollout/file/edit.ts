import { isDeepStrictEqual } from 'node:util'
import { SwitchbackError } from '../../errors.ts'
import {
  type FlagsDocument,
  type JsonNode,
  type JsonPath,
  type JsonValue,
  readFlags,
  valueOf,
} from './document.ts'
import { atPlace, pathAt, placeOf } from './flag-members.ts'
import { pointer } from '../check/findings.ts'

/** One changed place: the value before and after; `undefined` where there is none. */
export interface Change {
  readonly path: JsonPath
  readonly from: JsonValue | undefined
  readonly to: JsonValue | undefined
  /**
   * The new text, where it keeps text of before.
   * @default `to` on one line
   */
  readonly text?: string
}

/** An edit that is not written yet: both texts, and what changed between them. */
export interface FlagsEdit {
  readonly action: EditAction
  readonly flag: string
  readonly before: FlagsDocument
  readonly after: FlagsDocument
  readonly changes: readonly Change[]
  /** The `on` share before, in per cent; `undefined` where the shape has none. */
  readonly from: number | undefined
  /** The `on` share after, in per cent. */
  readonly to: number | undefined
  /** The pilot that was added or removed. */
  readonly pilot?: Pilot
  /** Why a rollback disabled the flag without having been told to: its split could not be set. */
  readonly because?: string
  /** The history entry that this edit undoes. */
  readonly undoes?: string
}

/** Users who always get `on`, before the split: those whose attribute is one of the values. */
export interface Pilot {
  /** An attribute of the evaluation context, e.g. `plan`, or `feature` for one cache only. */
  readonly attribute: string
  readonly values: readonly string[]
  /** It replaced a pilot on the same attribute. */
  readonly replaces?: boolean
}

export type EditAction =
  | 'set'
  | 'rollback'
  | 'restore'
  | 'disable'
  | 'pilot'
  | 'pilot-remove'
  | 'undo'

/** What to tell of a rollback that disabled the flag without having been told to; `''` of others. */
export function whyDisabled({ because }: FlagsEdit): string {
  return because === undefined
    ? ''
    : `the flag is disabled, since setting its split to 0 would leave somebody on the new side: ${because}; an undo enables it again as it was`
}

/** Whether the file stays as it is. */
export function changesNothing({ action, changes }: FlagsEdit): boolean {
  return changes.length === 0 && action !== 'restore'
}

/**
 * Makes the changes in the text and leaves every other character as it is. The result is parsed
 * again and compared with the changes made on the values: an edit that did anything else is a
 * defect, and is refused instead of written.
 */
export function editText(document: FlagsDocument, changes: readonly Change[]): FlagsDocument {
  const pieces = changes.map((change) => pieceFor(document, change))
  const after = readFlags(splice(document.text, pieces))
  const expected = structuredClone(valueOf(document.root))
  for (const change of changes) {
    patch(expected, { ...change, path: pathAt(document, change.path) })
  }
  if (!isDeepStrictEqual(valueOf(after.root), expected)) {
    throw new SwitchbackError('SB_EDIT_UNSAFE', 'the edit would change more than it should', {
      hint: 'nothing was written; edit the file by hand and report this file to switchback',
    })
  }
  return after
}

/** A stretch of text and its replacement. */
interface Piece {
  readonly offset: number
  readonly length: number
  readonly text: string
}

function splice(text: string, pieces: readonly Piece[]): string {
  let result = text
  for (const { offset, length, text: piece } of [...pieces].sort((a, b) => b.offset - a.offset)) {
    result = result.slice(0, offset) + piece + result.slice(offset + length)
  }
  return result
}

function pieceFor(document: FlagsDocument, change: Change): Piece {
  const { path, to, text } = change
  const node = atPlace(document, path)
  if (node !== undefined && to !== undefined) {
    return { offset: node.offset, length: node.length, text: text ?? inline(to) }
  }
  const holder = atPlace(document, path.slice(0, -1))
  if (holder === undefined) {
    throw new SwitchbackError('SB_EDIT_UNSAFE', `the file has nothing at ${pointer(path)}`, {
      hint: 'nothing was written; look at switchback status and try again',
    })
  }
  return node === undefined
    ? insertion(document, holder, change)
    : removal(holder, holder.type === 'object' ? (node.parent ?? node) : node)
}

/** A new last property or element, placed like the one before it. */
function insertion(document: FlagsDocument, holder: JsonNode, { path, to }: Change): Piece {
  const key = path.at(-1)
  const name = holder.type === 'object' ? `${JSON.stringify(key)}: ` : ''
  const text = `${name}${inline(to ?? null)}`
  const last = holder.children?.at(-1)
  if (last === undefined) return { offset: holder.offset + 1, length: 0, text }
  const inner = document.text.slice(holder.offset + 1, last.offset)
  const gap = holder.type === 'array' ? ' ' : gapAtEnd(inner)
  return { offset: last.offset + last.length, length: 0, text: `,${gap}${text}` }
}

/** Removes the comma before it as well, so that it undoes an insertion exactly. */
function removal(holder: JsonNode, child: JsonNode): Piece {
  const siblings = holder.children ?? []
  const index = siblings.indexOf(child)
  const previous = siblings[index - 1]
  const end = child.offset + child.length
  if (previous !== undefined) {
    const offset = previous.offset + previous.length
    return { offset, length: end - offset, text: '' }
  }
  return { offset: child.offset, length: (siblings[1]?.offset ?? end) - child.offset, text: '' }
}

/** The line break and indentation at the end of a text, or a space. */
function gapAtEnd(text: string): string {
  return /\r?\n[ \t]*$/.exec(text)?.[0] ?? ' '
}

/** JSON on one line, with a space after commas and colons and inside braces, as people write it. */
export function inline(value: JsonValue): string {
  if (Array.isArray(value)) return `[${value.map((each: JsonValue) => inline(each)).join(', ')}]`
  if (typeof value === 'object' && value !== null) {
    const parts = Object.entries(value).map(
      ([key, each]) => `${JSON.stringify(key)}: ${inline(each)}`,
    )
    return parts.length === 0 ? '{}' : `{ ${parts.join(', ')} }`
  }
  return JSON.stringify(value)
}

function patch(root: JsonValue, { path, to }: Change): void {
  let holder: unknown = root
  for (const part of path.slice(0, -1)) holder = (holder as Record<string | number, unknown>)[part]
  const key = path.at(-1) ?? ''
  const target = holder as Record<string | number, unknown>
  if (to === undefined && Array.isArray(holder)) holder.splice(Number(key), 1)
  else if (Array.isArray(holder) && typeof key === 'string') holder.push(structuredClone(to))
  else if (to === undefined) delete target[key]
  else
    Object.defineProperty(target, key, {
      value: structuredClone(to),
      enumerable: true,
      configurable: true,
      writable: true,
    })
}

/** A change of one place from its current value. @param path through the text, or by the usual names */
export function changeAt(
  document: FlagsDocument,
  path: JsonPath,
  to: JsonValue | undefined,
): Change {
  const node = atPlace(document, path)
  const from = node === undefined ? undefined : valueOf(node)
  return { path: placeOf(document, path), from, to }
}

/** A line that an edit removed or added. */
export interface LineChange {
  readonly kind: 'removed' | 'added'
  readonly line: string
}

/** The lines that differ, in order, as a line diff marks them (longest common subsequence). */
export function changedLines(before: string, after: string): LineChange[] {
  const [a, b] = [before.split('\n'), after.split('\n')]
  let start = 0
  while (start < a.length && start < b.length && a[start] === b[start]) start++
  let end = 0
  while (end < Math.min(a.length, b.length) - start && a.at(-1 - end) === b.at(-1 - end)) end++
  return lineDiff(a.slice(start, a.length - end), b.slice(start, b.length - end))
}

function lineDiff(a: readonly string[], b: readonly string[]): LineChange[] {
  // common[i][j]: the length of the longest common subsequence of a from i and b from j.
  const common = Array.from({ length: a.length + 1 }, () => new Uint32Array(b.length + 1))
  const at = (i: number, j: number): number => common[i]?.[j] ?? 0
  for (let i = a.length - 1; i >= 0; i--) {
    const row = common[i]
    if (row === undefined) continue
    for (let j = b.length - 1; j >= 0; j--) {
      row[j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1))
    }
  }
  const changes: LineChange[] = []
  let [i, j] = [0, 0]
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      i++
      j++
    } else if (i < a.length && (j === b.length || at(i + 1, j) >= at(i, j + 1))) {
      changes.push({ kind: 'removed', line: a[i++] ?? '' })
    } else changes.push({ kind: 'added', line: b[j++] ?? '' })
  }
  return changes
}
