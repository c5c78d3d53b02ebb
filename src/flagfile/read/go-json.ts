import { compareTexts, isList } from '../json.ts'
import type { JsonValue } from '../json.ts'

/** A piece of text that stands between values. */
class Piece {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

const COMMA = new Piece(',')
const END_OF_LIST = new Piece(']')
const END_OF_OBJECT = new Piece('}')

/**
 * JSON as Go's `encoding/json` writes it, byte for byte: object keys sorted by their UTF-8 bytes, `<`, `>`
 * and `&` escaped. The values are finite numbers and well-formed strings, as a reader of JSON makes them.
 * It does not recurse: flags files may nest deeper than the stack.
 */
export function goJson(value: JsonValue): string {
  const parts: string[] = []
  const left: (JsonValue | Piece)[] = [value]
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    if (next instanceof Piece) parts.push(next.text)
    else if (typeof next === 'string') parts.push(goString(next))
    else if (typeof next !== 'object' || next === null) parts.push(plain(next))
    else if (isList(next)) {
      parts.push('[')
      left.push(END_OF_LIST)
      for (let at = next.length - 1; at >= 0; at--) {
        left.push(next[at] as JsonValue)
        if (at > 0) left.push(COMMA)
      }
    } else {
      parts.push('{')
      left.push(END_OF_OBJECT)
      const keys = Object.keys(next).sort(compareTexts)
      for (let at = keys.length - 1; at >= 0; at--) {
        const key = keys[at] as string
        left.push(next[key] as JsonValue, new Piece(`${at > 0 ? ',' : ''}${goString(key)}:`))
      }
    }
  }
  return parts.join('')
}

function plain(value: number | boolean | null): string {
  return Object.is(value, -0) ? '-0' : String(value)
}

// oxlint-disable-next-line no-control-regex
const ESCAPED = /["\\<>&\u0000-\u001f\u2028\u2029]/g

export function goString(text: string): string {
  return `"${text.replace(ESCAPED, escape)}"`
}

const SHORT: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
}

function escape(character: string): string {
  return SHORT[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}

const STRINGS_AND_BLANKS = /"(?:[^"\\]|\\.)*"|[ \t\r\n]+/gs
const HTML = /[<>&\u2028\u2029]/g

/** JSON that is passed on as it is written: Go takes the blanks out and escapes what HTML could mistake. */
export function compactJson(text: string): string {
  return text.replace(STRINGS_AND_BLANKS, (piece) =>
    piece.startsWith('"') ? piece.replace(HTML, escape) : '',
  )
}
