/**
 * What the control page wants to know of a guard: a port, so that the page works without one. A guard
 * that runs in the same process fills it in; the numbers are those of `guard/rule`'s verdict.
 */
export interface GuardView {
  /** What the guard thinks now. Cheap: asked once a second. */
  read(): GuardReading
  /** Lets it take the step that it waits to be approved. Left out where that cannot be. */
  approve?(percent: number, who: string): void | Promise<void>
}

export interface GuardReading {
  /**
   * - `acting`: it moves the split by itself; `advising`: it says what it would do;
   * - `yielded`: a person changed the split, and it keeps its hands off;
   * - `blind`: it has no metrics; `standby`: another guard holds the lease; `stopped`.
   */
  readonly mode: 'acting' | 'advising' | 'yielded' | 'blind' | 'standby' | 'stopped'
  readonly answer: 'regressed' | 'safe' | 'undecided' | 'starved' | undefined
  /** One sentence for people: what it thinks and what it does about it. */
  readonly sentence: string
  readonly metrics: readonly GuardMetric[]
  readonly plan: GuardPlan | undefined
  /** A share in per cent that waits for approval. */
  readonly awaiting?: number | undefined
  /** Things that need a person, one sentence each. */
  readonly alarms: readonly string[]
  /** Epoch milliseconds of the last poll. */
  readonly at: number
}

export interface GuardMetric {
  /** E.g. `errors`, `slow`, `repeat-misses`. */
  readonly id: string
  /** Evidence that the new side is worse than tolerated, and what it takes; natural logarithms. */
  readonly harm: Evidence & Partial<SinceHarm>
  /** Evidence that the next step is safe; `undefined` where there is none to take. */
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

/** What both arms did since harm, if any, seems to have begun. */
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
  /** Seconds spent in the present step. */
  readonly heldS: number
  /** Seconds that a step lasts at least. */
  readonly minHoldS: number
}
