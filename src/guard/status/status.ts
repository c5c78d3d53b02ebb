import type { Alarm, EndedAlarm } from './alarms.ts'
import type { Eyes } from '../watch/eyes.ts'
import type { Disagreement, Sight, Verdict } from '../rule/index.ts'
import type { Failure } from '../samples/metrics-source.ts'
import type { Paused, Phase } from '../act/state-store.ts'

/** An incident in one sentence. */
export interface ToldIncident {
  /** Epoch milliseconds. */
  readonly at: number
  readonly sentence: string
}

/** What the guard itself knows. */
export interface GuardPosition {
  /** Epoch milliseconds. */
  readonly at: number
  readonly flag: string
  /** It reports what it would do, without doing it. */
  readonly dryRun: boolean
  /** `''` when this guard acts, else the name of the one that does. */
  readonly standbyFor: string
  /** Epoch milliseconds: when its lease ends, unless it renews it; undefined: not known. */
  readonly standbyUntil: number | undefined
  readonly phase: Phase
  /** Share of `on` in per cent. */
  readonly percent: number
  /** The next share of the plan; undefined at its end. */
  readonly next: number | undefined
  /** A share that waits for approval. */
  readonly awaiting: number | undefined
  /** By whom and since when no step is taken; undefined: steps are taken. */
  readonly paused: Paused | undefined
  /** Why it rolled back or yielded; else `''`. */
  readonly reason: string
  readonly alarms: readonly Alarm[]
  /** Alarms that are over, the newest first. */
  readonly ended: readonly EndedAlarm[]
  /** Share of the probe users that each process must send to the new side; undefined: unknown. */
  readonly expected: number | undefined
  /** Messages to people that were accepted, and given up. */
  readonly messages: { readonly sent: number; readonly failed: number }
  readonly plan: {
    readonly steps: readonly number[]
    readonly minHoldS: number
    readonly intervalMs: number
  }
  /** What ended well, but took longer than so many milliseconds, is late. */
  readonly lateMs: number
  /** The latest incidents that were survived, the newest first. */
  readonly incidents: readonly ToldIncident[]
}

/** What a person wants to see of a guard, after every poll. */
export interface GuardStatus extends GuardPosition {
  /** Seconds in the present step. */
  readonly heldS: number
  readonly verdict: Verdict | undefined
  readonly sight: Sight
  readonly silent: readonly string[]
  readonly failures: readonly Failure[]
  readonly disagreements: readonly Disagreement[]
  /** Which attempt this is; each resume begins one. */
  readonly epoch: number
  /** Distinct users seen, and the logarithm of the evidence that their ratio is wrong. */
  readonly users: { readonly off: number; readonly on: number; readonly logFactor: number }
}

export function statusOf(eyes: Eyes, position: GuardPosition): GuardStatus {
  return {
    ...position,
    heldS: eyes.heldS(position.at),
    verdict: eyes.verdict,
    sight: eyes.sight.sight,
    silent: eyes.sight.silent,
    failures: eyes.failures,
    disagreements: eyes.disagreements,
    epoch: eyes.epoch,
    users: eyes.users(position.percent),
  }
}
