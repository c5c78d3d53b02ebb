import {
  addPair,
  designEffect,
  effectiveBuckets,
  emptyPair,
  packPair,
  stratumOf,
  sum,
  unpackPair,
} from './buckets.ts'
import type { ArmPair, PackedPair } from './buckets.ts'
import { edgeOf, increment } from './increment.ts'
import type { Margin } from './increment.ts'
import { logMeanExp } from './logarithms.ts'

export interface SafetyState {
  readonly log: readonly number[]
  readonly totals: PackedPair
}

export interface SafetyReading {
  /** Natural logarithm of the evidence. */
  readonly logEvidence: number
  readonly designEffect: number
  readonly treatment: number
  readonly badTreatment: number
  readonly control: number
  readonly badControl: number
  readonly effectiveBuckets: number
}

/**
 * Evidence that the new side is better than the margin, new for each step: one watch, and bets on
 * the old side's own rate, on half of it, and on the middle between it and the margin.
 */
export class SafetyEvidence {
  readonly #margin: Margin
  #log: number[] = [0, 0, 0]
  #totals: ArmPair
  readonly #fixedEffect: number

  /** @param margin with `add` = harm budget / share of the next step */
  constructor(margin: Margin, buckets: number, fixedEffect = 1) {
    this.#margin = margin
    this.#totals = emptyPair(buckets)
    this.#fixedEffect = fixedEffect
  }

  /** @param controlRate from `Baseline`, before this poll is added to it */
  add(strata: readonly ArmPair[], controlRate: number): void {
    const edge = edgeOf(this.#margin, controlRate)
    const bets = [controlRate, Math.sqrt(controlRate * edge), controlRate / 2]
    for (const pair of strata) {
      const counts = stratumOf(pair)
      for (let j = 0; j < bets.length; j++) {
        this.#log[j]! += increment(this.#margin, counts, bets[j]!, controlRate)
      }
      addPair(this.#totals, pair)
    }
  }

  read(): SafetyReading {
    const { control, treatment } = this.#totals
    const byBucket = control.total.length > 1
    const d = byBucket ? designEffect(this.#totals) : this.#fixedEffect
    return {
      logEvidence: logMeanExp(this.#log.map((l) => l / d)),
      designEffect: d,
      treatment: sum(treatment.total),
      badTreatment: sum(treatment.bad),
      control: sum(control.total),
      badControl: sum(control.bad),
      effectiveBuckets: byBucket
        ? Math.min(effectiveBuckets(treatment), effectiveBuckets(control))
        : Infinity,
    }
  }

  state(): SafetyState {
    return { log: this.#log, totals: packPair(this.#totals) }
  }

  /** Continues where another process stopped. */
  restore(state: SafetyState): void {
    this.#log = [...state.log]
    this.#totals = unpackPair(state.totals)
  }
}
