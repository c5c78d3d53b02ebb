import { MetricEvidence, stratumOf, sum, whyNotYet } from '../../src/guard/rule/index.ts'
import type { ArmPair, MetricRule } from '../../src/guard/rule/index.ts'
import type { Competitor } from './competitors.ts'
import type { Traffic } from './traffic.ts'

/** Something that looks at every second and may roll back. */
export interface Watcher {
  readonly name: string
  /** It is shown the old side before anybody is on the new one. */
  readonly baseline: boolean
  look(at: number, pair: ArmPair, traffic: Traffic): boolean
}

export const FAILED: MetricRule = { id: 'failed', harm: 0.001, patienceS: 3, buckets: 32 }
export const DEGRADED: MetricRule = { id: 'degraded', harm: 0.005, patienceS: 7.5, buckets: 32 }
export const REPEATED: MetricRule = { id: 'repeat-misses', harm: 0.02, patienceS: 7.5, buckets: 32 }

/** Three metrics share 1 %. */
const THRESHOLD = Math.log(3 / 0.01)

/** The guard's rule on one metric. */
export function guardWatcher(rule: MetricRule = FAILED, name: string = rule.id): Watcher {
  const metric = new MetricEvidence(rule, [])
  return {
    name,
    baseline: true,
    look(at, pair) {
      metric.observe(at, 1, new Map([['a', pair]]), false)
      // Evidence rises only with an error on treatment.
      if (sum(pair.treatment.bad) === 0) return false
      const reading = metric.harm.read(metric.baseline.rate, THRESHOLD)
      return reading.logEvidence >= THRESHOLD && whyNotYet(metric, reading) === ''
    },
  }
}

export function competitorWatcher(competitor: Competitor): Watcher {
  const { name, everyS = 1 } = competitor
  const total = { badTreatment: 0, treatment: 0, badControl: 0, control: 0 }
  return {
    name,
    baseline: false,
    look(at, pair, traffic) {
      const poll = stratumOf(pair)
      total.badTreatment += poll.badTreatment
      total.treatment += poll.treatment
      total.badControl += poll.badControl
      total.control += poll.control
      if ((at - BASELINE_S + 1) % everyS !== 0) return false
      return total.treatment > 0 && competitor.look(total, traffic)
    },
  }
}

/** Seconds of baseline before anybody is on treatment: 3,000 operations. */
export const BASELINE_S = 30

/** What is served in a second: the share of treatment and both rates. */
export interface Second {
  readonly share: number
  readonly control: number
  readonly treatment: number
}

/**
 * Runs all watchers over the same traffic.
 * @returns by watcher, the second at which it rolled back, counted from the first treated user
 */
export function trial(
  traffic: Traffic,
  watchers: readonly Watcher[],
  seconds: number,
  at: (second: number) => Second,
): Map<string, number> {
  const fired = new Map<string, number>()
  for (let second = -BASELINE_S; second < seconds; second++) {
    const { share, control, treatment } = at(Math.max(0, second))
    if (second === 0) traffic.forgetUsers()
    const pair = traffic.second(second < 0 ? 0 : share, control, second < 0 ? control : treatment)
    for (const watcher of watchers) {
      if (fired.has(watcher.name) || (second < 0 && !watcher.baseline)) continue
      if (watcher.look(second + BASELINE_S, pair, traffic)) fired.set(watcher.name, second + 1)
    }
    if (fired.size === watchers.length) break
  }
  return fired
}

export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(values.length - 1, Math.floor(values.length * q))] ?? Infinity
}
