/**
 * A margin between the arms, as the line `treatment's rate = ratio x control's rate + add`.
 * `ratio` 1.05 and `add` 0 tolerates five per cent more than control, relatively.
 */
export interface Margin {
  readonly ratio: number
  /** Absolute, as a share of operations: 0.001 is one in a thousand. */
  readonly add: number
}

/** Treatment's rate on the margin for a given rate of control. */
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
 * Control's rate at the point of the margin that explains the bet best: the positive root of
 * `A rho c^2 + b c - nC thetaC delta = 0`. At this point the expectation of the increment does not
 * depend on control's true rate, so that bursts and drift which hit both arms cancel.
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
 * point of the margin:
 *
 * `dL = xT ln(thetaT/g) + xC ln(thetaC/c) - nT (thetaT - g) - nC (thetaC - c)`, with `c` from
 * {@link nearestNull} and `g = rho c + delta`.
 *
 * Under each point of the null hypothesis `E[exp dL] <= 1`, whatever control's rate is in this
 * stratum: the exponent is linear in the rates and zero on the margin, and Bernoulli trials are
 * dominated by Poisson ones. The bet must be chosen before the stratum is seen. With `add` 0 this
 * asks which arm an error came from: Lindon & Malek 2022 (anytime-valid inference for multinomial
 * count data); ter Schure, Perez-Ortiz, Ly & Grunwald (the safe logrank test); Turner, Ly & Grunwald
 * (safe tests for two proportions).
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
