/**
 * What the control page needs of a guard: a port, so that the page works without one. A guard in
 * the same process implements it; the numbers are those of `guard/rule`'s verdict.
 */
export interface GuardView {
  /** The guard's current view. Cheap: asked once a second. */
  read(): GuardReading
  /** Its own metrics, in the text format of Prometheus. */
  metrics?(): string
  /** Approves the step that waits. Absent where that is not possible. */
  approve?(percent: number, who: string): void | Promise<void>
  /** Takes an order of a person. Absent where that is not possible. */
  order?(order: GuardOrder): void | Promise<void>
}

/** What a person wants of a guard that runs. */
export type GuardOrder =
  /** `resume`: act again after a rollback or an edit by hand, with evidence that begins at nothing. */
  | { readonly kind: 'pause' | 'unpause' | 'resume'; readonly who: string }
  /** The next step now, if it is still this one. */
  | { readonly kind: 'promote'; readonly who: string; readonly to: number }

export interface GuardReading {
  /**
   * - `acting`: it moves the split; `advising`: it only reports what it would do;
   * - `yielded`: a person changed the split, and it no longer acts;
   * - `blind`: it has no metrics; `standby`: another guard holds the lease; `stopped`.
   */
  readonly mode: 'acting' | 'advising' | 'yielded' | 'blind' | 'standby' | 'stopped'
  readonly answer: 'regressed' | 'safe' | 'undecided' | 'starved' | undefined
  /** One sentence for people: what it concludes and what it does about it. */
  readonly sentence: string
  readonly metrics: readonly GuardMetric[]
  readonly plan: GuardPlan | undefined
  /** A share in per cent that waits for approval. */
  readonly awaiting?: number | undefined
  /** The share in per cent that comes next; undefined at the end of the plan. */
  readonly next?: number | undefined
  /** By whom and since when (epoch milliseconds) it takes no step. */
  readonly paused?: { readonly who: string; readonly since: number } | undefined
  /** The alarm in which it takes no step; `''` without one. */
  readonly holding?: string
  /** What each metric that stands in the way of the next step waits for, and how long. */
  readonly waits?: readonly string[]
  /** What ended well, but took longer than so many milliseconds, is late. */
  readonly lateMs?: number
  /** Incidents that were survived, the newest first. */
  readonly incidents?: readonly { readonly at: number; readonly sentence: string }[]
  /** Which attempt this is; each resume begins one. */
  readonly epoch?: number
  /** Who acts, where that is not the guard beside this page. */
  readonly elsewhere?: string
  /** Things that need a person, one sentence each. */
  readonly alarms: readonly string[]
  /** Alarms that are over, with their times, the newest first. */
  readonly ended?: readonly string[]
  /** Epoch milliseconds of the last poll. */
  readonly at: number
}

/** It runs, and took everybody back or left the split to a person. A guard that cannot be read has no plan. */
export function isStopped({ mode, plan }: GuardReading): boolean {
  return (mode === 'stopped' || mode === 'yielded') && plan !== undefined
}

export interface GuardMetric {
  /** E.g. `failed`, `degraded`, `repeat-misses`. */
  readonly id: string
  /** Evidence that the new side is worse than tolerated, and the threshold; natural logarithms. */
  readonly harm: Evidence & Partial<SinceHarm>
  /** Evidence that the next step is safe; `undefined` without a next step. */
  readonly safety: Evidence | undefined
  readonly treatment: BadOfTotal
  readonly control: BadOfTotal
  /** Why evidence of harm does not count yet; `''` when it does. */
  readonly heldBack: string
}

export interface Evidence {
  readonly logEvidence: number
  readonly logThreshold: number
}

/** What both sides did since harm, if any, seems to have begun. */
export interface SinceHarm {
  readonly treatment: BadOfTotal
  readonly control: BadOfTotal
}

export interface BadOfTotal {
  readonly bad: number
  readonly total: number
}

export interface GuardPlan {
  /** Shares in per cent, e.g. 1, 5, 10, 25, 50, 100. */
  readonly steps: readonly number[]
  /** Seconds spent in the current step. */
  readonly heldS: number
  /** Least seconds of a step. */
  readonly minHoldS: number
  /** It looks once in so many milliseconds. */
  readonly intervalMs?: number
}
