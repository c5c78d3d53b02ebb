import type { Stratum } from '../../src/guard/rule/index.ts'

/** A test that is looked at after every poll: true once it would roll back. */
export interface Competitor {
  readonly name: string
  /** @param total cumulative counts @param poll the last second's */
  look(total: Stratum, poll: Stratum): boolean
}

function difference({ badTreatment, treatment, badControl, control }: Stratum): {
  readonly d: number
  readonly variance: number
} {
  const t = badTreatment / treatment
  const c = badControl / control
  return { d: t - c, variance: (t * (1 - t)) / treatment + (c * (1 - c)) / control }
}

/** The two-proportion z test with pooled variance, one-sided, looked at after every poll. */
export function peekedZ(alpha: 0.05 | 0.01): Competitor {
  const critical = alpha === 0.05 ? 1.645 : 2.326
  return {
    name: `z ${alpha} peeked`,
    look(total) {
      const { badTreatment, treatment, badControl, control } = total
      if (treatment < 30 || control < 30 || badTreatment + badControl < 5) return false
      const p = (badTreatment + badControl) / (treatment + control)
      const deviation = Math.sqrt(p * (1 - p) * (1 / treatment + 1 / control))
      return (badTreatment / treatment - badControl / control) / deviation > critical
    },
  }
}

/**
 * The asymptotic confidence sequence (Waudby-Smith et al., as GrowthBook's and LaunchDarkly's
 * sequential tests use it), one-sided at 1 %, tuned for 5,000 operations.
 */
export function asymptoticSequence(alpha = 0.01): Competitor {
  const tuned = 5000
  const rho2 = (-2 * Math.log(2 * alpha) + Math.log(-2 * Math.log(2 * alpha) + 1)) / tuned
  return {
    name: 'asymptotic CS',
    look(total) {
      const n = total.treatment + total.control
      if (total.treatment < 30 || total.badTreatment + total.badControl < 5) return false
      const { d, variance } = difference(total)
      const s2 = variance * n
      const nr = n * rho2
      const radius = Math.sqrt(
        ((s2 * 2 * (nr + 1)) / (n * nr)) * Math.log(Math.sqrt(nr + 1) / (2 * alpha) + 1),
      )
      return d > radius
    },
  }
}

/** The mixture SPRT with a normal prior (Johari et al.), two-sided likelihood, one-sided use, at 1 %. */
export function mixtureSprt(alpha = 0.01): Competitor {
  return {
    name: 'mSPRT',
    look(total) {
      if (total.treatment < 30 || total.badTreatment + total.badControl < 5) return false
      const { d, variance } = difference(total)
      if (d <= 0 || variance === 0) return false
      const p = (total.badTreatment + total.badControl) / (total.treatment + total.control)
      const tau2 = p * p
      const log =
        0.5 * Math.log(variance / (variance + tau2)) +
        (d * d * tau2) / (2 * variance * (variance + tau2))
      return log >= Math.log(1 / alpha)
    },
  }
}

/**
 * Flagger: each minute treatment must succeed in 99 % of its operations; five failed checks (which
 * are never reset) roll back.
 */
export function flagger(): Competitor {
  let seconds = 0
  let bad = 0
  let total = 0
  let failed = 0
  return {
    name: 'Flagger',
    look(_, poll) {
      bad += poll.badTreatment
      total += poll.treatment
      if (++seconds % 60 !== 0) return false
      if (total > 0 && bad / total > 0.01) failed++
      bad = 0
      total = 0
      return failed >= 5
    },
  }
}
