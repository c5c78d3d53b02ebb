import { isUtf8 } from 'node:buffer'
import { isList, isObject } from '../json.ts'
import type { JsonValue } from '../json.ts'

/** Bytes as Go reads them as a text: each byte that is not UTF-8 becomes U+FFFD. */
export function decodeFlags(bytes: Uint8Array): string {
  if (isUtf8(bytes)) return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString()
  const parts: string[] = []
  let start = 0
  for (let at = 0; at < bytes.length;) {
    const length = sequenceLength(bytes, at)
    if (length > 0) {
      at += length
      continue
    }
    parts.push(Buffer.from(bytes.subarray(start, at)).toString(), '\uFFFD')
    start = ++at
  }
  return parts.join('') + Buffer.from(bytes.subarray(start)).toString()
}

/** 0 when no character begins here. */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const first = bytes[at] as number
  if (first < 0x80) return 1
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2
  return isUtf8(bytes.subarray(at, at + length)) && at + length <= bytes.length ? length : 0
}

const SURROGATE_ESCAPE = /\\u[dD][89a-fA-F]/

/** Go has no half of a surrogate pair: it reads one as U+FFFD. */
export function wellFormed(text: string, value: JsonValue): JsonValue {
  return SURROGATE_ESCAPE.test(text) || !isWellFormed(text) ? mended(value) : value
}

function mended(value: JsonValue): JsonValue {
  if (typeof value === 'string') return isWellFormed(value) ? value : toWellFormed(value)
  if (isList(value)) return value.map(mended)
  if (!isObject(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [toWellFormed(key), mended(each)]),
  )
}

/** Node.js has these two; the library of TypeScript that is in use does not know them yet. */
interface WithSurrogates {
  isWellFormed(): boolean
  toWellFormed(): string
}

function isWellFormed(text: string): boolean {
  return (text as unknown as WithSurrogates).isWellFormed()
}

export function toWellFormed(text: string): string {
  return (text as unknown as WithSurrogates).toWellFormed()
}

const MAYBE_INFINITE = /\d{309}|[eE]\+?0*[1-9]\d\d/
const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/gs

/** The first number that no 64-bit floating point holds. JavaScript reads one as infinity, Go refuses it. */
export function numberTooLarge(text: string): string | undefined {
  if (!MAYBE_INFINITE.test(text)) return undefined
  for (const [token] of text.matchAll(TOKEN)) {
    if (!token.startsWith('"') && !Number.isFinite(Number(token))) return token
  }
  return undefined
}
