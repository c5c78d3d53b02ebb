import { quote } from '../errors.ts'
import { checkTargeting } from './check-targeting.ts'
import { closestName } from './closest.ts'
import { entriesOf, type JsonNode, property, valueOf } from './document.ts'
import { article, type Report, someOf } from './findings.ts'
import { sidesOf } from './split.ts'

const flagFields = ['state', 'variants', 'defaultVariant', 'targeting', 'metadata']

/** One flag and what its checks need. */
export interface FlagCheck {
  readonly flag: string
  readonly node: JsonNode
  readonly keyNode: JsonNode
  readonly shared: ReadonlyMap<string, JsonNode>
  readonly report: Report
}

/** Checks one flag's definition, its targeting included. */
export function checkFlag({ flag, node, keyNode, shared, report }: FlagCheck): void {
  if (node.type !== 'object') {
    report({
      code: 'wrong-type',
      rejected: true,
      flag,
      node,
      message: `flag ${quote(flag)} is ${article(node)}, not an object; flagd refuses the file`,
      fix: 'write { "state": "ENABLED", "variants": { ... } }',
    })
    return
  }
  checkNames(node, flagFields, flag, report)
  checkMetadata(property(node, 'metadata'), flag, report)
  checkState(flag, node, keyNode, report)
  const variants = checkVariants(flag, node, keyNode, report)
  checkDefault(flag, node, variants, report)
  const targeting = property(node, 'targeting')
  if (targeting === undefined || targeting.type === 'null') return
  if (targeting.type !== 'object') {
    report({
      code: 'wrong-type',
      flag,
      node: targeting,
      message: `"targeting" is ${article(targeting)}, not a rule`,
      fix: 'write an object with one operator, or remove it',
    })
    return
  }
  if (targeting.children?.length === 0) return
  checkTargeting(targeting, { flag, shared, report, variants, definition: node })
}

function checkState(flag: string, node: JsonNode, keyNode: JsonNode, report: Report): void {
  const state = property(node, 'state')
  if (state?.value === 'ENABLED' || state?.value === 'DISABLED') return
  const what = state === undefined ? 'has no "state"' : `has the state ${quote(valueOf(state))}`
  report({
    code: 'state',
    flag,
    node: state ?? keyNode,
    message: `flag ${quote(flag)} ${what}; flagd takes it for enabled, in-process providers refuse the whole file`,
    fix: 'write "state": "ENABLED" or "DISABLED"',
  })
}

function checkVariants(
  flag: string,
  node: JsonNode,
  keyNode: JsonNode,
  report: Report,
): ReadonlySet<string> {
  const variants = property(node, 'variants')
  const all = entriesOf(variants)
  if (variants?.type !== 'object' || all.length === 0) {
    report({
      code: 'variants',
      rejected: true,
      flag,
      node: variants ?? keyNode,
      message: `flag ${quote(flag)} has no variants; flagd refuses the file`,
      fix: 'write "variants": { "on": true, "off": false }',
    })
    return new Set()
  }
  const types = new Set(all.map(([, value]) => value.type))
  if (types.size > 1) {
    report({
      code: 'variant-types',
      flag,
      node: variants,
      message: `the variants of ${quote(flag)} have mixed types (${[...types].join(', ')}); callers get TYPE_MISMATCH for some`,
      fix: 'give all variants values of one type',
    })
  }
  const [first] = types
  if (types.size === 1 && (first === 'null' || first === 'array')) {
    report({
      code: 'variant-types',
      flag,
      node: variants,
      message: `the variants of ${quote(flag)} are of type ${first}, which no caller can ask for`,
      fix: 'use booleans, strings, numbers or objects',
    })
  }
  const on = all.find(([name]) => name === 'on')
  const off = all.find(([name]) => name === 'off')
  if (on?.[1].value === false && off?.[1].value === true) {
    report({
      code: 'variant-swapped',
      severity: 'warning',
      flag,
      node: on[1],
      message: 'the variant "on" has the value false and "off" has true',
      fix: 'swap the values, unless the callers expect it',
    })
  }
  return new Set(all.map(([name]) => name))
}

function checkDefault(
  flag: string,
  node: JsonNode,
  variants: ReadonlySet<string>,
  report: Report,
): void {
  const variant = property(node, 'defaultVariant')
  if (variant === undefined || variant.type === 'null') return
  if (variant.type !== 'string' || !variants.has(String(variant.value))) {
    if (variants.size === 0) return
    report({
      code: 'default-variant',
      rejected: true,
      flag,
      node: variant,
      message: `the default variant ${quote(valueOf(variant))} is none of the variants; flagd refuses the whole file`,
      fix: `use one of ${someOf(variants)}`,
    })
    return
  }
  const targeting = property(node, 'targeting')
  if (!targeting?.children?.length || variant.value !== sidesOf(node)?.on) return
  report({
    code: 'default-variant-on',
    severity: 'warning',
    flag,
    node: variant,
    message: `the default variant is ${quote(variant.value)}: whoever has no targeting key gets it, whatever the split says`,
    fix: 'make the side that is proven the default variant',
  })
}

/** Finds fields that flagd does not know and so ignores. */
export function checkNames(
  node: JsonNode,
  known: readonly string[],
  flag: string,
  report: Report,
): void {
  for (const [key, , keyNode] of entriesOf(node)) {
    if (known.includes(key)) continue
    if (report.enough) return
    const near = closestName(key, known)
    report({
      code: 'unknown-field',
      severity: 'warning',
      flag,
      node: keyNode,
      message: `flagd does not know the field ${quote(key)} and ignores it`,
      fix: near === undefined ? 'put notes into "metadata"' : `did you mean ${quote(near)}?`,
    })
  }
}

/** Metadata is flat. */
export function checkMetadata(node: JsonNode | undefined, flag: string, report: Report): void {
  if (node === undefined) return
  const wrong =
    node.type === 'object'
      ? entriesOf(node).find(
          ([, value]) => !['string', 'number', 'boolean'].includes(value.type),
        )?.[1]
      : node
  if (wrong === undefined) return
  report({
    code: 'wrong-type',
    severity: 'warning',
    flag,
    node: wrong,
    message: `metadata holds strings, numbers and booleans, not ${article(wrong)}`,
    fix: 'write it as a string',
  })
}
