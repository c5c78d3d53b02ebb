import { quote } from '../../errors.ts'
import { valueOfRule } from '../../flagfile/index.ts'
import { closestName } from '../../closest.ts'
import { type JsonNode, valueOf } from '../file/document.ts'
import { article } from './findings.ts'
import type { TargetingContext } from './targeting-context.ts'

/** Finds conditions that no user ever meets, since flagd cannot compare the operands. */
export function checkCondition(
  operator: string,
  operands: readonly JsonNode[],
  context: TargetingContext,
): void {
  if (operator === 'sem_ver' && operands.length === 3) checkVersions(operands, context)
  if (operator === 'starts_with' || operator === 'ends_with') {
    for (const operand of operands) {
      if (operand.type === 'string' || operand.type === 'object') continue
      const what = `${quote(operator)} compares two strings, got ${article(operand)}`
      neverMet(
        operand,
        what,
        'write one string; for several, combine conditions with "or"',
        context,
      )
    }
  }
}

const versionOperators = ['=', '!=', '<', '<=', '>', '>=', '^', '~']

function checkVersions(operands: readonly JsonNode[], context: TargetingContext): void {
  const [given, operator, wanted] = operands
  for (const version of [given, wanted]) {
    if (version === undefined || version.type === 'object') continue
    const value = valueOf(version)
    if (valueOfRule({ sem_ver: [value, '=', value] }, '', {}) === true) continue
    const what = `${quote(value)} is not a version`
    neverMet(version, what, 'write one version such as "1.2.3", without a range', context)
  }
  if (operator === undefined || operator.type === 'object') return
  if (versionOperators.includes(String(operator.value)) && operator.type === 'string') return
  const what = `${quote(valueOf(operator))} is not an operator of "sem_ver"`
  neverMet(operator, what, `use one of ${versionOperators.join(' ')}`, context)
}

function neverMet(
  node: JsonNode,
  what: string,
  fix: string,
  { flag, report }: TargetingContext,
): void {
  report({
    code: 'never-met',
    flag,
    node,
    message: `${what}; no user ever meets the condition`,
    fix,
  })
}

const flagdProperties = ['flagKey', 'timestamp']

/** `$flagd.timestmp`: flagd fills in two properties; any other name has no value. */
export function checkVariable(operands: readonly JsonNode[], context: TargetingContext): void {
  const [name] = operands
  if (name?.type !== 'string') return
  const text = String(name.value)
  if (!text.startsWith('$flagd.')) return
  const wanted = text.slice('$flagd.'.length)
  if (flagdProperties.includes(wanted)) return
  const near = closestName(wanted, flagdProperties)
  context.report({
    code: 'unknown-property',
    flag: context.flag,
    node: name,
    message: `flagd has no property ${quote(text)}; it has no value for any user`,
    fix:
      near === undefined
        ? 'use "$flagd.flagKey" or "$flagd.timestamp"'
        : `did you mean ${quote(`$flagd.${near}`)}?`,
  })
}
