import type { Stratum } from '../../src/guard/rule/index.ts'
import type { Traffic, UserCounts } from './traffic.ts'

/** A test that is looked at after every poll: true once it would roll back. */
export interface Competitor {
  readonly name: string
  /** Seconds between two looks. @default 1 */
  readonly everyS?: number
  /** @param total cumulative counts */
  look(total: Stratum, traffic: Traffic): boolean
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

/** Three metrics share 1 %. */
const ALPHA = 0.01 / 3

/** The radius of the asymptotic confidence sequence of Waudby-Smith et al. (eq. 9), tuned for 5,000, one-sided. */
function radiusOf(n: number, s2: number, alpha: number): number {
  const rho2 = (-2 * Math.log(2 * alpha) + Math.log(-2 * Math.log(2 * alpha) + 1)) / 5000
  const nr = n * rho2
  return Math.sqrt(((s2 * 2 * (nr + 1)) / (n * nr)) * Math.log(Math.sqrt(nr + 1) / (2 * alpha) + 1))
}

/** The ratio of sums over users and its variance by the delta method. */
function ratioOf({ bad, total }: UserCounts): { users: number; ratio: number; variance: number } {
  let [users, x, n] = [0, 0, 0]
  for (let u = 0; u < total.length; u++) {
    if (!(total[u]! > 0)) continue
    users++
    x += bad[u]!
    n += total[u]!
  }
  if (users < 2) return { users, ratio: 0, variance: 0 }
  const ratio = x / n
  let squares = 0
  for (let u = 0; u < total.length; u++) squares += (bad[u]! - ratio * total[u]!) ** 2
  return { users, ratio, variance: ((squares / (users - 1)) * users) / n ** 2 }
}

/**
 * The asymptotic confidence sequence per user, as GrowthBook's engine analyses: users are what is
 * randomized, so their ratios are compared. Looked at once a minute.
 */
export function userSequence(alpha: number = ALPHA): Competitor {
  return {
    name: 'per-user aCS',
    everyS: 60,
    look({ badTreatment, badControl }, traffic) {
      if (badTreatment + badControl < 5) return false
      const t = ratioOf(traffic.byUser.treatment)
      const c = ratioOf(traffic.byUser.control)
      const n = t.users + c.users
      if (t.users < 10 || c.users < 10) return false
      return t.ratio - c.ratio > radiusOf(n, (t.variance + c.variance) * n, alpha)
    },
  }
}

/**
 * The asymptotic confidence sequence per operation, which takes errors for independent; looked at every
 * second.
 */
export function asymptoticSequence(alpha: number = ALPHA): Competitor {
  return {
    name: 'op aCS',
    look(total) {
      const n = total.treatment + total.control
      if (total.treatment < 30 || total.badTreatment + total.badControl < 5) return false
      const { d, variance } = difference(total)
      return d > radiusOf(n, variance * n, alpha)
    },
  }
}

/** The mixture SPRT with a normal prior (Johari et al.), two-sided likelihood, one-sided use. */
export function mixtureSprt(alpha: number = ALPHA): Competitor {
  return {
    name: 'op mSPRT',
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
