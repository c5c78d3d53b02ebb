/**
 * A margin between the sides, as the line `new side's rate = ratio x old side's rate + add`.
 * `ratio` 1.05 and `add` 0 tolerates five percent more than the old side, relatively.
 */
export interface Margin {
  readonly ratio: number
  /** Absolute, as a share of operations: 0.001 is one in a thousand. */
  readonly add: number
}

/** The new side's rate on the margin for a given rate of the old side. */
export function edgeOf(margin: Margin, control: number): number {
  return margin.ratio * control + margin.add
}

/** Counts of one stratum: one replica between two polls. */
export interface Stratum {
  readonly badTreatment: number
  readonly treatment: number
  readonly badControl: number
  readonly control: number
}

/**
 * The old side's rate at the point of the margin that explains the bet best: the positive root of
 * `A rho c^2 + b c - nC thetaC delta = 0`. There the expectation of the increment does not depend
 * on the true rate, so bursts and drift that affect both sides cancel.
 */
export function nearestNull(
  { ratio, add }: Margin,
  treatment: number,
  control: number,
  betTreatment: number,
  betControl: number,
): number {
  const a = ratio * treatment + control
  const b = a * add - ratio * (treatment * betTreatment + control * betControl)
  const q = control * betControl * add
  const root = Math.sqrt(b * b + 4 * a * ratio * q)
  // The two forms of the root are equal; the one without a difference keeps its digits.
  return b > 0 ? (2 * q) / (b + root) : (root - b) / (2 * a * ratio)
}

/**
 * What one stratum adds to the logarithm of the evidence for the bet (thetaT, thetaC) against every
 * point of the margin. The bet must be chosen before the stratum is seen. Formula, proof and
 * sources: docs/adr/0005-e-process.md.
 */
export function increment(
  margin: Margin,
  { badTreatment, treatment, badControl, control }: Stratum,
  betTreatment: number,
  betControl: number,
): number {
  if (treatment === 0) return 0
  const c = nearestNull(margin, treatment, control, betTreatment, betControl)
  const g = edgeOf(margin, c)
  let sum = -treatment * (betTreatment - g) - control * (betControl - c)
  if (badTreatment > 0) sum += badTreatment * Math.log(betTreatment / g)
  if (badControl > 0) sum += badControl * Math.log(betControl / c)
  return sum
}
