import type { PlainCodec } from '../plain-value.ts'

const MAX_DEPTH = 200

/** For values that JSON keeps as they are: a date or a Map would come back as something else, so it is refused. */
export const plainJson: PlainCodec<unknown> = {
  encode: (payload) => JSON.parse(payload) as unknown,
  decode(stored) {
    if (!isJsonValue(stored, MAX_DEPTH)) throw new TypeError('JSON would change the value')
    return JSON.stringify(stored)
  },
}

/** What was looked at is not looked at again: a cache in memory gives the same object each time. */
const known = new WeakSet<object>()

function isJsonValue(value: unknown, depth: number): boolean {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return true
    case 'number':
      return Number.isFinite(value)
    case 'object':
      return value === null || known.has(value) || (depth > 0 && isJsonObject(value, depth))
    default:
      return false
  }
}

function isJsonObject(value: object, depth: number): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  const plain = Array.isArray(value) || prototype === Object.prototype || prototype === null
  if (!plain || 'toJSON' in value) return false
  // A field that is undefined is left out, and reads as before.
  const fields: unknown[] = Object.values(value)
  if (!fields.every((field) => field === undefined || isJsonValue(field, depth - 1))) return false
  if (depth === MAX_DEPTH) known.add(value)
  return true
}
