import { compile, evaluateNow } from '../rules/compile.ts'
import { isTrue, item, list, object, strictNumber, textOf } from '../rules/convert.ts'
import { isList, isObject } from '../json.ts'
import type { JsonValue } from '../json.ts'
import type { MakeOperator, Run } from './operators.ts'
import { panic, spend } from '../rules/panic.ts'
import { lookUp } from './var.ts'

/** What to go through: a list as it stands, items that look like rules included, or what a rule gives. */
function subjectOf(parts: readonly JsonValue[], depth: number): Run {
  const given = parts[0]
  if (given === undefined) return panic
  if (isList(given)) return () => given
  return isObject(given) ? compile(given, depth).run : () => null
}

/**
 * A rule with the values of `data` in the place of the variables that `data` has. flagd does so before
 * it goes through a list: a variable of the item is then only one that the context has not.
 */
function withVariables(rule: JsonValue, data: JsonValue): JsonValue {
  spend(1)
  if (isList(rule)) return rule.map((part) => withVariables(part, data))
  if (!isObject(rule)) return rule
  const members: [string, JsonValue][] = []
  for (const [name, operand] of Object.entries(rule)) {
    if (name !== 'var') {
      members.push([name, withVariables(operand, data)])
    } else if (typeof operand === 'string' && (operand === '' || operand.startsWith('.'))) {
      members.push([name, operand])
    } else {
      const value = lookUp(evaluateNow(operand, data), data)
      if (value !== null) return value
      members.push([name, operand])
    }
  }
  return Object.fromEntries(members)
}

/** A condition has to be a rule; what a variable has become by then may be none. */
function judge(condition: JsonValue, data: JsonValue): boolean {
  spend(1)
  return isTrue(evaluateNow(object(condition), data))
}

function subjectAndRule(
  operand: JsonValue,
  depth: number,
  go: (subject: JsonValue, rule: () => JsonValue, data: JsonValue) => JsonValue,
): Run {
  if (!isList(operand)) return panic
  const subject = subjectOf(operand, depth)
  const rule = (): JsonValue => item(operand, 1)
  return (data) => go(subject(data), rule, data)
}

const all: MakeOperator = (operand, depth) =>
  subjectAndRule(operand, depth, (subject, rule, _data) => {
    if (!isTrue(subject)) return false
    return list(subject).every((each) => judge(withVariables(rule(), each), each))
  })

const none: MakeOperator = (operand, depth) =>
  subjectAndRule(operand, depth, (subject, rule, data) => {
    if (!isTrue(subject)) return true
    const condition = withVariables(rule(), data)
    return !list(subject).some((each) => judge(condition, each))
  })

const some: MakeOperator = (operand, depth) =>
  subjectAndRule(operand, depth, (subject, rule, data) => {
    if (!isTrue(subject)) return false
    const condition = withVariables(rule(), data)
    return list(subject).some((each) => judge(withVariables(condition, each), each))
  })

const filter: MakeOperator = (operand, depth) => {
  if (isList(operand) && operand.length < 2) return () => []
  return subjectAndRule(operand, depth, (subject, rule, data) => {
    if (subject === null) return []
    const items = list(subject)
    const condition = withVariables(rule(), data)
    return items.filter((each) => {
      spend(1)
      return isTrue(evaluateNow(condition, each))
    })
  })
}

const map: MakeOperator = (operand, depth) => {
  if (!isList(operand)) return panic
  if (operand.length < 2) return () => []
  const subject = subjectOf(operand, depth)
  const rule = compile(operand[1] as JsonValue, depth)
  return (data) => {
    const items = subject(data)
    if (items === null) return []
    return list(items).map((each) => {
      spend(1)
      return rule.run(each)
    })
  }
}

const reduce: MakeOperator = (operand, depth) => {
  if (!isList(operand)) return panic
  if (operand.length < 3) return () => 0
  const [, step, initial] = operand as readonly [JsonValue, JsonValue, JsonValue]
  const subject = subjectOf(operand, depth)
  const begin = isObject(initial) ? compile(initial, depth).run : () => initial
  const next = isObject(step) ? compile(step, depth).run : panic
  return (data) => {
    let accumulator = begin(data)
    const valueType = typeof accumulator
    if (valueType === 'object') panic()
    const items = subject(data)
    if (items === null) return 0
    for (const current of list(items)) {
      if (current === null) continue
      spend(1)
      const value = next({ current, accumulator, valueType: nameOf(accumulator) })
      if (valueType === 'boolean') accumulator = isTrue(value)
      else accumulator = valueType === 'number' ? strictNumber(value) : textOf(value)
    }
    return accumulator
  }
}

function nameOf(value: JsonValue): string {
  return typeof value === 'boolean' ? 'bool' : typeof value
}

export const LOOPS: Readonly<Record<string, MakeOperator>> = {
  all,
  none,
  some,
  filter,
  map,
  reduce,
}
