import { Baseline } from './baseline.ts'
import type { BaselineState } from './baseline.ts'
import type { ArmPair } from './buckets.ts'
import { HarmEvidence } from './harm.ts'
import type { HarmState } from './harm.ts'
import type { Margin } from './increment.ts'
import { SafetyEvidence } from './safety.ts'
import type { SafetyState } from './safety.ts'
import { answerOf, metricVerdict } from './verdict.ts'
import type { Verdict } from './verdict.ts'

/** One thing that treatment must not do more often than control. */
export interface MetricRule {
  /** E.g. `errors`, `slow`, `repeat-misses`. */
  readonly id: string
  /** Worse than this is a regression. */
  readonly tolerate: Margin
  /**
   * Provably better than this is safe: `ratio` times control's rate, plus what keeps the harm of the
   * next step within `budget`, a share of ALL operations.
   */
  readonly allow: { readonly ratio: number; readonly budget: number }
  /** User buckets that the metric is counted by; 1 when it is not. */
  readonly buckets: number
  /** By how much errors cluster by user, where that cannot be estimated (`buckets` 1). @default 1 */
  readonly designEffect?: number
  /**
   * An outage (half of the last ten seconds bad) regresses without the spread over users that is
   * otherwise asked for.
   */
  readonly outage: boolean
  /**
   * The most that one second may add to the evidence of harm, as its natural logarithm. For what a
   * single stall of the process does to many operations of one side at once. @default no bound
   */
  readonly harmPerSecond?: number
}

export interface JudgeSettings {
  readonly metrics: readonly MetricRule[]
  /** Chance that a healthy rollout is taken back, over all its steps and metrics. @default 0.01 */
  readonly alpha?: number
  /** Evidence that each metric must show to advance: an unsafe step passes once in so many. @default 20 */
  readonly advanceEvidence?: number
  /** Control operations before a rollout begins. @default 3000 */
  readonly baselineOperations?: number
  /** Treatment operations in a step before it may be safe. @default 100 */
  readonly minOperations?: number
  /** Seconds of a step before it may be safe. @default 60 */
  readonly minHoldS?: number
  /** Seconds after a change that say nothing about safety (caches warm up, decisions travel). @default 10 */
  readonly settleS?: number
  /** Seconds without an answer after which traffic is called not enough. @default 3600 */
  readonly starvedAfterS?: number
}

export type ResolvedSettings = Required<JudgeSettings>

export interface Step {
  /** Seconds, on the clock of {@link Judge.observe}. */
  readonly at: number
  /** Share of `on` in this step, 0 to 1. */
  readonly share: number
  /** The next wider share; undefined at the last step: harm is still looked for, safety no more. */
  readonly next: number | undefined
}

/** Control operations without which a bet is a guess. */
const MIN_BASELINE = 100

interface MetricEvidence {
  readonly rule: MetricRule
  baseline: Baseline
  readonly harm: HarmEvidence
  safety: SafetyEvidence | undefined
}

export interface JudgeState {
  readonly step: Step | undefined
  readonly metrics: Readonly<
    Record<
      string,
      {
        readonly baseline: BaselineState
        readonly harm: HarmState
        readonly safety: SafetyState | undefined
      }
    >
  >
}

/**
 * The decision rule: fed with what both arms did between two polls, asked after every poll. Pure: no
 * clock, no I/O; the same input gives the same answer.
 */
export class Judge {
  readonly settings: ResolvedSettings
  readonly #metrics: readonly MetricEvidence[]
  #step: Step | undefined

  constructor(settings: JudgeSettings) {
    this.settings = {
      alpha: 0.01,
      advanceEvidence: 20,
      baselineOperations: 3000,
      minOperations: 100,
      minHoldS: 60,
      settleS: 10,
      starvedAfterS: 3600,
      ...settings,
    }
    this.#metrics = settings.metrics.map((rule) => ({
      rule,
      baseline: new Baseline(),
      harm: new HarmEvidence(rule.tolerate, rule.buckets, rule.designEffect, rule.harmPerSecond),
      safety: undefined,
    }))
  }

  get step(): Step | undefined {
    return this.#step
  }

  /** Metrics whose baseline is still too short to begin a rollout on. */
  get unready(): readonly string[] {
    return this.#metrics
      .filter(({ baseline }) => baseline.seen < this.settings.baselineOperations)
      .map(({ rule }) => rule.id)
  }

  /** Safety starts from nothing at each step; harm goes on. */
  beginStep(step: Step): void {
    this.#step = step
    for (const metric of this.#metrics) metric.safety = this.#freshSafety(metric.rule)
  }

  /**
   * One poll: what both arms did since the one before, each replica a stratum of its own.
   * @param at seconds
   * @param strata by metric id
   */
  observe(at: number, elapsedS: number, strata: ReadonlyMap<string, readonly ArmPair[]>): void {
    const settled = this.#step !== undefined && at - this.#step.at > this.settings.settleS
    for (const metric of this.#metrics) {
      const pairs = strata.get(metric.rule.id) ?? []
      if (metric.baseline.seen >= MIN_BASELINE) {
        const rate = metric.baseline.rate
        metric.harm.add(at, pairs, rate, elapsedS)
        if (settled) metric.safety?.add(pairs, rate)
      }
      for (const [index, pair] of pairs.entries()) {
        metric.baseline.add(pair.control, index === 0 ? elapsedS : 0)
      }
    }
  }

  verdict(at: number): Verdict {
    const held = this.#step === undefined ? 0 : at - this.#step.at
    const metrics = this.#metrics.map(({ rule, baseline, harm, safety }) =>
      metricVerdict(rule, this.settings, this.#metrics.length, baseline, harm, safety?.read()),
    )
    return answerOf(metrics, this.settings, { held, unready: this.unready, step: this.#step })
  }

  /** All evidence, as JSON can hold it. */
  state(): JudgeState {
    const metrics = this.#metrics.map(({ rule, baseline, harm, safety }) => [
      rule.id,
      { baseline: baseline.state(), harm: harm.state(), safety: safety?.state() },
    ])
    return { step: this.#step, metrics: Object.fromEntries(metrics) }
  }

  /** Goes on where another process stopped. Metrics that it did not know start from nothing. */
  static restore(settings: JudgeSettings, state: JudgeState): Judge {
    const judge = new Judge(settings)
    judge.#step = state.step
    for (const metric of judge.#metrics) {
      const saved = state.metrics[metric.rule.id]
      if (judge.#step !== undefined) metric.safety = judge.#freshSafety(metric.rule)
      if (saved === undefined) continue
      metric.harm.restore(saved.harm)
      if (saved.safety !== undefined) metric.safety?.restore(saved.safety)
      metric.baseline = new Baseline(saved.baseline)
    }
    return judge
  }

  #freshSafety(rule: MetricRule): SafetyEvidence | undefined {
    if (this.#step?.next === undefined) return undefined
    const margin = { ratio: rule.allow.ratio, add: rule.allow.budget / this.#step.next }
    return new SafetyEvidence(margin, rule.buckets, rule.designEffect)
  }
}
