import { Judge, stratumOf } from '../../src/guard/rule/index.ts'
import type { ArmPair } from '../../src/guard/rule/index.ts'
import { Traffic } from './traffic.ts'
import type { Weather } from './traffic.ts'
import { DEGRADED, FAILED, REPEATED } from './trial.ts'

const METRICS = [FAILED, DEGRADED, REPEATED]
const STEPS = [1, 5, 10, 25, 50, 100]

export interface Story {
  readonly name: string
  readonly perSecond?: number
  readonly users?: number
  readonly steps?: readonly number[]
  readonly weather?: Weather
  /** Failures of the old side. @default 0 */
  readonly base?: number
  /** Failures of the new side while this share, in per cent, is served. @default the old side's */
  readonly failed?: (share: number) => number
  readonly degraded?: (share: number) => number
  /** Given up after so many hours. @default 5.5 */
  readonly hours?: number
  /** What has to come of it, and of how many. */
  readonly goal?: { readonly end: Ending['end']; readonly atLeast: number }
}

export const TRAFFIC: readonly Story[] = [
  {
    name: '1,000/s, 20,000 users',
    perSecond: 1000,
    users: 20_000,
    goal: { end: 'finished', atLeast: 0.95 },
  },
  { name: '100/s, 5,000 users', goal: { end: 'finished', atLeast: 0.95 } },
  { name: '100/s, 10-50-100', steps: [10, 50, 100], goal: { end: 'finished', atLeast: 0.95 } },
  {
    name: '10/s, 2,000 users',
    perSecond: 10,
    users: 2000,
    goal: { end: 'finished', atLeast: 0.9 },
  },
  {
    name: '10/s, 200 users, 10-50-100',
    perSecond: 10,
    users: 200,
    steps: [10, 50, 100],
    goal: { end: 'finished', atLeast: 0.9 },
  },
  {
    name: '1/s, 500 users, 10-50-100',
    perSecond: 1,
    users: 500,
    steps: [10, 50, 100],
    hours: 30,
    goal: { end: 'finished', atLeast: 0.9 },
  },
]

export const FAULTS: readonly Story[] = [
  {
    name: 'outage on reaching 10 %',
    failed: (share) => (share >= 10 ? 1 : 0),
    goal: { end: 'rolled back', atLeast: 1 },
  },
  { name: '1 % fail from the start', failed: () => 0.01, goal: { end: 'rolled back', atLeast: 1 } },
  {
    name: '3 % degraded from 25 % on',
    degraded: (share) => (share >= 25 ? 0.03 : 0),
    goal: { end: 'rolled back', atLeast: 0.95 },
  },
  { name: '0.05 % (half of harm)', failed: () => 0.0005, goal: { end: 'finished', atLeast: 0.95 } },
]

export const SECOND_ATTEMPTS: readonly Story[] = [
  { name: 'cause gone', goal: { end: 'finished', atLeast: 0.97 } },
  { name: 'the outage is still there', failed: () => 1, goal: { end: 'rolled back', atLeast: 1 } },
  { name: '1 % fail still', failed: () => 0.01, goal: { end: 'rolled back', atLeast: 0.95 } },
  { name: '3 % degraded still', degraded: () => 0.03, goal: { end: 'rolled back', atLeast: 0.95 } },
]

export interface Ending {
  readonly end: 'finished' | 'rolled back' | 'given up'
  /** Since the first step. */
  readonly seconds: number
  /** Operations more than the old side would have spoilt. */
  readonly harmed: number
}

/**
 * A whole rollout: three metrics, every step, as the guard would do it.
 * @param second after an outage at 25 % was taken back, the same judge begins another epoch
 */
export function rollout(story: Story, seed: number, second = false): Ending {
  const {
    perSecond = 100,
    users = 5000,
    steps = STEPS,
    base = 0,
    hours = 5.5,
    weather = {},
  } = story
  const judge = new Judge({
    metrics: METRICS,
    shares: steps.map((step) => step / 100),
    baselineOperations: Math.min(3000, perSecond * 600),
  })
  const traffic = METRICS.map(
    (_, i) => new Traffic({ seed: seed + i * 1_000_003, perSecond, users, weather }),
  )
  let harmed = 0
  const poll = (at: number, share: number, rates: readonly number[]): void => {
    const strata = METRICS.map(({ id }, i) => {
      const pair = traffic[i]!.second(share / 100, base, rates[i]!)
      const { badTreatment, treatment } = stratumOf(pair)
      harmed += badTreatment - treatment * base
      return [id, new Map<string, ArmPair>([['a', pair]])] as const
    })
    judge.observe(at, 1, new Map(strata))
  }
  let at = 0
  while (judge.unready.length > 0) poll(at++, 0, [base, base, base])
  if (second) {
    judge.beginStep({ at, share: 0.25, next: 0.5 })
    for (let s = 0; s < 60; s++) poll(++at, 25, [s < 30 ? base : 1, base, base])
    judge.beginEpoch()
    for (let s = 0; s < 300; s++) poll(++at, 0, [base, base, base])
  }
  harmed = 0
  const begun = at
  const deadline = begun + hours * 3600
  for (const [step, share] of steps.slice(0, -1).entries()) {
    judge.beginStep({ at, share: share / 100, next: steps[step + 1]! / 100 })
    const rates = [story.failed?.(share) ?? base, story.degraded?.(share) ?? base, base]
    for (let answer = 'undecided'; answer !== 'safe';) {
      if (at > deadline) return { end: 'given up', seconds: at - begun, harmed }
      poll(++at, share, rates)
      answer = judge.verdict(at, false).answer
      if (answer === 'regressed') return { end: 'rolled back', seconds: at - begun, harmed }
    }
  }
  return { end: 'finished', seconds: at - begun, harmed }
}
