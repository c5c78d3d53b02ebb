import type { Stratum } from './increment.ts'

const LEAST_BAD = 5
const LEAST_SHARE = 0.05
/** Seconds without one after which an incident is over. */
const CALM_S = 2

/** Much of treatment was bad for a moment, and it is over. */
export interface Incident {
  readonly metric: string
  /** Treatment's bad operations in it. */
  readonly bad: number
  /** Seconds, by the looks at it: not shorter than one. */
  readonly lastedS: number
  /** Longer than this would be no single incident to the rule. */
  readonly patienceS: number
  /** Share of treatment's operations spoilt since the epoch began, above control's, and what is allowed. */
  readonly harm: number
  readonly allowed: number
}

/** Tells incidents apart from what goes on all the time; for people, no decision rests on it. */
export class IncidentWatch {
  #open: { readonly from: number; to: number; bad: number } | undefined

  /** One poll. @param edge the rate that is tolerated @returns an incident that is over now */
  add(
    at: number,
    elapsedS: number,
    { badTreatment, treatment }: Stratum,
    edge: number,
  ): { readonly bad: number; readonly lastedS: number } | undefined {
    const hit =
      badTreatment >= LEAST_BAD && badTreatment >= treatment * Math.max(LEAST_SHARE, 5 * edge)
    if (hit) {
      this.#open ??= { from: at - elapsedS, to: at, bad: 0 }
      this.#open.to = at
      this.#open.bad += badTreatment
      return undefined
    }
    const open = this.#open
    if (open === undefined) return undefined
    if (at - open.to < CALM_S) {
      open.bad += badTreatment
      return undefined
    }
    this.#open = undefined
    return { bad: open.bad, lastedS: open.to - open.from }
  }

  restart(): void {
    this.#open = undefined
  }
}
