import { item, list, strictNumber } from '../rules/convert.ts'
import { isList } from '../json.ts'
import type { JsonValue } from '../json.ts'
import type { EagerOperator } from './operators.ts'

function numbers(values: JsonValue): number[] {
  return list(values).map(strictNumber)
}

export const ARITHMETIC: Readonly<Record<string, EagerOperator>> = {
  '+': (values) =>
    isList(values) ? numbers(values).reduce((sum, each) => sum + each, 0) : strictNumber(values),
  '-': (values) => {
    const [first, ...rest] = numbers(values)
    if (first === undefined) return 0
    return rest.length === 0 ? -1 * first : rest.reduce((left, each) => left - each, first)
  },
  '*': (values) => numbers(values).reduce((product, each) => product * each, 1),
  '/': (values) => {
    const [first, ...rest] = numbers(values)
    return first === undefined ? 0 : rest.reduce((quotient, each) => quotient / each, first)
  },
  '%': (values) => strictNumber(item(list(values), 0)) % strictNumber(item(list(values), 1)),
  abs: (values) => Math.abs(strictNumber(isList(values) ? item(values, 0) : values)),
  max: (values) => extreme(values, (a, b) => a > b),
  min: (values) => extreme(values, (a, b) => a < b),
}

function extreme(values: JsonValue, beats: (a: number, b: number) => boolean): JsonValue {
  const [first, ...rest] = numbers(values)
  if (first === undefined) return null
  return rest.reduce((best, each) => (beats(each, best) ? each : best), first)
}
