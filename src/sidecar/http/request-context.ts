import { endOfValue, INCOMPLETE, INVALID, membersOf } from './first-json-value.ts'
import { isObject, skipBlanks } from '../../flagfile/index.ts'
import type { JsonObject, JsonValue } from '../../flagfile/index.ts'

/** Why a body has no context. `cut` is one that ends before its JSON does, `blank` one without any. */
export type BodyProblem = 'invalid' | 'cut' | 'blank'

/**
 * The evaluation context of an OFREP body, as flagd reads it: a context that is not an object
 * counts as empty, and what follows the first JSON value is ignored.
 */
export function contextOfBody(text: string): JsonObject | BodyProblem {
  const start = skipBlanks(text, 0)
  if (start === text.length) return 'blank'
  const end = endOfValue(text, start)
  if (end === INVALID) return 'invalid'
  if (end === INCOMPLETE) return 'cut'
  const value = text.slice(start, end)
  if (value === 'null') return {}
  if (!value.startsWith('{')) return 'invalid'
  let context: JsonValue = null
  for (const [name, member] of membersOf(value)) {
    if (name.toLowerCase() !== 'context') continue
    const parsed = decoded(member)
    if (parsed === undefined) return 'invalid'
    context = parsed
  }
  return isObject(context) ? context : {}
}

interface Es2024String {
  isWellFormed(): boolean
  toWellFormed(): string
}

/**
 * Valid JSON as Go decodes it: half of a surrogate pair becomes U+FFFD, and a number beyond a
 * float64 fails, which is `undefined` here. Pass only what Go decodes.
 */
export function decoded(text: string): JsonValue | undefined {
  const holder: { value: JsonValue } = { value: JSON.parse(text) as JsonValue }
  const open: object[] = [holder]
  for (let object = open.pop(); object !== undefined; object = open.pop()) {
    for (const [key, value] of Object.entries(object)) {
      if (typeof value === 'number' && !Number.isFinite(value)) return undefined
      if (typeof value === 'object' && value !== null) open.push(value)
      if (typeof value === 'string' && !isWellFormed(value)) set(object, key, wellFormed(value))
      if (isWellFormed(key)) continue
      const name = wellFormed(key)
      set(object, name, (object as Record<string, unknown>)[key])
      delete (object as Record<string, unknown>)[key]
    }
  }
  return holder.value
}

function isWellFormed(text: string): boolean {
  return (text as string & Es2024String).isWellFormed()
}

function wellFormed(text: string): string {
  return (text as string & Es2024String).toWellFormed()
}

/** Assignment would set the prototype for `__proto__`. */
function set(object: object, key: string, value: unknown): void {
  Object.defineProperty(object, key, {
    value,
    enumerable: true,
    configurable: true,
    writable: true,
  })
}
