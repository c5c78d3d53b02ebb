/** How much more than control, relatively, is no harm. */
export const RATIO = 1.1

/** Something that the new side must not do more often than the old side. */
export interface MetricRule {
  /** E.g. `failed`, `degraded`, `repeat-misses`. */
  readonly id: string
  /**
   * The share of its own operations that treatment may spoil, above what control does, once it has
   * everybody: proven worse is a regression, and each wider step must be proven to harm no more than this
   * share of ALL operations.
   */
  readonly harm: number
  /** An incident up to so many seconds never ends a rollout by itself, however much of treatment it hits. */
  readonly patienceS: number
  /** User buckets that the metric is counted by; 1 when it is not. */
  readonly buckets: number
  /** By how much errors cluster by user, where that cannot be estimated (`buckets` 1). @default 1 */
  readonly designEffect?: number
  /** What its numbers are counted from: evidence about something else does not count. @default '' */
  readonly basis?: string
}

/** Two thirds of the patience: an incident of one and a half slots falls into two at most, and three are needed. */
export function slotOf({ patienceS }: MetricRule): number {
  return (patienceS * 2) / 3
}

/** Evidence that was gathered against another of these is evidence of something else. */
export function basisOf({ id, harm, patienceS, buckets, designEffect, basis }: MetricRule): string {
  return JSON.stringify([id, harm, patienceS, buckets, designEffect ?? 1, basis ?? ''])
}

export interface JudgeSettings {
  readonly metrics: readonly MetricRule[]
  /** The shares of the plan, 0 to 1, rising. @default [0.01, 0.05, 0.1, 0.25, 0.5, 1] */
  readonly shares?: readonly number[]
  /** Chance that a healthy rollout is taken back, over all its steps and metrics. @default 0.01 */
  readonly alpha?: number
  /**
   * Evidence that each metric needs to advance: an unsafe step passes once in so many. @default 20
   */
  readonly advanceEvidence?: number
  /** Operations of the old side before a rollout begins. @default 3000 */
  readonly baselineOperations?: number
  /** Treatment operations in a step before it may be safe. @default 30 */
  readonly minOperations?: number
  /** Seconds of a step before it may be safe. @default 60 */
  readonly minHoldS?: number
  /**
   * Seconds after a change that do not count as evidence of safety (caches warm up, decisions
   * spread). @default 10
   */
  readonly settleS?: number
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
