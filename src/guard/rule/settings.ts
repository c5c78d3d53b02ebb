import type { Margin } from './increment.ts'

/** Something that the new side must not do more often than the old side. */
export interface MetricRule {
  /** E.g. `errors`, `slow`, `repeat-misses`. */
  readonly id: string
  /** Worse than this is a regression. */
  readonly tolerate: Margin
  /**
   * Better than this, with proof, is safe: `ratio` times the old side's rate, plus what keeps the
   * harm of the next step within `budget`, a share of ALL operations.
   */
  readonly allow: { readonly ratio: number; readonly budget: number }
  /** User buckets that the metric is counted by; 1 when it is not. */
  readonly buckets: number
  /** By how much errors cluster by user, where that cannot be estimated (`buckets` 1). @default 1 */
  readonly designEffect?: number
  /**
   * An outage (half of the last ten seconds bad) regresses without the spread over users that is
   * required otherwise.
   */
  readonly outage: boolean
  /**
   * The most that one second may add to the evidence of harm, as its natural logarithm: limits what
   * one stall of the process does to many operations of one side at once. @default no bound
   */
  readonly harmPerSecond?: number
}

export interface JudgeSettings {
  readonly metrics: readonly MetricRule[]
  /** Chance that a healthy rollout is rolled back, over all its steps and metrics. @default 0.01 */
  readonly alpha?: number
  /**
   * Evidence that each metric needs to advance: an unsafe step passes once in so many. @default 20
   */
  readonly advanceEvidence?: number
  /** Operations of the old side before a rollout begins. @default 3000 */
  readonly baselineOperations?: number
  /** Operations of the new side in a step before it may be safe. @default 100 */
  readonly minOperations?: number
  /** Seconds of a step before it may be safe. @default 60 */
  readonly minHoldS?: number
  /**
   * Seconds after a change that do not count as evidence of safety (caches warm up, decisions
   * spread). @default 10
   */
  readonly settleS?: number
  /** Seconds without an answer after which traffic counts as too low. @default 3600 */
  readonly starvedAfterS?: number
}

export type ResolvedSettings = Required<JudgeSettings>

export interface Step {
  /** Seconds, on the clock of `Judge.observe`. */
  readonly at: number
  /** Share of `on` in this step, 0 to 1. */
  readonly share: number
  /** The next larger share; undefined at the last step, where only harm is watched. */
  readonly next: number | undefined
}
