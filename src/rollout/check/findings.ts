import { quote } from '../../errors.ts'
import { type JsonNode, pathOf, type Position } from '../file/document.ts'

/** A problem of a flags file, with its place, why it matters and what to write instead. */
export interface Finding extends Position {
  /** Stable name, e.g. `weights-zero`. */
  readonly code: FindingCode
  /** `error`: flagd refuses it or answers wrongly. `warning`: it does not do what it seems to. */
  readonly severity: 'error' | 'warning'
  /** flagd refuses the whole file for it and keeps serving the last good one. */
  readonly rejected: boolean
  /** The flag that it concerns; `''` when it concerns the file. */
  readonly flag: string
  /** Where in the JSON, as a JSON pointer (RFC 6901). */
  readonly pointer: string
  /** What is wrong and how flagd treats it. */
  readonly message: string
  /** What to write instead. */
  readonly fix: string
}

export type FindingCode =
  | 'unreadable'
  | 'syntax'
  | 'comment'
  | 'byte-order-mark'
  | 'duplicate-key'
  | 'no-flags'
  | 'wrong-type'
  | 'unknown-field'
  | 'state'
  | 'variants'
  | 'variant-types'
  | 'variant-swapped'
  | 'default-variant'
  | 'default-variant-on'
  | 'unknown-variant'
  | 'unknown-operator'
  | 'unknown-ref'
  | 'self-ref'
  | 'never-met'
  | 'unknown-property'
  | 'moving-split'
  | 'javascript-differs'
  | 'variants-not-boolean'
  | 'variants-one-sided'
  | 'number-too-large'
  | 'refused'
  | 'operator-count'
  | 'arguments'
  | 'weights'
  | 'weights-zero'
  | 'fractional-in-condition'
  | 'anonymous-bucket'
  | 'substring'
  | 'order-changed'
  | 'bucketing-changed'
  | 'default-variant-changed'

/** Place and text of a finding; the line is computed from the node. */
export interface FindingDetails {
  readonly code: FindingCode
  readonly severity?: 'error' | 'warning'
  readonly rejected?: boolean
  readonly flag?: string
  readonly node: JsonNode
  readonly message: string
  readonly fix: string
}

/** A finding at a place of the text; an error unless it says otherwise. */
export function findingAt(position: Position, details: FindingDetails): Finding {
  const { code, node, message, fix } = details
  return {
    code,
    severity: details.severity ?? 'error',
    rejected: details.rejected ?? false,
    flag: details.flag ?? '',
    pointer: pointer(pathOf(node)),
    ...position,
    message,
    fix,
  }
}

/** A JSON pointer (RFC 6901). */
export function pointer(path: readonly (string | number)[]): string {
  return path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}

/** Collects findings. */
export interface Report {
  (details: FindingDetails): void
  /** There are too many to read: only what flagd refuses is collected. */
  readonly enough: boolean
}

/** More findings of one file than this are not reported. */
export const mostFindings = 100

/** A report, and its collector. */
export function createReport(): { readonly report: Report; readonly told: FindingDetails[] } {
  const told: FindingDetails[] = []
  const take = (details: FindingDetails): void => {
    const most = details.rejected === true ? 2 * mostFindings : mostFindings
    if (told.length < most) told.push(details)
  }
  const enough = { get: () => told.length >= mostFindings }
  return { report: Object.defineProperty(take, 'enough', enough) as Report, told }
}

/** Names as a message lists them. */
export function someOf(names: Iterable<string>): string {
  const shown: string[] = []
  for (const name of names) {
    shown.push(shown.length < 8 ? quote(name) : '...')
    if (shown.length > 8) break
  }
  return shown.join(', ')
}

/** `a string`, `an object`: how a message names a node. */
export function article({ type }: JsonNode): string {
  return type === 'null' ? 'null' : `${/^[aeiou]/.test(type) ? 'an' : 'a'} ${type}`
}
