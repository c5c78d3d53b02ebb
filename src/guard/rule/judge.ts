import type { ArmPair } from './count/buckets.ts'
import { answerOf } from './answer.ts'
import type { Verdict } from './answer.ts'
import type { Incident } from './count/incidents.ts'
import { MetricEvidence } from './evidence/metric.ts'
import type { MetricState } from './evidence/metric.ts'
import type { JudgeSettings, ResolvedSettings, Step } from './settings.ts'
import { metricVerdict } from './verdict.ts'

export interface JudgeState {
  readonly step: Step | undefined
  readonly metrics: Readonly<Record<string, MetricState>>
}

export interface Restored {
  readonly judge: Judge
  /** Metrics whose evidence begins at nothing, since it was about something else. */
  readonly anew: readonly string[]
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
      shares: [0.01, 0.05, 0.1, 0.25, 0.5, 1],
      alpha: 0.01,
      advanceEvidence: 20,
      baselineOperations: 3000,
      minOperations: 30,
      minHoldS: 60,
      settleS: 10,
      ...settings,
    }
    this.#metrics = settings.metrics.map((rule) => new MetricEvidence(rule, this.settings.shares))
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

  /** Evidence begins at nothing, and no share is judged until a step begins. The baseline stays. */
  beginEpoch(): void {
    this.#step = undefined
    for (const metric of this.#metrics) metric.beginEpoch()
  }

  /** Evidence goes on, of safety too: for each later share it is gathered from the start. */
  beginStep(step: Step): void {
    this.#step = step
    for (const metric of this.#metrics) metric.beginStep(step.share)
  }

  /**
   * One poll: what both arms did since the one before.
   * @param at seconds
   * @param strata by metric id and replica
   * @returns incidents that are over now
   */
  observe(
    at: number,
    elapsedS: number,
    strata: ReadonlyMap<string, ReadonlyMap<string, ArmPair>>,
  ): readonly Incident[] {
    const settled = this.#step !== undefined && at - this.#step.at > this.settings.settleS
    return this.#metrics.flatMap((metric) => {
      const pairs = strata.get(metric.rule.id) ?? new Map<string, ArmPair>()
      return metric.observe(at, elapsedS, pairs, settled) ?? []
    })
  }

  /** @param estimates whether to say how long it takes: costs some arithmetic. @default true */
  verdict(at: number, estimates = true): Verdict {
    const held = this.#step === undefined ? 0 : at - this.#step.at
    const metrics = this.#metrics.map((metric) =>
      metricVerdict(metric, this.settings, this.#step, estimates),
    )
    const seen = new Map(this.#metrics.map(({ rule, baseline }) => [rule.id, baseline.seen]))
    return answerOf(metrics, this.settings, {
      held,
      unready: this.unready.map((id) => ({ id, seen: seen.get(id) ?? 0 })),
      step: this.#step,
    })
  }

  /** Seconds that a step would take by the pace of the last minute, all sides served by control; undefined: for ever. */
  foresee(share: number, next: number): number | undefined {
    const { advanceEvidence, minHoldS, minOperations } = this.settings
    let longest = minHoldS
    for (const metric of this.#metrics) {
      const seconds = metric.foresee(share, next, Math.log(advanceEvidence), minOperations)
      if (seconds === undefined) return undefined
      longest = Math.max(longest, seconds)
    }
    return longest
  }

  /** All evidence, as JSON can hold it. */
  state(): JudgeState {
    const metrics = this.#metrics.map((metric) => [metric.rule.id, metric.state()])
    return { step: this.#step, metrics: Object.fromEntries(metrics) }
  }

  /**
   * Goes on where another process stopped. Metrics that it did not know start from nothing.
   * @param gapS seconds since the state was saved
   */
  static restore(settings: JudgeSettings, state: JudgeState, gapS = 0): Restored {
    const judge = new Judge(settings)
    judge.#step = state.step
    const anew: string[] = []
    for (const metric of judge.#metrics) {
      const saved = state.metrics[metric.rule.id]
      if (saved === undefined || !metric.restore(saved, state.step?.share ?? 0, gapS)) {
        anew.push(metric.rule.id)
      }
    }
    return { judge, anew }
  }
}
