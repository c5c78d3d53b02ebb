import { Baseline, HarmEvidence, sum, whyNotYet } from '../../src/guard/rule/index.ts'
import type { ArmPair, Margin, Stratum } from '../../src/guard/rule/index.ts'
import type { Competitor } from './competitors.ts'
import type { Traffic } from './traffic.ts'

/** Something that looks at every second and may roll back. */
export interface Watcher {
  readonly name: string
  look(at: number, pair: ArmPair): boolean
}

export function stratum({ control, treatment }: ArmPair): Stratum {
  return {
    badTreatment: sum(treatment.bad),
    treatment: sum(treatment.total),
    badControl: sum(control.bad),
    control: sum(control.total),
  }
}

function collapse(pair: ArmPair): ArmPair {
  const s = stratum(pair)
  const one = (bad: number, total: number): ArmPair['control'] => ({
    bad: Float64Array.of(bad),
    total: Float64Array.of(total),
  })
  return {
    control: one(s.badControl, s.control),
    treatment: one(s.badTreatment, s.treatment),
  }
}

export interface GuardOptions {
  readonly name?: string
  /** @default ratio 1.05, add 0 */
  readonly tolerate?: Margin
  /** Without: evidence is not divided by the overdispersion. @default true */
  readonly byBucket?: boolean
  /** See `MetricRule.harmPerSecond`. @default no bound */
  readonly perSecond?: number
  /** @default 0.01 */
  readonly alpha?: number
}

/** The guard's rule on one metric. */
export function guardWatcher(options: GuardOptions = {}): Watcher {
  const { name = 'guard', tolerate = { ratio: 1.05, add: 0 }, byBucket = true } = options
  const threshold = Math.log(1 / (options.alpha ?? 0.01))
  const baseline = new Baseline()
  const harm = new HarmEvidence(tolerate, byBucket ? 32 : 1, 1, options.perSecond)
  return {
    name,
    look(at, seen) {
      const pair = byBucket ? seen : collapse(seen)
      if (baseline.seen >= 100) harm.add(at, [pair], baseline.rate)
      baseline.add(pair.control, 1)
      // Evidence rises only with an error on treatment.
      if (sum(pair.treatment.bad) === 0) return false
      const reading = harm.read(threshold)
      if (reading.logEvidence < threshold) return false
      return !byBucket || whyNotYet(reading, true) === ''
    },
  }
}

export function competitorWatcher(competitor: Competitor): Watcher {
  const total = { badTreatment: 0, treatment: 0, badControl: 0, control: 0 }
  return {
    name: competitor.name,
    look(_, pair) {
      const poll = stratum(pair)
      total.badTreatment += poll.badTreatment
      total.treatment += poll.treatment
      total.badControl += poll.badControl
      total.control += poll.control
      return total.treatment > 0 && competitor.look(total, poll)
    },
  }
}

/** Seconds of baseline before anybody is on treatment: 3,000 operations. */
export const BASELINE_S = 30

/**
 * Runs all watchers over the same traffic.
 * @returns by watcher, the second at which it rolled back, counted from the first treated user
 */
export function trial(
  traffic: Traffic,
  watchers: readonly Watcher[],
  seconds: number,
  at: (second: number) => {
    readonly share: number
    readonly control: number
    readonly treatment: number
  },
): Map<string, number> {
  const fired = new Map<string, number>()
  const [guards, others] = [
    watchers.filter((w) => w.name.startsWith('guard')),
    watchers.filter((w) => !w.name.startsWith('guard')),
  ]
  for (let second = -BASELINE_S; second < seconds; second++) {
    const { share, control, treatment } = at(Math.max(0, second))
    const pair = traffic.second(second < 0 ? 0 : share, control, treatment)
    for (const watcher of second < 0 ? guards : [...guards, ...others]) {
      if (fired.has(watcher.name)) continue
      if (watcher.look(second + BASELINE_S, pair)) fired.set(watcher.name, second + 1)
    }
    if (fired.size === watchers.length) break
  }
  return fired
}
