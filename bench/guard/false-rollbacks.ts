import { asymptoticSequence, mixtureSprt, userSequence } from './competitors.ts'
import { Traffic } from './traffic.ts'
import type { Weather } from './traffic.ts'
import { competitorWatcher, DEGRADED, FAILED, guardWatcher, trial } from './trial.ts'
import type { Watcher } from './trial.ts'

export interface Row {
  readonly name: string
  readonly weather: Weather
  /** The share widens and the base rate drifts to five times itself. */
  readonly drift?: boolean
  readonly users?: number
  /** @default .1, 1 and 5 % */
  readonly rates?: readonly number[]
}

export const ROWS: readonly Row[] = [
  { name: 'independent', weather: {} },
  { name: '×50 bursts, both sides', weather: { bursts: true } },
  { name: 'by user (gamma .2)', weather: { byUser: 0.2 } },
  { name: 'retries ×10', weather: { retries: 10 } },
  {
    name: 'all, storms of 100',
    weather: { bursts: true, byUser: 0.2, retries: 10, storms: true },
  },
  { name: '100 users, by user', weather: { byUser: 0.2 }, users: 100, rates: [0.01] },
  { name: 'one user 20 % of traffic, ×10', weather: { whale: 0.2 }, rates: [0.01] },
  { name: 'ramp 1→50 %, base ×5', weather: {}, drift: true },
]

export const BASE_RATES: readonly number[] = [0.001, 0.01, 0.05]
export const SHARES: readonly number[] = [0.05, 0.25, 0.5]
const STEPS = [0.01, 0.05, 0.1, 0.25, 0.5]

export function watchers(): Watcher[] {
  return [
    guardWatcher(FAILED),
    guardWatcher(DEGRADED),
    competitorWatcher(asymptoticSequence()),
    competitorWatcher(mixtureSprt()),
    competitorWatcher(userSequence()),
  ]
}

/** Shares of healthy runs that each rolled back, by watcher. */
export function falseRollbacks(
  row: Row,
  baseRate: number,
  share: number,
  options: { readonly runs: number; readonly polls: number; readonly seed: number },
): Map<string, number> {
  const rates = new Map(watchers().map(({ name }) => [name, 0]))
  for (let run = 0; run < options.runs; run++) {
    const seed = options.seed + run * 7919 + Math.round(baseRate * 1e5) + Math.round(share * 1e3)
    const traffic = new Traffic({ seed, users: row.users ?? 2000, weather: row.weather })
    const fired = trial(traffic, watchers(), options.polls, (second) => {
      const step = Math.floor((second / options.polls) * STEPS.length)
      const rate = row.drift === true ? baseRate * (1 + step) : baseRate
      return {
        share: row.drift === true ? STEPS[step]! : share,
        control: rate,
        treatment: rate,
      }
    })
    for (const name of fired.keys()) rates.set(name, rates.get(name)! + 1 / options.runs)
  }
  return rates
}
