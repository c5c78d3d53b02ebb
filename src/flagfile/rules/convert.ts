import { isList, isObject } from '../json.ts'
import type { JsonObject, JsonValue } from '../json.ts'
import { parseGoFloat, plainDecimal } from './numbers.ts'
import { panic } from './panic.ts'

export function isTrue(value: JsonValue): boolean {
  switch (typeof value) {
    case 'boolean':
      return value
    case 'number':
      return value !== 0
    case 'string':
      return value !== ''
    default:
      if (value === null) return false
      return isList(value) ? value.length > 0 : Object.keys(value).length > 0
  }
}

/** For arithmetic: a text that is no number is 0, anything but text and numbers fails. */
export function strictNumber(value: JsonValue | undefined): number {
  if (typeof value === 'number') return value
  return typeof value === 'string' ? (parseGoFloat(value) ?? 0) : panic()
}

/** For comparisons: what is no number is NaN. */
export function looseNumber(value: JsonValue): number {
  switch (typeof value) {
    case 'number':
      return value
    case 'boolean':
      return value ? 1 : 0
    case 'string': {
      const number = parseGoFloat(value)
      if (number === undefined) return trimmed(value) === '' ? 0 : Number.NaN
      // Too large for a number is no number here, unless it was written as infinity.
      return Number.isFinite(number) || /inf|nan/i.test(value) ? number : Number.NaN
    }
    default:
      return value === null ? 0 : Number.NaN
  }
}

/** What may be put together to a text. */
export function textOf(value: JsonValue | undefined): string {
  if (typeof value === 'string') return value
  if (typeof value === 'number') return plainDecimal(value)
  return value === null ? '' : panic()
}

/** As Go on a 64-bit Intel: what does not fit is the smallest of all. */
export function integer(value: number): number {
  const whole = Math.trunc(value)
  return whole >= -(2 ** 63) && whole < 2 ** 63 ? whole : -(2 ** 63)
}

/** Without what Unicode calls white space at its ends. */
export function trimmed(text: string): string {
  return text.replaceAll(/^[\p{White_Space}]+|[\p{White_Space}]+$/gu, '')
}

export function list(value: JsonValue | undefined): readonly JsonValue[] {
  return value !== undefined && isList(value) ? value : panic()
}

export function object(value: JsonValue | undefined): JsonObject {
  return isObject(value) ? value : panic()
}

/** An item that has to be there. */
export function item(values: readonly JsonValue[], index: number): JsonValue {
  const found = values[index]
  return found === undefined ? panic() : found
}
