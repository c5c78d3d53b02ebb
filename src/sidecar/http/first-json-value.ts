import { skipBlanks } from '../../flagfile/index.ts'

/**
 * Finds the ends of JSON values as Go's decoder does: it reads one value and ignores what follows,
 * accepts member names in any case, and uses the last of repeated members. `JSON.parse` does none
 * of this. Nothing recurses: a body may nest as deep as Go allows.
 */

/** How deep Go's decoder lets JSON nest. */
const MAX_DEPTH = 10_000

/** The value ends later than the text. */
export const INCOMPLETE = -1
/** This is not JSON, whatever follows. */
export const INVALID = -2

/** The name and the text of a member of an object. */
export type Member = readonly [name: string, value: string]

/** Where the JSON value that begins at `start` ends; {@link INCOMPLETE} or {@link INVALID}. */
export function endOfValue(text: string, start: number): number {
  const open: number[] = []
  let at = start
  for (;;) {
    at = skipBlanks(text, at)
    const code = text.charCodeAt(at)
    if (code === BRACE || code === BRACKET) {
      if (open.push(code) > MAX_DEPTH) return INVALID
      at = skipBlanks(text, at + 1)
      if (text.charCodeAt(at) === code + 2) {
        open.pop()
        at++
      } else {
        if (code === BRACE) at = endOfName(text, at)
        if (at < 0) return at
        continue
      }
    } else {
      at = endOfScalar(text, at)
      if (at < 0) return at
    }
    // The value has ended, and perhaps its container too.
    for (;;) {
      const within = open.at(-1)
      if (within === undefined) return at
      at = skipBlanks(text, at)
      if (at >= text.length) return INCOMPLETE
      const next = text.charCodeAt(at++)
      if (next === COMMA) {
        if (within === BRACE) at = endOfName(text, skipBlanks(text, at))
        if (at < 0) return at
        break
      }
      if (next !== within + 2) return INVALID
      open.pop()
    }
  }
}

/** The members of the object `text`, which {@link endOfValue} has found valid, unparsed. */
export function membersOf(text: string): Member[] {
  const members: Member[] = []
  let at = skipBlanks(text, skipBlanks(text, 0) + 1)
  while (text.charCodeAt(at) === QUOTE) {
    const nameEnd = endOfString(text, at)
    const start = skipBlanks(text, skipBlanks(text, nameEnd) + 1)
    const end = endOfValue(text, start)
    members.push([JSON.parse(text.slice(at, nameEnd)) as string, text.slice(start, end)])
    at = skipBlanks(text, skipBlanks(text, end) + 1)
  }
  return members
}

const QUOTE = 34
const COMMA = 44
const COLON = 58
const BRACKET = 91
const BACKSLASH = 92
const BRACE = 123

/** Past the name of a member and its colon. */
function endOfName(text: string, start: number): number {
  if (start >= text.length) return INCOMPLETE
  if (text.charCodeAt(start) !== QUOTE) return INVALID
  const end = endOfString(text, start)
  if (end < 0) return end
  const colon = skipBlanks(text, end)
  if (colon >= text.length) return INCOMPLETE
  return text.charCodeAt(colon) === COLON ? colon + 1 : INVALID
}

function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) return at + 1
    if (code < 32) return INVALID
    if (code !== BACKSLASH) continue
    const escaped = text[++at]
    if (escaped === undefined) return INCOMPLETE
    if (escaped !== 'u') {
      if (!'"\\/bfnrt'.includes(escaped)) return INVALID
      continue
    }
    const digits = text.slice(at + 1, at + 5)
    if (!/^[\da-f]*$/i.test(digits)) return INVALID
    if (digits.length < 4) return INCOMPLETE
    at += 4
  }
  return INCOMPLETE
}

const DIGITS = /[-+.\deE]*/y
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y

function endOfScalar(text: string, start: number): number {
  if (start >= text.length) return INCOMPLETE
  if (text.charCodeAt(start) === QUOTE) return endOfString(text, start)
  for (const word of ['true', 'false', 'null']) {
    const found = text.slice(start, start + word.length)
    if (found === word) return start + word.length
    if (found.length < word.length && word.startsWith(found)) return INCOMPLETE
  }
  NUMBER.lastIndex = start
  const end = NUMBER.test(text) ? NUMBER.lastIndex : start
  DIGITS.lastIndex = start
  DIGITS.test(text)
  const last = DIGITS.lastIndex
  if (last === end && last > start) return end
  // `1e` and `-` are incomplete numbers.
  return last === text.length ? INCOMPLETE : INVALID
}
