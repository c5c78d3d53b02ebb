import type { Stratum } from './increment.ts'

/** A replica that behaves differently from the others; for people, no decision depends on it. */
export interface Disagreement {
  readonly replica: string
  readonly what: string
  /** The side that fails more, or the share of operations on the new side. */
  readonly of: 'on' | 'off' | 'share'
  /** Of this replica, and of the others. */
  readonly rate: number
  readonly others: number
}

/** Errors cluster: the variance is assumed to be this many times that of independent ones. */
const EFFECT = 5
const MIN_DEVIATIONS = 5

function deviations(x: number, n: number, othersX: number, othersN: number): number {
  if (n === 0 || othersN === 0) return 0
  const pooled = (x + othersX) / (n + othersN)
  const variance = EFFECT * pooled * (1 - pooled) * (1 / n + 1 / othersN)
  return variance === 0 ? 0 : (x / n - othersX / othersN) / Math.sqrt(variance)
}

/**
 * How much more likely the latest operations are of a replica that is as the others again, as a logarithm; it may be
 * negative. Errors cluster, so they say less than independent ones.
 */
export function likelihoodOfWell(
  { rate, others }: Pick<Disagreement, 'rate' | 'others'>,
  bad: number,
  total: number,
): number {
  const [odd, well] = [rate, others].map((p) => Math.min(0.999, Math.max(0.001, p)))
  const good = (total - bad) * Math.log((1 - well!) / (1 - odd!))
  return (bad * Math.log(well! / odd!) + good) / EFFECT
}

function percent(x: number, n: number): string {
  return `${((x / n) * 100).toPrecision(2)} %`
}

/**
 * Names replicas that fail more than the rest on a side, or send another share of users to `on`.
 */
export function disagreements(counts: ReadonlyMap<string, Stratum>): Disagreement[] {
  const found: Disagreement[] = []
  if (counts.size < 2) return found
  const all = { badTreatment: 0, treatment: 0, badControl: 0, control: 0 }
  for (const one of counts.values()) {
    all.badTreatment += one.badTreatment
    all.treatment += one.treatment
    all.badControl += one.badControl
    all.control += one.control
  }
  for (const [replica, one] of counts) {
    const rest = {
      badTreatment: all.badTreatment - one.badTreatment,
      treatment: all.treatment - one.treatment,
      badControl: all.badControl - one.badControl,
      control: all.control - one.control,
    }
    const sides = [
      ['on', one.badTreatment, one.treatment, rest.badTreatment, rest.treatment],
      ['off', one.badControl, one.control, rest.badControl, rest.control],
    ] as const
    for (const [side, x, n, othersX, othersN] of sides) {
      if (deviations(x, n, othersX, othersN) < MIN_DEVIATIONS) continue
      const what = `fails ${percent(x, n)} on the ${side === 'on' ? 'new' : 'old'} side, the others ${percent(othersX, othersN)}`
      found.push({ replica, what, of: side, rate: x / n, others: othersX / othersN })
    }
    const n = one.treatment + one.control
    const others = rest.treatment + rest.control
    if (Math.abs(deviations(one.treatment, n, rest.treatment, others)) >= 2 * MIN_DEVIATIONS) {
      const what = `sends ${percent(one.treatment, n)} of its operations to the new side, the others ${percent(rest.treatment, others)}`
      const [rate, theirs] = [one.treatment / n, rest.treatment / others]
      found.push({ replica, what, of: 'share', rate, others: theirs })
    }
  }
  return found
}
