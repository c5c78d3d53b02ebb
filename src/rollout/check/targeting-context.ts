import type { JsonNode } from '../file/document.ts'
import type { Report } from './findings.ts'

/** A rule to check, and what it may refer to. */
export interface TargetingContext {
  readonly flag: string
  readonly shared: ReadonlyMap<string, JsonNode>
  readonly report: Report
  /** Absent for shared rules, whose results belong to the flags that use them. */
  readonly variants?: ReadonlySet<string>
  readonly definition?: JsonNode
}

/**
 * What a rule's value is used for: as the variant, to decide a condition, or as an operand. A
 * `fractional` splits users only where its value is the variant.
 */
export type Use = 'result' | 'condition' | 'operand'
