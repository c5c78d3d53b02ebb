import { SafetyEvidence, Baseline, sum } from '../../src/guard/rule/index.ts'
import { asymptoticSequence, mixtureSprt } from './competitors.ts'
import { Traffic } from './traffic.ts'
import { BASELINE_S, competitorWatcher, guardWatcher, stratum, trial } from './trial.ts'
import type { Watcher } from './trial.ts'

export interface Change {
  readonly name: string
  readonly control: number
  readonly treatment: number
  /** Healthy seconds with users on treatment before the change. */
  readonly healthy?: number
  /** See `MetricRule.harmPerSecond`. */
  readonly perSecond?: number
  /** Looked for at most so long. */
  readonly seconds: number
}

export const CHANGES: readonly Change[] = [
  { name: '.1→1 %', control: 0.001, treatment: 0.01, seconds: 4000 },
  { name: '1→2 %', control: 0.01, treatment: 0.02, seconds: 6000 },
  { name: 'slow 1→5 %', control: 0.01, treatment: 0.05, perSecond: 2, seconds: 2000 },
  { name: 'outage', control: 0.001, treatment: 1, seconds: 300 },
  {
    name: '1→2 % after 1 healthy h',
    control: 0.01,
    treatment: 0.02,
    healthy: 3600,
    seconds: 6000,
  },
  { name: '1→1.2 %', control: 0.01, treatment: 0.012, seconds: 60_000 },
]

/** Wald's test, which knows both rates and when the change is: nothing that keeps 1 % is faster. */
function wald({ control, treatment, healthy = 0 }: Change): Watcher {
  let log = 0
  return {
    name: 'SPRT',
    look(at, pair) {
      if (at < healthy + BASELINE_S) return false
      const t = stratum(pair)
      log += t.badTreatment * Math.log(treatment / control)
      log +=
        (t.treatment - t.badTreatment) * Math.log((1 - Math.min(treatment, 0.999)) / (1 - control))
      return log >= Math.log(100)
    },
  }
}

export function quantile(values: readonly number[], q: number): number {
  return [...values].sort((a, b) => a - b)[
    Math.min(values.length - 1, Math.floor(values.length * q))
  ]!
}

/** Seconds until each watcher went back, one per run; `Infinity` when it did not. */
export function detectionTimes(
  change: Change,
  share: number,
  options: { readonly runs: number; readonly seed: number },
): Map<string, number[]> {
  const healthy = change.healthy ?? 0
  const bound = change.perSecond === undefined ? {} : { perSecond: change.perSecond }
  const times = new Map<string, number[]>()
  for (let run = 0; run < options.runs; run++) {
    const watchers: Watcher[] = [
      wald(change),
      guardWatcher(bound),
      guardWatcher({ ...bound, name: 'guard, 0 % tolerated', tolerate: { ratio: 1, add: 0 } }),
      competitorWatcher(asymptoticSequence()),
      competitorWatcher(mixtureSprt()),
    ]
    const traffic = new Traffic({ seed: options.seed + run * 104_729 })
    const fired = trial(traffic, watchers, healthy + change.seconds, (second) => ({
      share,
      control: change.control,
      treatment: second >= healthy ? change.treatment : change.control,
    }))
    for (const { name } of watchers) {
      const at = fired.get(name) ?? Infinity
      // A false alarm before the change is none of the detections.
      if (at > healthy) times.set(name, [...(times.get(name) ?? []), at - healthy])
    }
  }
  return times
}

/** The shares of a rollout. */
export const STEPS: readonly number[] = [0.01, 0.05, 0.1, 0.25, 0.5, 1]

export interface Advance {
  /** Seconds held at each step but the last. */
  readonly holds: readonly number[]
  readonly starved: boolean
}

/** One healthy rollout on one metric, with the harm budget for errors: how long each step holds. */
export function advance(rate: number, seed: number, perSecond = 100, users = 5000): Advance {
  const traffic = new Traffic({ seed, perSecond, users })
  const baseline = new Baseline()
  for (let second = 0; second < BASELINE_S * (100 / perSecond); second++) {
    baseline.add(traffic.second(0, rate, rate).control, 1)
  }
  const holds: number[] = []
  for (let step = 0; step < STEPS.length - 1; step++) {
    const safety = new SafetyEvidence({ ratio: 1.25, add: 0.001 / STEPS[step + 1]! }, 32)
    let held = 0
    for (;;) {
      const pair = traffic.second(STEPS[step]!, rate, rate)
      held++
      if (held > 10) safety.add([pair], baseline.rate)
      baseline.add(pair.control, 1)
      if (held > 3600) return { holds, starved: true }
      if (held < 60) continue
      if (sum(pair.treatment.total) === 0 && held % 10 !== 0) continue
      const reading = safety.read()
      const enough = reading.treatment >= 100 && reading.effectiveBuckets >= 8
      if (enough && reading.logEvidence >= Math.log(20)) break
    }
    holds.push(held)
  }
  return { holds, starved: false }
}
