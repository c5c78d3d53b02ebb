import { LATENCY_BOUNDS } from '../../metrics.ts'
import type { Side } from '../../side.ts'

/** What the control page reads of one side, in the order of {@link ArmVector}. */
export const FIELDS = [
  'operations',
  'failed',
  'timedOut',
  'fellBack',
  'hits',
  'misses',
  'originLoads',
  'originFailures',
  'repeatMisses',
  'backfills',
  'breakerOpened',
  'breakerClosed',
  // Callers who got nothing from either side.
  'lost',
] as const

export type Field = (typeof FIELDS)[number]

/**
 * Counters of one side: {@link FIELDS}, then the cumulative latency buckets. As a sum since a
 * process began, as what happened between two scrapes, or as a rate a second.
 */
export type ArmVector = Float64Array

export type Arms = Readonly<Record<Side, ArmVector>>

export const VECTOR_LENGTH: number = FIELDS.length + LATENCY_BOUNDS.length

const INDEX: ReadonlyMap<Field, number> = new Map(FIELDS.map((field, index) => [field, index]))

export function indexOf(field: Field): number {
  return INDEX.get(field) ?? 0
}

export function emptyArms(): Arms {
  return { off: new Float64Array(VECTOR_LENGTH), on: new Float64Array(VECTOR_LENGTH) }
}

/** `into += from * factor` */
export function addTo(into: ArmVector, from: ArmVector, factor = 1): void {
  for (let i = 0; i < into.length; i++) into[i]! += from[i]! * factor
}

/** Cumulative bucket counts, one for each of {@link LATENCY_BOUNDS}. */
export function bucketsOf(vector: ArmVector): Float64Array {
  return vector.subarray(FIELDS.length)
}
