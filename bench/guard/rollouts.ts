import { Judge } from '../../src/guard/rule/index.ts'
import type { MetricRule } from '../../src/guard/rule/index.ts'
import { STEPS } from './detection.ts'
import { Traffic } from './traffic.ts'
import type { Weather } from './traffic.ts'
import { stratum } from './trial.ts'

const METRICS: readonly { readonly rule: MetricRule; readonly rate: number }[] = [
  { rule: metric('errors', 0, 0.001, true), rate: 0.001 },
  { rule: { ...metric('slow', 0.002, 0.005, false), harmPerSecond: 2 }, rate: 0.01 },
  { rule: metric('repeat-misses', 0.02, 0.01, false), rate: 0.001 },
]

function metric(id: string, add: number, budget: number, outage: boolean): MetricRule {
  const tolerate = { ratio: 1.05, add }
  return { id, tolerate, allow: { ratio: 1.25, budget }, buckets: 32, outage }
}

export interface Story {
  readonly name: string
  readonly weather?: Weather
  /** Treatment's error rate while this share is served. @default control's */
  readonly errors?: (share: number) => number
}

export const STORIES: readonly Story[] = [
  { name: 'healthy' },
  { name: 'healthy, ×50 bursts', weather: { bursts: true } },
  { name: 'healthy, errors by user', weather: { byUser: 0.2 } },
  { name: 'healthy, retries ×10', weather: { retries: 10 } },
  { name: '.1→1 %', errors: () => 0.01 },
  { name: '.1→1 % from 25 % on', errors: (share) => (share >= 0.25 ? 0.01 : 0.001) },
  { name: 'outage from 10 % on', errors: (share) => (share >= 0.1 ? 1 : 0.001) },
]

export interface Ending {
  readonly end: 'finished' | 'rolled back' | 'starved'
  readonly seconds: number
  /** Failures more than control would have had. */
  readonly excess: number
}

/** A whole rollout: three metrics, every step, as the guard would do it. */
export function rollout(story: Story, seed: number, perSecond = 100): Ending {
  const judge = new Judge({ metrics: METRICS.map(({ rule }) => rule) })
  const traffic = METRICS.map(
    (_, i) =>
      new Traffic({
        seed: seed + i * 1_000_003,
        perSecond,
        users: 5000,
        ...(story.weather === undefined ? {} : { weather: story.weather }),
      }),
  )
  let excess = 0
  const poll = (at: number, share: number): void => {
    const strata = METRICS.map(({ rule, rate }, i) => {
      const treated = rule.id === 'errors' ? (story.errors?.(share) ?? rate) : rate
      const pair = traffic[i]!.second(share, rate, treated)
      if (rule.id === 'errors') {
        const { badTreatment, treatment } = stratum(pair)
        excess += badTreatment - treatment * rate
      }
      return [rule.id, [pair]] as const
    })
    judge.observe(at, 1, new Map(strata))
  }
  let at = 0
  while (judge.unready.length > 0) poll(at++, 0)
  for (const [step, share] of STEPS.slice(0, -1).entries()) {
    judge.beginStep({ at, share, next: STEPS[step + 1] })
    for (let answer = 'undecided'; answer !== 'safe';) {
      poll(++at, share)
      answer = judge.verdict(at).answer
      if (answer === 'regressed') return { end: 'rolled back', seconds: at, excess }
      if (answer === 'starved') return { end: 'starved', seconds: at, excess }
    }
  }
  return { end: 'finished', seconds: at, excess }
}
