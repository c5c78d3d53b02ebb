import { stratumOf } from './buckets.ts'
import type { ArmPair } from './buckets.ts'
import type { Stratum } from './increment.ts'

/** Treatment operations that a stratum holds, about. */
const OPERATIONS = 10
const SHORTEST_S = 1
const LONGEST_S = 60
const HALF_LIFE_S = 30

interface Open {
  readonly until: number
  /** Control's rate before it was opened. */
  readonly rate: number
  counts: Stratum
}

interface Flow {
  operations: number
  seconds: number
}

/**
 * Gathers the polls of each replica into strata of about ten treatment operations, at most a minute. At
 * one operation a second, a poll with one on treatment has often none on control beside it, and what
 * control does between counts for nothing; gathered, the two stand side by side.
 */
export class Strata {
  readonly #open = new Map<string, Open>()
  /** Treatment's operations of late, by replica: a stratum's length is fixed before it is seen. */
  readonly #flows = new Map<string, Flow>()

  /**
   * One poll of one replica.
   * @returns its stratum so far, and whether it is over now
   */
  add(
    at: number,
    elapsedS: number,
    replica: string,
    pair: ArmPair,
    controlRate: number,
  ): { readonly counts: Stratum; readonly rate: number; readonly over: boolean } {
    const more = stratumOf(pair)
    const open = this.#open.get(replica) ?? {
      until: at - elapsedS + this.#lengthOf(replica),
      rate: controlRate,
      counts: { badTreatment: 0, treatment: 0, badControl: 0, control: 0 },
    }
    open.counts = {
      badTreatment: open.counts.badTreatment + more.badTreatment,
      treatment: open.counts.treatment + more.treatment,
      badControl: open.counts.badControl + more.badControl,
      control: open.counts.control + more.control,
    }
    this.#flow(replica, more.treatment, elapsedS)
    // A poll that comes a little early still ends it.
    const over = at >= open.until - 0.05 * elapsedS
    if (over) this.#open.delete(replica)
    else this.#open.set(replica, open)
    return { counts: open.counts, rate: open.rate, over }
  }

  /** All of them are over. */
  end(): void {
    this.#open.clear()
  }

  /** Another share is served: what is known of the flow says nothing more. */
  restart(): void {
    this.end()
    this.#flows.clear()
  }

  #lengthOf(replica: string): number {
    const flow = this.#flows.get(replica)
    if (flow === undefined) return SHORTEST_S
    const perSecond = flow.operations / Math.max(flow.seconds, 1)
    return Math.min(LONGEST_S, Math.max(SHORTEST_S, OPERATIONS / perSecond))
  }

  #flow(replica: string, operations: number, elapsedS: number): void {
    const flow = this.#flows.get(replica) ?? { operations: 0, seconds: 0 }
    const keep = 2 ** (-elapsedS / HALF_LIFE_S)
    flow.operations = flow.operations * keep + operations
    flow.seconds = flow.seconds * keep + elapsedS
    this.#flows.set(replica, flow)
  }
}
