import { isList, isObject } from '../json.ts'
import type { JsonValue } from '../json.ts'

/** A part of a rule that flagd and its JavaScript evaluator decide differently for some users. */
export interface EvaluatorDifference {
  /** Keys and indices from the rule to the operator. */
  readonly path: readonly (string | number)[]
  readonly operator: string
  /** For whom and how; goes on from the operator. */
  readonly why: string
}

/**
 * The parts of a rule that flagd decides in one way and `@openfeature/flagd-core`, which other Node.js
 * services evaluate with in-process, in another. Switchback decides as flagd everywhere.
 */
export function differsInJavaScript(rule: JsonValue): EvaluatorDifference[] {
  const found: EvaluatorDifference[] = []
  look(rule, [], found)
  return found
}

function look(
  rule: JsonValue,
  path: readonly (string | number)[],
  found: EvaluatorDifference[],
): void {
  if (isList(rule)) return rule.forEach((part, index) => look(part, [...path, index], found))
  if (!isObject(rule)) return
  const [operator, second] = Object.keys(rule)
  if (operator === undefined || second !== undefined) return
  const operand = rule[operator] as JsonValue
  const why = DIFFERENCES.get(operator)?.(isList(operand) ? operand : [operand])
  if (why !== undefined) found.push({ path: [...path, operator], operator, why })
  look(operand, [...path, operator], found)
}

type Judge = (operands: readonly JsonValue[]) => string | undefined

const loosely: Judge = (operands) =>
  operands.some((each) => each === null || each === 0 || typeof each === 'boolean')
    ? 'takes 0, false and what is missing for different things, and JavaScript does not'
    : undefined

const ordering: Judge = (operands) =>
  operands.some((each) => typeof each === 'string' && Number.isNaN(Number(each)))
    ? 'is false beside a number, where JavaScript gives an error'
    : undefined

const unknown: Judge = () => 'is unknown to JavaScript, which gives an error'

const DIFFERENCES: ReadonlyMap<string, Judge> = new Map<string, Judge>([
  ['==', loosely],
  ['!=', loosely],
  ['<', ordering],
  ['<=', ordering],
  ['>', ordering],
  ['>=', ordering],
  ['abs', unknown],
  [
    'all',
    ([list]) =>
      list !== undefined && isObject(list)
        ? 'is false for a list that is missing, and true in JavaScript'
        : undefined,
  ],
  [
    'in',
    ([, list]) =>
      list !== undefined && isList(list) && list.some((each) => typeof each === 'string')
        ? 'finds a number among texts, 0 beside any text, and JavaScript does not'
        : undefined,
  ],
  [
    'cat',
    (operands) =>
      operands.some(isObject)
        ? 'puts nothing for an attribute that is missing, and JavaScript "null"'
        : undefined,
  ],
  ['missing', () => 'takes an attribute that is null for missing, and JavaScript does not'],
  ['fractional', ofSplit],
])

function ofSplit(operands: readonly JsonValue[]): string | undefined {
  const [first, ...rest] = operands
  if (first !== undefined && isObject(first) && Object.hasOwn(first, 'var')) {
    return 'buckets users without the attribute by flag and targeting key, and JavaScript gives the default'
  }
  const computed = [first, ...rest].some(
    (entry) => entry !== undefined && isList(entry) && isObject(entry[1] ?? null),
  )
  return computed
    ? 'takes a weight that is missing for 1, and JavaScript gives the default'
    : undefined
}
