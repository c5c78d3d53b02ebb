import { isList, isObject } from '../json.ts'
import type { JsonValue } from '../json.ts'
import { OPERATORS } from '../operators/operators.ts'
import { panic, spend } from './panic.ts'

/** A rule, or a part of one, made ready. */
export interface Compiled {
  /** Its value where it does not depend on the user. */
  readonly constant: JsonValue | undefined
  /** @throws PANIC where flagd cannot evaluate it */
  run(this: void, data: JsonValue): JsonValue
}

/** How deep rules may nest: whoever walks one must not overflow the stack. */
const MAX_DEPTH = 1_500

/**
 * Makes a rule ready. An unknown operator, or one with the wrong operands, fails when it is reached and
 * not before, as for flagd.
 */
export function compile(rule: JsonValue, depth = 0): Compiled {
  spend(1)
  if (depth > MAX_DEPTH) return { constant: undefined, run: panic }
  if (isList(rule)) {
    const parts = rule.map((part) => compile(part, depth + 1))
    if (parts.every((part) => part.constant !== undefined)) {
      return constant(parts.map((part) => part.constant as JsonValue))
    }
    return { constant: undefined, run: (data) => parts.map((part) => part.run(data)) }
  }
  if (!isObject(rule)) return constant(rule)
  const [operator, second] = Object.keys(rule)
  // An object with more or fewer members than one is a value.
  if (operator === undefined || second !== undefined) return constant(rule)
  const make = OPERATORS.get(operator)
  if (make === undefined) return { constant: undefined, run: panic }
  return { constant: undefined, run: make(rule[operator] as JsonValue, depth + 1) }
}

export function constant(value: JsonValue): Compiled {
  return { constant: value, run: () => value }
}

/** Evaluates a rule that came into being only now: from data, or with data put into it. */
export function evaluateNow(rule: JsonValue, data: JsonValue): JsonValue {
  return typeof rule === 'object' && rule !== null ? compile(rule).run(data) : rule
}
