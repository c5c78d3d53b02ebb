import { quote } from '../../errors.ts'
import { checkTargeting } from './check-targeting.ts'
import { closestName } from '../../closest.ts'
import { entriesOf, type JsonNode, property, valueOf } from '../file/document.ts'
import { article, type Report, someOf } from './findings.ts'
import { sidesOf } from '../split/split.ts'

const flagFields = ['key', 'state', 'variants', 'defaultVariant', 'targeting', 'metadata']

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
  // flagd serves a null flag as one without variants.
  if (node.type === 'null') return
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
  checkFieldNames(node, flagFields, flag, report)
  checkMetadata(property(node, 'metadata'), flag, report)
  checkState(flag, node, keyNode, report)
  const variants = checkVariants(flag, node, report)
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
  if (state !== undefined && state.type !== 'string' && state.type !== 'null') {
    report({
      code: 'state',
      rejected: true,
      flag,
      node: state,
      message: `the state of flag ${quote(flag)} is ${article(state)}, not a string; flagd refuses the file`,
      fix: 'write "state": "ENABLED" or "DISABLED"',
    })
    return
  }
  const what = state === undefined ? 'has no "state"' : `has the state ${quote(valueOf(state))}`
  report({
    code: 'state',
    flag,
    node: state ?? keyNode,
    message: `flag ${quote(flag)} ${what}; flagd takes it for enabled, while other readers refuse the whole file`,
    fix: 'write "state": "ENABLED" or "DISABLED"',
  })
}

function checkVariants(flag: string, node: JsonNode, report: Report): ReadonlySet<string> {
  const variants = property(node, 'variants')
  const all = entriesOf(variants)
  if (variants !== undefined && variants.type !== 'object' && variants.type !== 'null') {
    report({
      code: 'variants',
      rejected: true,
      flag,
      node: variants,
      message: `the variants of flag ${quote(flag)} are ${article(variants)}, not an object; flagd refuses the file`,
      fix: 'write "variants": { "on": true, "off": false }',
    })
    return new Set()
  }
  // Without variants and without a default, callers get the default of their code.
  if (variants === undefined || all.length === 0) return new Set()
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
  if (variant === undefined || variant.type === 'null' || variant.value === '') return
  if (variant.type !== 'string' || !variants.has(String(variant.value))) {
    const remedy =
      variants.size === 0 ? 'write "variants", or remove it' : `use one of ${someOf(variants)}`
    report({
      code: 'default-variant',
      rejected: true,
      flag,
      node: variant,
      message: `the default variant ${quote(valueOf(variant))} is not one of the variants; flagd refuses the whole file`,
      fix: remedy,
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
    message: `the default variant is ${quote(variant.value)}: users without a targeting key get it, whatever the split says`,
    fix: 'make the old side the default variant',
  })
}

/** Finds fields that flagd does not know and therefore ignores. */
export function checkFieldNames(
  node: JsonNode,
  known: readonly string[],
  flag: string,
  report: Report,
): void {
  for (const [key, , keyNode] of entriesOf(node)) {
    if (known.includes(key)) continue
    if (report.enough) return
    const folded = known.find((name) => name.toLowerCase() === key.toLowerCase())
    const near = folded ?? closestName(key, known)
    const same = folded !== undefined
    report({
      code: 'unknown-field',
      severity: 'warning',
      flag,
      node: keyNode,
      message: same
        ? `flagd reads the field ${quote(key)} as ${quote(near)}, and other readers ignore it`
        : `flagd does not know the field ${quote(key)} and ignores it`,
      fix: same
        ? `write ${quote(near)}`
        : near === undefined
          ? 'put notes into "metadata"'
          : `did you mean ${quote(near)}?`,
    })
  }
}

/** Metadata is flat. */
export function checkMetadata(node: JsonNode | undefined, flag: string, report: Report): void {
  if (node === undefined || node.type === 'null') return
  if (node.type !== 'object') {
    report({
      code: 'wrong-type',
      rejected: true,
      flag,
      node,
      message: `"metadata" is ${article(node)}, not an object; flagd refuses the file`,
      fix: 'write "metadata": { "owner": "team" }',
    })
    return
  }
  const [, wrong] =
    entriesOf(node).find(([, { type }]) => !['string', 'number', 'boolean'].includes(type)) ?? []
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
