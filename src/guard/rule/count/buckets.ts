import type { Stratum } from './increment.ts'

/** Bad and all operations of one side, by user bucket. One element: not known by bucket. */
export interface BucketCounts {
  readonly bad: Float64Array
  readonly total: Float64Array
}

/** One metric in one stratum. */
export interface ArmPair {
  readonly control: BucketCounts
  readonly treatment: BucketCounts
}

export function emptyCounts(buckets: number): BucketCounts {
  return { bad: new Float64Array(buckets), total: new Float64Array(buckets) }
}

export function emptyPair(buckets: number): ArmPair {
  return { control: emptyCounts(buckets), treatment: emptyCounts(buckets) }
}

export function sum(values: Float64Array): number {
  let total = 0
  for (let i = 0; i < values.length; i++) total += values[i]!
  return total
}

function addInto(target: Float64Array, source: Float64Array): void {
  for (let i = 0; i < target.length; i++) target[i]! += source[i] ?? 0
}

export function addPair(target: ArmPair, source: ArmPair): void {
  addInto(target.control.bad, source.control.bad)
  addInto(target.control.total, source.control.total)
  addInto(target.treatment.bad, source.treatment.bad)
  addInto(target.treatment.total, source.treatment.total)
}

function copyCounts({ bad, total }: BucketCounts): BucketCounts {
  return { bad: bad.slice(), total: total.slice() }
}

export function copyPair({ control, treatment }: ArmPair): ArmPair {
  return { control: copyCounts(control), treatment: copyCounts(treatment) }
}

function subtractCounts(now: BucketCounts, before: BucketCounts): BucketCounts {
  return {
    bad: now.bad.map((value, i) => value - before.bad[i]!),
    total: now.total.map((value, i) => value - before.total[i]!),
  }
}

/** What happened since `before`. */
export function subtractPair(now: ArmPair, before: ArmPair): ArmPair {
  return {
    control: subtractCounts(now.control, before.control),
    treatment: subtractCounts(now.treatment, before.treatment),
  }
}

/**
 * Over how many buckets the operations are spread: `(sum n)^2 / sum n^2` (Kish's effective sample
 * size). 0 without operations.
 */
export function effectiveBuckets({ total }: BucketCounts): number {
  let squares = 0
  for (const n of total) squares += n * n
  return squares === 0 ? 0 : sum(total) ** 2 / squares
}

/**
 * By how much errors cluster by user, at least 1 (independent): the jackknife variance of the error
 * count over user buckets, divided by the Poisson variance. Formula and reason:
 * docs/adr/0005-e-process.md.
 */
export function armOverdispersion({ bad, total }: BucketCounts): number {
  const x = sum(bad)
  const n = sum(total)
  if (x === 0 || n === 0) return 1
  let active = 0
  let squares = 0
  for (let b = 0; b < total.length; b++) {
    const nb = total[b]!
    if (nb === 0) continue
    active++
    if (nb < n) squares += ((bad[b]! - (nb * x) / n) / (1 - nb / n)) ** 2
  }
  return active < 2 ? 1 : Math.max(1, (((active - 1) / active) * squares) / x)
}

/**
 * The design effect by which evidence is divided: the larger of both sides', raised a little while
 * errors are few and the estimate is uncertain.
 */
export function designEffect({ control, treatment }: ArmPair): number {
  const d = Math.max(armOverdispersion(control), armOverdispersion(treatment))
  return d * (1 + d / (sum(control.bad) + sum(treatment.bad) + 1))
}

/** An {@link ArmPair} as JSON can hold it. */
export type PackedPair = readonly [
  controlBad: number[],
  controlTotal: number[],
  treatmentBad: number[],
  treatmentTotal: number[],
]

export function packPair({ control, treatment }: ArmPair): PackedPair {
  return [
    Array.from(control.bad),
    Array.from(control.total),
    Array.from(treatment.bad),
    Array.from(treatment.total),
  ]
}

export function unpackPair([a, b, c, d]: PackedPair): ArmPair {
  return {
    control: { bad: Float64Array.from(a), total: Float64Array.from(b) },
    treatment: { bad: Float64Array.from(c), total: Float64Array.from(d) },
  }
}

/** Sums of one stratum over its buckets. */
export function stratumOf({ control, treatment }: ArmPair): Stratum {
  return {
    badTreatment: sum(treatment.bad),
    treatment: sum(treatment.total),
    badControl: sum(control.bad),
    control: sum(control.total),
  }
}
