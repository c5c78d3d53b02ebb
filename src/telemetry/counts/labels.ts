import type { Side } from '../../side.ts'
import type { Comparison, Operation, Outcome, SideEvent } from '../recorder.ts'

/** The fixed label sets, in the order of the counters' indices. */
export const SIDES: readonly Side[] = ['off', 'on']

export const OPERATIONS: readonly Operation[] = ['get', 'set', 'getOrSet', 'has', 'delete', 'clear']

/** Good outcomes first: an index of {@link FIRST_BAD} or more is harm. */
export const OUTCOMES: readonly Outcome[] = [
  'hit',
  'miss',
  'stored',
  'deleted',
  'stale',
  'failed',
  'timed_out',
  'fell_back',
]

export const FIRST_BAD = 5

export const EVENTS: readonly SideEvent[] = [
  'backfill',
  'fill',
  'fill_refused',
  'confirmed',
  'superseded',
  'repeat_miss',
  'owed',
  'repaid',
  'reach_later',
  'reach_machine',
  'reach_process',
  'waited',
  'fenced',
  'mirrored',
  'mirror_refused',
  'breaker_opened',
  'breaker_closed',
  'shed',
]

export const COMPARISONS: readonly Comparison[] = [
  'same',
  'mismatch',
  'cold',
  'ttl_drift',
  'race',
  'failed',
  'shed',
]

export type OperationClass = 'read' | 'write'

export const CLASSES: readonly OperationClass[] = ['read', 'write']
