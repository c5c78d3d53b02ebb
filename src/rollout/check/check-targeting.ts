import { quote } from '../../errors.ts'
import { checkAgainstJavaScript } from './check-javascript.ts'
import { checkCondition, checkVariable } from './check-condition.ts'
import { checkFractional } from './check-fractional.ts'
import { checkOperator, operandsOf } from './check-operator.ts'
import { closestName } from '../../closest.ts'
import { entriesOf, type JsonNode, property, valueOf } from '../file/document.ts'
import { someOf } from './findings.ts'
import type { TargetingContext, Use } from './targeting-context.ts'

/** Checks a targeting rule, or a shared one of `$evaluators`. */
export function checkTargeting(rule: JsonNode, context: TargetingContext): void {
  checkRule(rule, context, 'result')
  checkAgainstJavaScript(rule, context)
}

function checkRule(node: JsonNode, context: TargetingContext, use: Use): void {
  const { flag, report, shared } = context
  if (report.enough) return
  if (node.type === 'array') {
    for (const child of node.children ?? []) checkRule(child, context, 'operand')
    return
  }
  if (node.type !== 'object') {
    if (use === 'result') checkResult(node, context)
    return
  }
  const entries = entriesOf(node)
  const [only] = entries
  if (only === undefined) return
  if (entries.length > 1) {
    report({
      code: 'operator-count',
      flag,
      node,
      message: `a rule has one operator, got ${entries.length}: ${someOf(entries.map(([key]) => key))}`,
      fix: 'nest them, or combine them with "and"',
    })
    return
  }
  const [operator, args, keyNode] = only
  if (operator === '$ref') {
    if (args.type === 'string' && shared.has(String(args.value))) return
    const near = closestName(String(args.value), [...shared.keys()])
    report({
      code: 'unknown-ref',
      flag,
      node: args,
      message: `the shared rule ${quote(valueOf(args))} is missing in "$evaluators"; the rule fails for everyone`,
      fix: near === undefined ? 'add it to "$evaluators"' : `did you mean ${quote(near)}?`,
    })
    return
  }
  if (!checkOperator(operator, keyNode, args, context)) return
  const operands = operandsOf(args)
  if (operator === 'fractional') checkFractional(node, args, context, use, checkRule)
  else if (operator === 'if' || operator === '?:') checkIf(operands, context, use)
  else if (operator === 'var') checkVariable(operands, context)
  else {
    if (operator === 'in') checkIn(operands, context)
    checkCondition(operator, operands, context)
    const inner: Use = use === 'condition' ? 'condition' : 'operand'
    for (const operand of operands) checkRule(operand, context, inner)
  }
}

function checkIf(operands: readonly JsonNode[], context: TargetingContext, use: Use): void {
  for (const [index, operand] of operands.entries()) {
    const isCondition = index % 2 === 0 && index < operands.length - 1
    checkRule(operand, context, isCondition ? 'condition' : use)
  }
}

/** A literal that becomes the variant. */
function checkResult(node: JsonNode, context: TargetingContext): void {
  const { flag, variants, report } = context
  if (variants === undefined || node.type === 'null') return
  const name = String(valueOf(node))
  if (variants.has(name)) return
  const near = closestName(name, [...variants])
  report({
    code: 'unknown-variant',
    flag,
    node,
    message: `${quote(valueOf(node))} is not one of the variants; users who get it get an error`,
    fix: near === undefined ? remedyOf(variants) : `did you mean ${quote(near)}?`,
  })
}

/** `{"in": [{"var": "plan"}, "internal"]}` searches for a part of a string. */
function checkIn(operands: readonly JsonNode[], { flag, report }: TargetingContext): void {
  const [needle, haystack] = operands
  if (needle === undefined || haystack?.type !== 'string') return
  if (property(needle, 'var') === undefined) return
  report({
    code: 'substring',
    severity: 'warning',
    flag,
    node: haystack,
    message: `this checks whether the attribute is a substring of ${quote(haystack.value)}; "" and single letters match too`,
    fix: `write a list: [${quote(haystack.value)}]`,
  })
}

function remedyOf(variants: ReadonlySet<string>): string {
  return variants.size === 0 ? 'add it to "variants"' : `use one of ${someOf(variants)}`
}
