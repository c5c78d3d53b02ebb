import { hash } from 'node:crypto'
import { type Cell, TOKEN_LENGTH } from './cell.ts'

/**
 * Between the text that the switch moves from side to side and what the application keeps under its own key.
 * `decode` throws on what is no value of the application.
 */
export interface PlainCodec<Stored = string> {
  encode(payload: string): Stored
  decode(stored: Stored): string
}

export function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/** Scripts have no other one. Of the UTF-8 of the text. */
export function digestOf(text: string): string {
  return hash('sha1', text, 'hex')
}

/**
 * The token of a value that somebody else wrote: another one for another value, and after another write of ours.
 *
 * @param before the token that the switch left there last
 */
export function tokenOfForeign(digest: string, before: string): string {
  return hash('sha1', digest + before, 'hex').slice(0, TOKEN_LENGTH)
}

/**
 * The token of a value that is gone, though its companion is not: not that of the value, since another program may
 * write the very same text again, and what was missed before must not be stored over it.
 */
export function tokenOfGone(before: string): string {
  return tokenOfForeign('', before)
}

/** What is left of a cell whose value is not there any more. */
export function goneOf(cell: Cell, isOfValue: boolean): Cell {
  const gone = isOfValue ? { ...cell, token: tokenOfGone(cell.token) } : cell
  // Somebody else has deleted it, or evicted: the other side must not bring it back.
  return cell.state === 'value' ? { ...gone, state: 'tombstone', expiresAt: 0 } : gone
}
