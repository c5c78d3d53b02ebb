import { Baseline } from './baseline.ts'
import type { BaselineState } from './baseline.ts'
import type { ArmPair } from './buckets.ts'
import { HarmEvidence } from './harm.ts'
import type { HarmState } from './harm.ts'
import { SafetyEvidence } from './safety.ts'
import type { SafetyState } from './safety.ts'
import type { JudgeSettings, MetricRule, ResolvedSettings, Step } from './settings.ts'
import { answerOf, metricVerdict } from './verdict.ts'
import type { Verdict } from './verdict.ts'

/** Least operations of the old side: a bet on fewer would be a guess. */
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
 * The decision rule: gets what both sides did between two polls, and is asked after every poll.
 * Pure: no clock, no I/O; the same input gives the same answer.
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

  /** Metrics whose baseline is still too short to start a rollout. */
  get unready(): readonly string[] {
    return this.#metrics
      .filter(({ baseline }) => baseline.seen < this.settings.baselineOperations)
      .map(({ rule }) => rule.id)
  }

  /** Evidence of safety starts from nothing at each step; evidence of harm continues. */
  beginStep(step: Step): void {
    this.#step = step
    for (const metric of this.#metrics) metric.safety = this.#freshSafety(metric.rule)
  }

  /**
   * One poll: what both sides did since the one before, each replica a stratum of its own.
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

  /** Continues where another process stopped. Metrics that it did not know start from nothing. */
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
