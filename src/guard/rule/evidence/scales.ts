import { increment } from '../count/increment.ts'
import type { Margin, Stratum } from '../count/increment.ts'

/** Treatment's operations weigh 4^-k, k = 0 to 5. */
export const SCALES = 6

/**
 * What a stratum adds to the logarithms of the evidence, by scale and bet (`[k * bets + j]`). At each scale
 * treatment's operations weigh a quarter of those before, while control's keep their weight: where
 * treatment's errors come in clusters, control's good operations beside them do not. Each is an e-value:
 * for s <= 1, `E exp(s a x) = exp(n l (e^(s a) - 1)) <= exp(s n l (e^a - 1))`.
 */
export function incrementsOf(
  margin: Margin,
  counts: Stratum,
  bets: readonly number[],
  controlRate: number,
): Float64Array {
  const { badTreatment, treatment, badControl, control } = counts
  const sums = new Float64Array(SCALES * bets.length)
  for (let k = 0; k < SCALES; k++) {
    const weight = 4 ** -k
    const scaled = {
      badTreatment: badTreatment * weight,
      treatment: treatment * weight,
      badControl,
      control,
    }
    for (const [j, bet] of bets.entries()) {
      // A bet that is no bet, see `Evidence`.
      if (bet > 0) sums[k * bets.length + j] = increment(margin, scaled, bet, controlRate)
    }
  }
  return sums
}

/** The scale for a design effect: `4^k <= d < 4^(k+1)`. */
export function scaleOf(effect: number): number {
  let k = 0
  while (k < SCALES - 1 && 4 ** (k + 1) <= effect) k++
  return k
}

/**
 * The evidence at the scale that the design effect asks for, of the logarithms `logs[i] - before[i] +
 * times * more[i]`.
 */
export function atEffect(
  logs: Float64Array,
  before: Float64Array | undefined,
  effect: number,
  more?: Float64Array,
  times = 0,
): number {
  const bets = logs.length / SCALES
  const k = scaleOf(effect)
  const rest = effect / 4 ** k
  let top = -Infinity
  let sum = 0
  for (let i = k * bets; i < (k + 1) * bets; i++) {
    const value = (logs[i]! - (before?.[i] ?? 0) + times * (more?.[i] ?? 0)) / rest
    if (value <= top) sum += Math.exp(value - top)
    else {
      sum = sum * Math.exp(top - value) + 1
      top = value
    }
  }
  return top + Math.log(sum / bets)
}
