import { isDeepStrictEqual } from 'node:util'
import { quote } from '../../errors.ts'
import { type FlagsDocument, type JsonNode, property, valueOf, walk } from '../file/document.ts'
import { flagEntries } from '../file/flag-members.ts'
import type { Report } from './findings.ts'

/** Finds changes between two versions of a file that move users by surprise, or move nobody. */
export function compareFlags(before: FlagsDocument, after: FlagsDocument, report: Report): void {
  const old = new Map(flagEntries(before).map(([key, node]) => [key, node]))
  for (const [flag, now] of flagEntries(after)) {
    const was = old.get(flag)
    if (was === undefined) continue
    compareDefault(flag, was, now, report)
    const splitsBefore = splitsOf(was)
    const splitsAfter = splitsOf(now)
    for (const [index, split] of splitsAfter.entries()) {
      const counterpart = splitsBefore[index]
      if (counterpart === undefined || splitsBefore.length !== splitsAfter.length) break
      compareSplit(flag, counterpart, split, report)
    }
  }
}

function compareDefault(flag: string, was: JsonNode, now: JsonNode, report: Report): void {
  const [a, b] = [property(was, 'defaultVariant'), property(now, 'defaultVariant')]
  const targeting = property(now, 'targeting')
  if (a === undefined || b === undefined || a.value === b.value) return
  if (!targeting?.children?.length) return
  report({
    code: 'default-variant-changed',
    severity: 'warning',
    flag,
    node: b,
    message: `the default variant changed from ${quote(a.value)} to ${quote(b.value)}, which moves none of the users that "targeting" decides`,
    fix: 'change the weights instead: switchback set',
  })
}

/** A `fractional` list taken apart. */
interface SplitParts {
  readonly node: JsonNode
  readonly bucketing: unknown
  readonly variants: readonly unknown[]
}

function splitsOf(flag: JsonNode): SplitParts[] {
  const targeting = property(flag, 'targeting')
  if (targeting === undefined) return []
  return [...walk(targeting)].flatMap((node) => {
    const list = property(node, 'fractional')
    if (list?.type !== 'array') return []
    const [first, ...rest] = list.children ?? []
    const own = first?.type === 'array'
    const entries = own ? [first, ...rest] : rest
    return {
      node: list,
      bucketing: own || first === undefined ? undefined : valueOf(first),
      variants: entries.map((entry) => {
        const [variant] = entry.children ?? []
        return variant === undefined ? undefined : valueOf(variant)
      }),
    }
  })
}

function compareSplit(flag: string, was: SplitParts, now: SplitParts, report: Report): void {
  if (!isDeepStrictEqual(was.bucketing, now.bucketing)) {
    report({
      code: 'bucketing-changed',
      flag,
      node: now.node,
      message: 'the bucketing key changed: nearly every user changes sides',
      fix: 'keep the bucketing expression as it was',
    })
  }
  const same = was.variants.filter((variant) => now.variants.includes(variant))
  const kept = now.variants.filter((variant) => was.variants.includes(variant))
  if (isDeepStrictEqual(same, kept)) return
  report({
    code: 'order-changed',
    flag,
    node: now.node,
    message: `the order of the entries changed from ${was.variants.map(quote).join(', ')} to ${now.variants.map(quote).join(', ')}: nearly everyone changes sides`,
    fix: 'keep the order and change the weights only',
  })
}
