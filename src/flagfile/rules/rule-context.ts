import { toWellFormed } from '../read/decode.ts'
import { isObject } from '../json.ts'
import type { JsonObject, JsonValue } from '../json.ts'

/** As an application hands it over: anything may stand in it. */
export type EvaluationContext = Readonly<Record<string, unknown>>

// One evaluation is under way at a time, and it never waits. What it sees of the context is made when
// a rule asks for it: most rules ask for one attribute, and to copy the others costs more than the rest.
let root: EvaluationContext = {}
let flagKey = ''

/** Begins an evaluation: the context stands for the data of the rule. */
export function enter(context: EvaluationContext, flag: string): JsonValue {
  root = context
  flagKey = flag
  return context as JsonObject
}

/** A member of what a rule looks at. */
export function memberOf(data: JsonObject, name: string): JsonValue | undefined {
  if (data !== root) return Object.hasOwn(data, name) ? data[name] : undefined
  if (name === '$flagd') return properties()
  return Object.hasOwn(root, name) ? plain(root[name]) : undefined
}

/** The key of the flag, where the rule looks at the whole context and not at an item of a list. */
export function flagKeyIn(data: JsonObject): string {
  if (data === root) return flagKey
  const own = memberOf(data, '$flagd')
  const key = own !== undefined && isObject(own) ? memberOf(own, 'flagKey') : undefined
  return typeof key === 'string' ? key : ''
}

/** All that a rule looks at. */
export function whole(data: JsonValue): JsonValue {
  if (data !== root) return data
  return { ...(plain(root) as JsonObject), $flagd: properties() }
}

function properties(): JsonObject {
  return { flagKey, timestamp: Math.floor(Date.now() / 1_000) }
}

/** As JSON would carry it to flagd. */
function plain(value: unknown): JsonValue | undefined {
  switch (typeof value) {
    case 'string':
      return toWellFormed(value)
    case 'boolean':
      return value
    case 'number':
      return Number.isFinite(value) ? value : null
    case 'bigint':
      return Number(value)
    case 'object':
      break
    default:
      return undefined
  }
  if (value === null) return null
  if (Array.isArray(value)) return value.map((each) => plain(each) ?? null)
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString()
  const entries = Object.entries(value).map(([key, each]) => [key, plain(each)] as const)
  return Object.fromEntries(entries.filter(([, each]) => each !== undefined)) as JsonObject
}
