import type { Margin } from '../count/increment.ts'
import { atEffect, incrementsOf } from './scales.ts'

/** Longer than this nobody waits, in seconds. */
const FOREVER_S = 1e7

/** What both arms do at present. */
export interface Pace {
  /** Operations a second. */
  readonly treatment: number
  readonly control: number
  /** Shares of them that are bad. */
  readonly treatmentRate: number
  readonly controlRate: number
}

/**
 * Treatment's rate for an estimate: what was seen, with half an error at the rate that would be expected,
 * so that nothing seen is not taken for never.
 */
export function expectedRate(
  bad: number,
  total: number,
  controlRate: number,
  harm: number,
): number {
  return (bad + 0.5) / (total + 0.5 / Math.max(controlRate, harm / 10))
}

/** What one second at this pace adds, by scale and bet. */
export function evidenceRate(margin: Margin, bets: readonly number[], pace: Pace): Float64Array {
  const counts = {
    badTreatment: pace.treatmentRate * pace.treatment,
    treatment: pace.treatment,
    badControl: pace.controlRate * pace.control,
    control: pace.control,
  }
  return incrementsOf(margin, counts, bets, pace.controlRate)
}

/**
 * Seconds until the evidence is enough, at its own rate of growth; undefined: never. Half of them end
 * between 0.6 and 1.2 times as late.
 *
 * @param before what the logarithms began with
 * @param need natural logarithm of the evidence needed
 */
export function secondsUntil(
  logs: Float64Array,
  before: Float64Array | undefined,
  growth: Float64Array,
  effect: number,
  need: number,
): number | undefined {
  const at = (seconds: number): number => atEffect(logs, before, effect, growth, seconds)
  if (at(0) >= need) return 0
  let high = 1
  while (at(high) < need) {
    high *= 2
    if (high > FOREVER_S) return undefined
  }
  let low = high / 2
  if (high === 1) low = 0
  for (let i = 0; i < 20; i++) {
    const middle = (low + high) / 2
    if (at(middle) >= need) high = middle
    else low = middle
  }
  return high
}
