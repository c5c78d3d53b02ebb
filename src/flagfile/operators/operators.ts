import { ARITHMETIC } from './arithmetic.ts'
import { compile } from '../rules/compile.ts'
import { COMPARISON_OPERATORS } from './comparisons.ts'
import { CONTROL } from './control-flow.ts'
import { splitOf } from '../rules/compile-fractional.ts'
import { isList } from '../json.ts'
import type { JsonValue } from '../json.ts'
import { LISTS } from './lists.ts'
import { LOOPS } from './loops.ts'
import { TEXTS } from './texts.ts'
import { lookUp, partsOf, walkPath } from './var.ts'
import { semVer } from './versions.ts'

export type Run = (data: JsonValue) => JsonValue
/** Makes an operator ready for its operand. */
export type MakeOperator = (operand: JsonValue, depth: number) => Run
/** An operator that is given its operand evaluated. */
export type EagerOperator = (values: JsonValue, data: JsonValue) => JsonValue

function eager(operators: Readonly<Record<string, EagerOperator>>): [string, MakeOperator][] {
  return Object.entries(operators).map(([name, operator]) => [name, eagerly(operator)])
}

function eagerly(operator: EagerOperator): MakeOperator {
  return (operand, depth) => {
    const values = compile(operand, depth)
    return (data) => operator(values.run(data), data)
  }
}

function lookUpOf(operand: JsonValue, depth: number): Run {
  const named =
    typeof operand === 'string'
      ? operand
      : isList(operand) && operand.length === 1 && typeof operand[0] === 'string'
        ? operand[0]
        : ''
  if (named === '') return eagerly(lookUp)(operand, depth)
  const parts = partsOf(named)
  return (data) => walkPath(data, parts, null)
}

/** Every operator that flagd knows, by name. A map, since every object knows `constructor`. */
export const OPERATORS: ReadonlyMap<string, MakeOperator> = new Map([
  ...eager(ARITHMETIC),
  ...eager(COMPARISON_OPERATORS),
  ...eager(LISTS),
  ...eager(TEXTS),
  ...eager({ sem_ver: semVer }),
  ...Object.entries(CONTROL),
  ...Object.entries(LOOPS),
  ['var', lookUpOf] as [string, MakeOperator],
  ['fractional', splitOf] as [string, MakeOperator],
])

/** Their names, for who checks a rule without evaluating it. */
export const OPERATOR_NAMES: ReadonlySet<string> = new Set(OPERATORS.keys())
