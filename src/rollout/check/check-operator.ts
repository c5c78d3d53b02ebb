import { quote } from '../../errors.ts'
import { closestName } from '../../closest.ts'
import { OPERATOR_NAMES } from '../../flagfile/index.ts'
import type { JsonNode } from '../file/document.ts'
import type { TargetingContext } from './targeting-context.ts'

/**
 * How many operands each operator takes; from flagd's published schema, and for those that only its
 * code knows (`?:`, `abs`, `set`, `contains_...`) as a real flagd answers.
 */
export const operandCounts: Readonly<Record<string, readonly [least: number, most: number]>> = {
  var: [1, 2],
  missing: [0, Infinity],
  missing_some: [2, 2],
  if: [1, Infinity],
  '?:': [1, Infinity],
  '==': [2, 2],
  '===': [2, 2],
  '!=': [2, 2],
  '!==': [2, 2],
  '>': [2, 2],
  '>=': [2, 2],
  '<': [2, 3],
  '<=': [2, 3],
  '%': [2, 2],
  abs: [1, Infinity],
  '/': [2, 2],
  '*': [2, Infinity],
  '+': [1, Infinity],
  '-': [1, Infinity],
  min: [1, Infinity],
  max: [1, Infinity],
  merge: [1, Infinity],
  cat: [1, Infinity],
  and: [1, Infinity],
  or: [1, Infinity],
  '!': [1, 1],
  '!!': [1, 1],
  map: [2, 2],
  filter: [2, 2],
  all: [2, 2],
  none: [2, 2],
  some: [2, 2],
  in: [2, 2],
  contains_all: [2, 2],
  contains_any: [2, 2],
  contains_none: [2, 2],
  set: [1, 3],
  reduce: [3, 3],
  substr: [2, 3],
  starts_with: [2, 2],
  ends_with: [2, 2],
  sem_ver: [3, 3],
  fractional: [1, Infinity],
}

/** Whether flagd knows the operator; how many operands it has is checked too. */
export function checkOperator(
  operator: string,
  keyNode: JsonNode,
  args: JsonNode,
  context: TargetingContext,
): boolean {
  if (!OPERATOR_NAMES.has(operator)) {
    const near = closestName(operator, [...OPERATOR_NAMES])
    context.report({
      code: 'unknown-operator',
      flag: context.flag,
      node: keyNode,
      message: `flagd has no operator ${quote(operator)}; everyone gets PARSE_ERROR`,
      fix:
        near === undefined
          ? 'see flagd.dev/reference/custom-operations'
          : `did you mean ${quote(near)}?`,
    })
    return false
  }
  const count = operandCounts[operator]
  if (count !== undefined) checkCount(operator, operandsOf(args), count, args, context)
  return true
}

/** A single operand may stand without its list. */
export function operandsOf(args: JsonNode): readonly JsonNode[] {
  return args.type === 'array' ? (args.children ?? []) : [args]
}

function checkCount(
  operator: string,
  operands: readonly JsonNode[],
  [least, most]: readonly [number, number],
  node: JsonNode,
  { flag, report }: TargetingContext,
): void {
  if (operands.length >= least && operands.length <= most) return
  const expected = least === most ? `${least}` : `${least} to ${most}`
  report({
    code: 'arguments',
    flag,
    node,
    message: `${quote(operator)} takes ${most === Infinity ? `at least ${least}` : expected} operands, got ${operands.length}`,
    fix: 'see flagd.dev/reference/flag-definitions/#targeting-rules',
  })
}
