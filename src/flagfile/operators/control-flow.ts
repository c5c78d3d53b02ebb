import { compile, evaluateNow } from '../rules/compile.ts'
import type { Compiled } from '../rules/compile.ts'
import { isTrue } from '../rules/convert.ts'
import { isList, isObject } from '../json.ts'
import type { JsonValue } from '../json.ts'
import type { MakeOperator, Run } from './operators.ts'
import { panic } from '../rules/panic.ts'

function conditional(operand: JsonValue, depth: number): Run {
  if (!isList(operand)) return panic
  const parts = operand.map((part) => compile(part, depth))
  const otherwise = parts.length % 2 === 1 ? (parts.at(-1) as Compiled) : undefined
  const branches: { readonly condition: Compiled; readonly result: Compiled }[] = []
  for (let at = 0; at + 1 < parts.length; at += 2) {
    branches.push({ condition: parts[at] as Compiled, result: parts[at + 1] as Compiled })
  }
  return (data) => {
    for (const { condition, result } of branches) {
      if (isTrue(condition.run(data))) return outcome(result, data)
    }
    return otherwise === undefined ? null : outcome(otherwise, data)
  }
}

/** What a branch gives; an object is taken for a rule again, also when it comes from the context. */
function outcome(result: Compiled, data: JsonValue): JsonValue {
  const value = result.run(data)
  return isObject(value) ? evaluateNow(value, data) : value
}

/** Goes from operand to operand until one decides. */
function until(decides: (value: JsonValue) => boolean): MakeOperator {
  return (operand, depth) => {
    if (!isList(operand)) return panic
    const parts = operand.map((part) => compile(part, depth))
    return (data) => {
      let last: JsonValue = null
      for (const part of parts) {
        last = part.run(data)
        if (decides(last)) return last
      }
      return last
    }
  }
}

export const CONTROL: Readonly<Record<string, MakeOperator>> = {
  if: conditional,
  '?:': conditional,
  and: until((value) => !isTrue(value)),
  or: until(isTrue),
}
