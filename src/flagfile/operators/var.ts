import { memberOf, whole } from '../rules/rule-context.ts'
import { integer, strictNumber } from '../rules/convert.ts'
import { isList, isObject } from '../json.ts'
import type { JsonValue } from '../json.ts'
import { plainDecimal } from '../rules/numbers.ts'
import { panic } from '../rules/panic.ts'

/** What `{"var": ...}` means, its operand evaluated already. */
export function lookUp(operand: JsonValue, data: JsonValue): JsonValue {
  if (operand === null) return typeof data === 'object' ? null : data
  let path: JsonValue = typeof operand === 'number' ? plainDecimal(operand) : operand
  let otherwise: JsonValue = null
  if (path === '') return whole(data)
  if (isList(path)) {
    if (path.length === 0) return whole(data)
    if (path.length === 2) otherwise = path[1] as JsonValue
    path = path[0] as JsonValue
  }
  return typeof path === 'string' ? walkPath(data, partsOf(path), otherwise) : panic()
}

export function partsOf(path: string): readonly string[] {
  return path.split('.').filter((part) => part !== '')
}

export function walkPath(
  data: JsonValue,
  parts: readonly string[],
  otherwise: JsonValue,
): JsonValue {
  if (data === null) return otherwise
  let value: JsonValue = data
  for (const part of parts) {
    let next: JsonValue | undefined
    if (isObject(value)) next = memberOf(value, part)
    else if (isList(value)) next = value[integer(strictNumber(part))]
    if (next === undefined || next === null) return otherwise
    value = next
  }
  return parts.length === 0 ? whole(data) : value
}
