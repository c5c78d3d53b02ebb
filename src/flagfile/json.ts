/** What a JSON text can mean. */
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | JsonObject

export interface JsonObject {
  readonly [key: string]: JsonValue
}

export function isList(value: unknown): value is readonly JsonValue[] {
  return Array.isArray(value)
}

/** An object and nothing else: neither a list nor null. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A member of its own; what every JavaScript object inherits is none. */
export function member(object: JsonObject, key: string): JsonValue | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined
}

/** By the bytes of their UTF-8, as Go orders texts; JavaScript's own order is by UTF-16 units. */
export function compareTexts(a: string, b: string): number {
  if (a === b) return 0
  const length = Math.min(a.length, b.length)
  for (let at = 0; at < length; at++) {
    const [x, y] = [a.charCodeAt(at), b.charCodeAt(at)]
    if (x === y) continue
    // Surrogates stand for what lies beyond the rest of the 16 bits.
    const [xHigh, yHigh] = [(x & 0xf800) === 0xd800, (y & 0xf800) === 0xd800]
    return xHigh === yHigh ? x - y : xHigh ? 1 : -1
  }
  return a.length - b.length
}

const ESCAPED = /[<>&\u2028\u2029]/g

/** A JSON text as Go writes it: members in order, and what HTML could mistake escaped. */
export function goText(value: JsonValue): string {
  return JSON.stringify(ordered(value)).replace(ESCAPED, escaped)
}

/** The same for a value whose members need no order. */
export function escapedText(value: JsonValue): string {
  return JSON.stringify(value).replace(ESCAPED, escaped)
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}

/** With the members of every object in order. */
function ordered(value: JsonValue): JsonValue {
  if (isList(value)) return value.map(ordered)
  if (!isObject(value)) return value
  const keys = Object.keys(value).sort(compareTexts)
  // JavaScript puts keys that look like indices first, whatever order they are given in; both of two
  // texts that are compared then have them there.
  return Object.fromEntries(keys.map((key) => [key, ordered(value[key] as JsonValue)]))
}

/** Whether two values mean the same, whatever the order of their members. */
export function sameJson(a: JsonValue | undefined, b: JsonValue | undefined): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (isList(a)) {
    if (!isList(b) || a.length !== b.length) return false
    return a.every((each, index) => sameJson(each, b[index]))
  }
  if (isList(b)) return false
  const keys = Object.keys(a)
  if (keys.length !== Object.keys(b).length) return false
  return keys.every((key) => Object.hasOwn(b, key) && sameJson(a[key], b[key]))
}
