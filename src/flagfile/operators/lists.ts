import { evaluateNow } from '../rules/compile.ts'
import { integer, item, list, object, strictNumber } from '../rules/convert.ts'
import { isList, isObject } from '../json.ts'
import type { JsonValue } from '../json.ts'
import type { EagerOperator } from './operators.ts'
import { panic, spend } from '../rules/panic.ts'
import { lookUp } from './var.ts'

function contained(values: JsonValue): boolean {
  const parts = list(values)
  const [wanted, where] = [item(parts, 0), parts[1] ?? null]
  if (typeof where === 'string')
    return typeof wanted === 'string' ? where.includes(wanted) : panic()
  if (!isList(where)) return false
  spend(where.length >> 3)
  for (const each of where) {
    if (isList(each) ? inRange(wanted, each) : same(wanted, each)) return true
  }
  return false
}

function inRange(value: JsonValue, range: readonly JsonValue[]): boolean {
  const [from, to] = [item(range, 0), item(range, 1)]
  const number = strictNumber(value)
  return number >= strictNumber(from) && strictNumber(to) >= strictNumber(value)
}

function same(wanted: JsonValue, each: JsonValue): boolean {
  if (typeof wanted === 'number') return strictNumber(each) === wanted
  return isObject(wanted) && isObject(each) ? panic() : wanted === each
}

function merged(values: JsonValue): JsonValue {
  if (typeof values !== 'object') return [values]
  const all = list(values).flatMap((value) => (isList(value) ? value : [value]))
  spend(all.length)
  return all
}

/** Those of the names that the data does not have. */
function missingOf(names: readonly JsonValue[], data: JsonValue): JsonValue[] {
  spend(names.length)
  return names.filter((name) => lookUp(evaluateNow(name, data), data) === null)
}

function missing(values: JsonValue, data: JsonValue): JsonValue {
  return missingOf(typeof values === 'string' ? [values] : list(values), data)
}

function missingSome(values: JsonValue, data: JsonValue): JsonValue {
  const parts = list(values)
  const needed = integer(strictNumber(item(parts, 0)))
  const names = list(item(parts, 1))
  const absent = missingOf(names, data)
  return needed > names.length - absent.length ? absent : []
}

/** Whether one of the second list's items is in the first; `otherwise` without two lists. */
function overlap(
  otherwise: boolean,
  judge: (has: (item: JsonValue) => boolean, asked: readonly JsonValue[]) => boolean,
): EagerOperator {
  return (values) => {
    if (!isList(values) || values.length !== 2) return otherwise
    const [all, asked] = values
    if (all === undefined || asked === undefined || !isList(all) || !isList(asked)) return otherwise
    spend((all.length * asked.length) >> 3)
    return judge((each) => all.some((one) => identical(one, each)), asked)
  }
}

function identical(a: JsonValue, b: JsonValue): boolean {
  const uncomparable = (isList(a) && isList(b)) || (isObject(a) && isObject(b))
  return uncomparable ? panic() : a === b
}

function setMember(values: JsonValue, data: JsonValue): JsonValue {
  const [target, name, value] = list(values)
  if (target === undefined) return null
  if (name === undefined || value === undefined || !isObject(target)) return target
  if (typeof name !== 'string') panic()
  spend(Object.keys(object(target)).length)
  return Object.fromEntries([...Object.entries(target), [name, evaluateNow(value, data)]])
}

export const LISTS: Readonly<Record<string, EagerOperator>> = {
  in: contained,
  merge: merged,
  missing,
  missing_some: missingSome,
  contains_all: overlap(false, (has, asked) => asked.every(has)),
  contains_any: overlap(false, (has, asked) => asked.some(has)),
  contains_none: overlap(true, (has, asked) => !asked.some(has)),
  set: setMember,
}
