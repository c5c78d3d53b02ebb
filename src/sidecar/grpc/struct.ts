import { isList } from '../../flagfile/index.ts'
import type { JsonObject, JsonValue } from '../../flagfile/index.ts'

/** The wire form of JSON objects: `google.protobuf.Struct`. */
export interface Struct {
  readonly fields?: Readonly<Record<string, Value>>
}

export interface Value {
  readonly nullValue?: unknown
  readonly numberValue?: number
  readonly stringValue?: string
  readonly boolValue?: boolean
  readonly structValue?: Struct
  readonly listValue?: { readonly values?: readonly Value[] }
}

// protobufjs refuses messages nested deeper than 100, which bounds the recursion.
export function fromStruct(struct: Struct | undefined): JsonObject {
  const fields = Object.entries(struct?.fields ?? {})
  return Object.fromEntries(fields.map(([key, value]) => [key, fromValue(value)]))
}

function fromValue(value: Value): JsonValue {
  if (value.stringValue !== undefined) return value.stringValue
  if (value.numberValue !== undefined) return value.numberValue
  if (value.boolValue !== undefined) return value.boolValue
  if (value.structValue) return fromStruct(value.structValue)
  if (value.listValue) return (value.listValue.values ?? []).map(fromValue)
  return null
}

export function toStruct(object: JsonObject): Struct {
  const fields = Object.entries(object).map(([key, value]) => [key, toValue(value)])
  return { fields: Object.fromEntries(fields) as Readonly<Record<string, Value>> }
}

function toValue(value: JsonValue): Value {
  if (value === null) return { nullValue: 'NULL_VALUE' }
  if (typeof value === 'string') return { stringValue: value }
  if (typeof value === 'number') return { numberValue: value }
  if (typeof value === 'boolean') return { boolValue: value }
  if (isList(value)) return { listValue: { values: value.map(toValue) } }
  return { structValue: toStruct(value) }
}
