import {
  duplicateKeys,
  entriesOf,
  type FlagsDocument,
  type JsonNode,
  type Position,
  positionAt,
  property,
  walk,
} from '../file/document.ts'
import { flagEntries, flagNode } from '../file/flag-members.ts'
import { quote } from '../../errors.ts'
import { folded } from '../../flagfile/index.ts'
import { missingSide, readSplit, sidesOf, type Split } from './split.ts'

/** A condition that gives its users one variant before the split. */
export interface Segment {
  readonly condition: JsonNode
  readonly variant: string
  /** The variant as written, e.g. `"on"`. */
  readonly node: JsonNode
}

/**
 * How a flag decides:
 * - `none`: no targeting; everyone gets the default variant;
 * - `plain`: a split and nothing else;
 * - `segment first`: conditions with a fixed variant, then the split for the rest;
 * - `nested`: one split, deeper in conditions;
 * - `unknown`: anything else, with the reason; described by evaluation, never edited.
 */
export type Shape =
  | { readonly kind: 'none' }
  | { readonly kind: 'plain'; readonly split: Split }
  | { readonly kind: 'segment first'; readonly split: Split; readonly segments: readonly Segment[] }
  | { readonly kind: 'nested'; readonly split: Split; readonly segments: readonly Segment[] }
  | { readonly kind: 'unknown'; readonly reason: string; readonly at: Position }

/** The end of a rule: a variant, a split, the default, or something not understood. */
export type RuleOutcome =
  | { readonly kind: 'variant'; readonly variant: string; readonly node: JsonNode }
  | { readonly kind: 'split'; readonly node: JsonNode; readonly list: JsonNode }
  | { readonly kind: 'default'; readonly node: JsonNode }
  | { readonly kind: 'opaque'; readonly node: JsonNode; readonly reason: string }

/** An outcome, the conditions on the way to it, and its depth. */
export interface Leaf {
  readonly outcome: RuleOutcome
  readonly condition: JsonNode | undefined
  readonly depth: number
}

/** The ends of a targeting rule in the order of evaluation, following `if` only. */
export function leaves(
  rule: JsonNode,
  condition: JsonNode | undefined = undefined,
  depth = 0,
): Leaf[] {
  const leaf = (outcome: RuleOutcome): Leaf[] => [{ outcome, condition, depth }]
  if (rule.type === 'string' || rule.type === 'boolean') {
    return leaf({ kind: 'variant', variant: String(rule.value), node: rule })
  }
  if (rule.type === 'null') return leaf({ kind: 'default', node: rule })
  const [only, second] = entriesOf(rule)
  if (only === undefined || second !== undefined) {
    const empty = rule.type === 'object' && only === undefined && depth === 0
    if (empty) return leaf({ kind: 'default', node: rule })
    return leaf({ kind: 'opaque', node: rule, reason: 'a rule is an object with one operator' })
  }
  const [operator, args] = only
  if (operator === 'fractional') return leaf({ kind: 'split', node: rule, list: args })
  const parts = args.children ?? []
  if (operator !== 'if' || args.type !== 'array' || parts.length < 2) {
    const reason =
      operator === '$ref'
        ? `it refers to the shared rule ${quote(args.value)}`
        : `the operator ${quote(operator)} decides, and only "if" and "fractional" are understood`
    return leaf({ kind: 'opaque', node: rule, reason })
  }
  const found: Leaf[] = []
  for (let index = 0; index < parts.length; index += 2) {
    const test = parts[index]
    const result = parts[index + 1]
    if (test === undefined) break
    if (result === undefined) {
      for (const each of leaves(test, undefined, depth + 1)) found.push(each)
      break
    }
    const splitting = [...walk(test)].find(isFractional)
    if (splitting === undefined) {
      for (const each of leaves(result, test, depth + 1)) found.push(each)
    } else {
      const reason = 'a "fractional" is inside a condition, where it splits nothing'
      found.push({
        outcome: { kind: 'opaque', node: splitting, reason },
        condition: test,
        depth: depth + 1,
      })
    }
  }
  if (parts.length % 2 === 0) {
    found.push({ outcome: { kind: 'default', node: rule }, condition: undefined, depth: depth + 1 })
  }
  return found
}

function isFractional(node: JsonNode): boolean {
  return node.type === 'object' && property(node, 'fractional') !== undefined
}

/** How the flag decides, with the nodes that an edit would touch. */
export function shapeOf(document: FlagsDocument, flag: string): Shape {
  const definition = flagNode(document, flag)
  const unknown = (reason: string, node: JsonNode): Shape => ({
    kind: 'unknown',
    reason,
    at: positionAt(document.text, node.offset),
  })
  const twice = ambiguousKey(document, flag, definition)
  if (twice !== undefined) {
    return unknown(`the key ${quote(twice.value)} is repeated in one object`, twice)
  }
  const sides = sidesOf(definition)
  if (sides === undefined) {
    const node = property(definition, 'variants') ?? definition
    const unclear = 'it is unclear which variant is on and which is off'
    return unknown(missingSide(definition) || unclear, node)
  }
  const targeting = property(definition, 'targeting')
  if (targeting === undefined || targeting.type === 'null') return { kind: 'none' }
  if (targeting.type !== 'object') return unknown('"targeting" is not an object', targeting)
  if ((targeting.children ?? []).length === 0) return { kind: 'none' }

  const all = leaves(targeting)
  for (const { outcome } of all) {
    if (outcome.kind === 'opaque') return unknown(outcome.reason, outcome.node)
  }
  const splits = all.filter((leaf) => leaf.outcome.kind === 'split')
  const [leaf] = splits
  if (leaf === undefined || leaf.outcome.kind !== 'split') {
    return unknown('it has no split (no "fractional" decides)', targeting)
  }
  if (splits.length > 1) {
    return unknown(`it has ${splits.length} splits, and it is unclear which one to set`, targeting)
  }
  const split = readSplit(leaf.outcome.node, leaf.outcome.list, sides)
  if ('reason' in split) return unknown(split.reason, split.node)
  if (leaf.depth === 0) return { kind: 'plain', split }
  const segments = all.flatMap(({ outcome, condition }) =>
    outcome.kind === 'variant' && condition !== undefined
      ? [{ condition, variant: outcome.variant, node: outcome.node }]
      : [],
  )
  const first = leaf.depth === 1 && all.at(-1) === leaf && segments.length === all.length - 1
  return { kind: first ? 'segment first' : 'nested', split, segments }
}

/** A repeated key where it could make an edit miss what flagd reads. */
function ambiguousKey(
  document: FlagsDocument,
  flag: string,
  definition: JsonNode,
): JsonNode | undefined {
  const roots = entriesOf(document.root).filter(([key]) => folded(key) === 'flags')
  const same = flagEntries(document).filter(([name]) => name === flag)
  return roots[1]?.[2] ?? same[1]?.[2] ?? duplicateKeys(definition)[0]
}
