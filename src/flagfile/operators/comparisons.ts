import { isTrue, list, looseNumber } from '../rules/convert.ts'
import { compareTexts, isList, isObject } from '../json.ts'
import type { JsonValue } from '../json.ts'
import type { EagerOperator } from './operators.ts'

function less(a: JsonValue, b: JsonValue): boolean {
  if (typeof a === 'string' && typeof b === 'string') return compareTexts(a, b) < 0
  return looseNumber(a) < looseNumber(b)
}

function equal(a: JsonValue, b: JsonValue): boolean {
  if (a === null || b === null) return a === b
  if (typeof a === 'string' && typeof b === 'string') return a === b
  return looseNumber(a) === looseNumber(b)
}

function notMore(a: JsonValue, b: JsonValue): boolean {
  return less(a, b) || equal(a, b)
}

/** The last two also for three operands, each beside the next. */
function chained(holds: (a: JsonValue, b: JsonValue) => boolean): EagerOperator {
  return (values) => {
    const [a, b, c, more] = list(values)
    if (a === undefined || b === undefined) return false
    return holds(a, b) && (c === undefined || more !== undefined || holds(b, c))
  }
}

function pairEqual(values: JsonValue): boolean {
  const [a, b] = list(values)
  return a !== undefined && b !== undefined && equal(a, b)
}

function kindOf(value: JsonValue): string {
  return isList(value) ? 'list' : isObject(value) ? 'object' : typeof value
}

function strictlyEqual(values: JsonValue): boolean {
  if (!isList(values)) return false
  const [a, b] = values
  if (a === undefined || b === undefined) return false
  if (a === null || b === null) return a === b
  return kindOf(a) === kindOf(b) && equal(a, b)
}

function negated(values: JsonValue): boolean {
  return !isTrue(isList(values) && values.length > 0 ? (values[0] as JsonValue) : values)
}

export const COMPARISON_OPERATORS: Readonly<Record<string, EagerOperator>> = {
  '<': chained(less),
  '<=': chained(notMore),
  '>': chained((a, b) => less(b, a)),
  '>=': chained((a, b) => notMore(b, a)),
  '==': pairEqual,
  '!=': (values) => !pairEqual(values),
  '===': strictlyEqual,
  '!==': (values) => !strictlyEqual(values),
  '!': negated,
  '!!': (values) => !negated(values),
}
