import { quote } from '../../errors.ts'
import { readsTime } from '../../flagfile/index.ts'
import { type JsonNode, property, valueOf, walk } from '../file/document.ts'
import { article } from './findings.ts'
import { largestTotal } from '../split/split.ts'
import type { TargetingContext, Use } from './targeting-context.ts'

/**
 * Checks `{"fractional": [...]}`: its place, its weights, and its bucketing key.
 *
 * @param list the operands
 * @param checkRule for nested rules
 */
export function checkFractional(
  rule: JsonNode,
  list: JsonNode,
  context: TargetingContext,
  use: Use,
  checkRule: (node: JsonNode, context: TargetingContext, use: Use) => void,
): void {
  const { flag, report } = context
  if (use !== 'result' && context.variants !== undefined) {
    report({
      code: 'fractional-in-condition',
      flag,
      node: rule,
      message:
        use === 'condition'
          ? 'a "fractional" as a condition splits nothing: its value is a variant name, and every name counts as true'
          : 'the value of this "fractional" is an operand, not the variant, so it splits nothing',
      fix: 'put it in place of the variant: { "if": [condition, "on", { "fractional": [...] }] }',
    })
  }
  if (list.type !== 'array') {
    weights(
      list,
      `"fractional" takes a list, got ${article(list)}; all users get the default variant`,
    )
    return
  }
  const parts = list.children ?? []
  const bucketing = parts[0]?.type === 'array' ? undefined : parts[0]
  if (bucketing !== undefined) {
    checkBucketing(bucketing, context)
    checkRule(bucketing, context, 'operand')
  }
  let total = 0
  let computed = false
  const entries = bucketing === undefined ? parts : parts.slice(1)
  for (const entry of entries) {
    if (report.enough) return
    const [variant, weight, extra] = entry.children ?? []
    if (extra !== undefined) {
      report({
        code: 'weights',
        severity: 'warning',
        flag,
        node: entry,
        message: 'an entry has more than a variant and a weight; flagd ignores the rest',
        fix: 'write ["variant", weight]',
      })
    }
    if (entry.type !== 'array' || variant === undefined) {
      weights(
        entry,
        'an entry of a "fractional" is ["variant", weight]; everyone gets the default variant',
      )
      continue
    }
    if (variant.type === 'number') {
      weights(variant, `an entry needs the name of a variant, got ${quote(valueOf(variant))}`)
    } else checkRule(variant, context, 'result')
    if (weight === undefined) total += 1
    else if (weight.type === 'object') {
      computed = true
      checkRule(weight, context, 'operand')
      if (readsTime(valueOf(weight))) {
        report({
          code: 'moving-split',
          severity: 'warning',
          flag,
          node: weight,
          message: 'the weight is computed from the time: users change sides without an edit',
          fix: 'write whole numbers, and widen with switchback set',
        })
      }
    } else if (weight.type !== 'number' || !Number.isInteger(weight.value)) {
      const kind = weight.type === 'number' ? 'not whole' : article(weight)
      weights(
        weight,
        `the weight ${quote(valueOf(weight))} is ${kind}; everyone gets the default variant`,
      )
    } else if (Number(weight.value) < 0) {
      weights(weight, `the weight ${quote(valueOf(weight))} is negative; flagd treats it as 0`)
    } else total += Number(weight.value)
  }
  if (total > largestTotal) {
    weights(
      list,
      `the weights add up to ${total}, more than ${largestTotal}; everyone gets the default variant`,
    )
  }
  if (total === 0 && !computed && entries.length > 0) {
    report({
      code: 'weights-zero',
      flag,
      node: list,
      message: 'all weights are 0; everyone gets the default variant, without an error',
      fix: 'give the entry that all users are to get a weight, e.g. ["off", 100]',
    })
  }

  function weights(node: JsonNode, message: string): void {
    report({
      code: 'weights',
      flag,
      node,
      message,
      fix: 'write whole numbers from 0 up, e.g. ["on", 25], ["off", 75]; use 1000 in all for tenths',
    })
  }
}

/** `{"cat": [flagKey, targetingKey]}` hashes "use-redis" for all users without a key. */
function checkBucketing(node: JsonNode, { flag, report }: TargetingContext): void {
  const reads = [...walk(node)].flatMap((each) => property(each, 'var') ?? [])
  const attributes = reads.map((each) => String(each.children?.[0]?.value ?? each.value))
  const missing = attributes.filter((name) => !name.startsWith('$flagd.'))
  if (node.type === 'string' || (node.type === 'object' && missing.length === 0)) {
    report({
      code: 'anonymous-bucket',
      flag,
      node,
      message: 'the bucketing value is the same for everyone, so that all users land in one bucket',
      fix: 'leave it out: flagd then buckets by flag and targeting key',
    })
    return
  }
  if (property(node, 'cat') === undefined) return
  report({
    code: 'anonymous-bucket',
    severity: 'warning',
    flag,
    node,
    message: `for users without ${missing.slice(0, 8).map(quote).join(' or ')}, flagd hashes an empty text in its place: they all land on one side`,
    fix:
      missing.length === 1 && missing[0] === 'targetingKey'
        ? 'leave the expression out: by default flagd buckets by flag and targeting key, and gives users without a key the default variant'
        : 'make sure that every caller passes it',
  })
}
