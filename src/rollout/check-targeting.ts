import { quote } from '../errors.ts'
import { closestName } from './closest.ts'
import { entriesOf, type JsonNode, property, valueOf, walk } from './document.ts'
import { largestTotal } from './split.ts'
import { article, type Report } from './findings.ts'

/** A rule to check, and what it may refer to. */
export interface TargetingContext {
  readonly flag: string
  readonly shared: ReadonlyMap<string, JsonNode>
  readonly report: Report
  /** Absent for shared rules, whose results belong to the flags that use them. */
  readonly variants?: ReadonlySet<string>
  readonly definition?: JsonNode
}

/** Every operator of flagd's rules and how many operands it takes; from its published schema. */
const operators: Readonly<Record<string, readonly [least: number, most: number]>> = {
  var: [1, 2],
  missing: [0, Infinity],
  missing_some: [2, 2],
  if: [1, Infinity],
  '==': [2, 2],
  '===': [2, 2],
  '!=': [2, 2],
  '!==': [2, 2],
  '>': [2, 2],
  '>=': [2, 2],
  '<': [2, 3],
  '<=': [2, 3],
  '%': [2, 2],
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
  reduce: [3, 3],
  substr: [2, 3],
  starts_with: [2, 2],
  ends_with: [2, 2],
  sem_ver: [3, 3],
  fractional: [1, Infinity],
}

/** Checks a targeting rule, or a shared one of `$evaluators`. */
export function checkTargeting(rule: JsonNode, context: TargetingContext): void {
  checkRule(rule, context, 'result')
}

/**
 * What a rule's value is used for: as the variant, to decide a condition, or as an operand.
 * A `fractional` splits users only where its value is the variant.
 */
type Use = 'result' | 'condition' | 'operand'

function checkRule(node: JsonNode, context: TargetingContext, use: Use): void {
  const { flag, report, shared } = context
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
      message: `a rule has one operator, and this has ${entries.length}: ${entries.map(([key]) => quote(key)).join(', ')}`,
      fix: 'nest them, or combine them with "and"',
    })
    return
  }
  const [operator, args, keyNode] = only
  if (operator === '$ref') {
    if (shared.has(String(args.value))) return
    const near = closestName(String(args.value), [...shared.keys()])
    report({
      code: 'unknown-ref',
      flag,
      node: args,
      message: `there is no shared rule ${quote(valueOf(args))} in "$evaluators"; the rule fails for everyone`,
      fix: near === undefined ? 'add it to "$evaluators"' : `did you mean ${quote(near)}?`,
    })
    return
  }
  const count = Object.hasOwn(operators, operator) ? operators[operator] : undefined
  if (count === undefined) {
    const near = closestName(operator, Object.keys(operators))
    report({
      code: 'unknown-operator',
      flag,
      node: keyNode,
      message: `flagd has no operator ${quote(operator)}; everyone gets PARSE_ERROR`,
      fix:
        near === undefined
          ? 'see flagd.dev/reference/custom-operations'
          : `did you mean ${quote(near)}?`,
    })
    return
  }
  const operands = args.type === 'array' ? (args.children ?? []) : [args]
  checkCount(operator, operands, count, args, context)
  if (operator === 'fractional') checkFractional(node, args, context, use)
  else if (operator === 'if') checkIf(operands, context, use)
  else if (operator === 'var') return
  else {
    if (operator === 'in') checkIn(operands, context)
    const inner: Use = use === 'condition' ? 'condition' : 'operand'
    for (const operand of operands) checkRule(operand, context, inner)
  }
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
    message: `${quote(operator)} takes ${most === Infinity ? `at least ${least}` : expected} operands, and this has ${operands.length}`,
    fix: 'see flagd.dev/reference/flag-definitions/#targeting-rules',
  })
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
    message: `${quote(valueOf(node))} is none of the variants; users who land on it get an error`,
    fix:
      near === undefined
        ? `use one of ${[...variants].map(quote).join(', ')}`
        : `did you mean ${quote(near)}?`,
  })
}

function checkFractional(
  rule: JsonNode,
  list: JsonNode,
  context: TargetingContext,
  use: Use,
): void {
  const { flag, report } = context
  if (use !== 'result' && context.variants !== undefined) {
    report({
      code: 'fractional-in-condition',
      flag,
      node: rule,
      message:
        use === 'condition'
          ? 'a "fractional" as a condition splits nothing: it gives a variant name, and any name is true'
          : 'the value of this "fractional" is an operand and not the variant, so it splits nothing',
      fix: 'put it where the variant stands: { "if": [condition, "on", { "fractional": [...] }] }',
    })
  }
  if (list.type !== 'array') {
    weights(list, `"fractional" takes a list, not ${article(list)}; it splits nobody`)
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
    const [variant, weight, extra] = entry.children ?? []
    if (entry.type !== 'array' || variant === undefined || extra !== undefined) {
      weights(
        entry,
        'an entry of a "fractional" is ["variant", weight]; everyone gets the default variant',
      )
      continue
    }
    if (variant.type === 'number') {
      weights(variant, `the variant of an entry is its name, not ${quote(valueOf(variant))}`)
    } else checkRule(variant, context, 'result')
    if (weight === undefined) total += 1
    else if (weight.type === 'object') {
      computed = true
      checkRule(weight, context, 'operand')
    } else if (weight.type !== 'number' || !Number.isInteger(weight.value)) {
      const kind = weight.type === 'number' ? 'not whole' : article(weight)
      weights(
        weight,
        `the weight ${quote(valueOf(weight))} is ${kind}; everyone gets the default variant`,
      )
    } else if (Number(weight.value) < 0) {
      weights(weight, `the weight ${quote(valueOf(weight))} is negative; flagd takes it for 0`)
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
      message: 'all weights are 0; everyone gets the default variant, silently',
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

/** `{"cat": [flagKey, targetingKey]}` hashes "use-redisnull" for everyone who has no key. */
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
    message: `whoever has no ${missing.map(quote).join(' or ')} is bucketed as "null": all of them land on one side`,
    fix:
      missing.length === 1 && missing[0] === 'targetingKey'
        ? 'leave the expression out: flagd buckets by flag and targeting key of itself, and gives users without a key the default'
        : 'make sure that every caller sends it',
  })
}

/** `{"in": [{"var": "plan"}, "internal"]}` is a search for a part of a string. */
function checkIn(operands: readonly JsonNode[], { flag, report }: TargetingContext): void {
  const [needle, haystack] = operands
  if (needle === undefined || haystack?.type !== 'string') return
  if (property(needle, 'var') === undefined) return
  report({
    code: 'substring',
    severity: 'warning',
    flag,
    node: haystack,
    message: `this asks whether the attribute is a part of ${quote(haystack.value)}; "" and single letters are too`,
    fix: `write a list: [${quote(haystack.value)}]`,
  })
}
