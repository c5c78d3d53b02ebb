import { entriesOf, type JsonNode, pathOf, property, valueOf } from '../file/document.ts'
import { quote } from '../../errors.ts'
import { readsTime } from '../../flagfile/index.ts'

/** flagd's bound for the sum of the weights of one `fractional`. */
export const largestTotal = 2_147_483_647

/** A two-way `fractional` with whole weights: what `setShare` edits. */
export interface Split {
  /** The `{ "fractional": [...] }` object. */
  readonly node: JsonNode
  readonly on: SplitEntry
  readonly off: SplitEntry
  readonly total: number
  /** Set when an expression is the bucketing key, instead of the targeting key. */
  readonly bucketing: JsonNode | undefined
}

/** One entry of a split, e.g. `["on", 10]`. */
export interface SplitEntry {
  readonly variant: string
  readonly weight: number
  readonly node: JsonNode
}

/** The variants that stand for the two sides of a flag. */
export interface Sides {
  readonly on: string
  readonly off: string
}

/** `on` and `off`, or the variants of a boolean flag by their values; `undefined` when unclear. */
export function sidesOf(flag: JsonNode): Sides | undefined {
  const values = entriesOf(property(flag, 'variants')).map(
    ([name, node]) => [name, valueOf(node)] as const,
  )
  const on = values.filter(([, value]) => value === true)
  const off = values.filter(([, value]) => value === false)
  const [onOnly] = on
  const [offOnly] = off
  if (on.length === 1 && off.length === 1 && onOnly && offOnly) {
    return { on: onOnly[0], off: offOnly[0] }
  }
  const names = new Set(values.map(([name]) => name))
  const booleans = on.length + off.length > 0
  return !booleans && names.has('on') && names.has('off') ? { on: 'on', off: 'off' } : undefined
}

/** Why a flag whose variants are all true, or all false, has one side only; `''` when it has both, or others. */
export function missingSide(flag: JsonNode): string {
  const values = entriesOf(property(flag, 'variants')).map(([, node]) => node.value)
  const [first] = values
  if (typeof first !== 'boolean' || values.some((value) => value !== first)) return ''
  return `none of its variants is ${!first}`
}

/** A `fractional` as a two-way split, or why it is not one. */
export function readSplit(
  node: JsonNode,
  list: JsonNode,
  sides: Sides,
): Split | { readonly reason: string; readonly node: JsonNode } {
  const parts = list.type === 'array' ? (list.children ?? []) : []
  const bucketing = parts[0]?.type === 'array' ? undefined : parts[0]
  const entries = bucketing === undefined ? parts : parts.slice(1)
  if (entries.length !== 2) {
    const count = entries.length === 1 ? '1 entry' : `${entries.length} entries`
    return { reason: `its split has ${count}, not two`, node: list }
  }
  const read: SplitEntry[] = []
  for (const entry of entries) {
    const [variant, weight, extra] = entry.children ?? []
    if (entry.type !== 'array' || variant?.type !== 'string' || extra !== undefined) {
      return { reason: 'an entry of its split is not ["variant", weight]', node: entry }
    }
    if (weight !== undefined && !isWeight(weight)) {
      const value = valueOf(weight)
      const reason = readsTime(value)
        ? `its split changes without an edit: the weight ${quote(value)} is computed from the time`
        : `the weight ${quote(value)} is not a whole number from 0 up`
      return { reason, node: weight }
    }
    const amount = weight === undefined ? 1 : Number(weight.value)
    read.push({ variant: String(variant.value), weight: amount, node: entry })
  }
  const on = read.find((entry) => entry.variant === sides.on)
  const off = read.find((entry) => entry.variant === sides.off)
  if (on === undefined || off === undefined) {
    const reason = `its split is not between ${quote(sides.on)} and ${quote(sides.off)}`
    return { reason, node: list }
  }
  const total = on.weight + off.weight
  if (total > largestTotal) {
    return { reason: `the weights add up to ${total}, more than ${largestTotal}`, node: list }
  }
  return { node, on, off, total, bucketing }
}

function isWeight(node: JsonNode): boolean {
  return node.type === 'number' && Number.isSafeInteger(node.value) && Number(node.value) >= 0
}

/** Where the weight of an entry is, or would be. */
export function pathOfWeight(entry: SplitEntry): (string | number)[] {
  return [...pathOf(entry.node), 1]
}
