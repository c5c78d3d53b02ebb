import type { Side } from '../side.ts'
import type { Comparison, Operation, Outcome, SideEvent } from './recorder.ts'

/** The fixed label sets, in the order of the counters' indices. */
export const SIDES: readonly Side[] = ['off', 'on']

export const OPERATIONS: readonly Operation[] = ['get', 'set', 'getOrSet', 'has', 'delete', 'clear']

/** Good outcomes first: an index of {@link FIRST_BAD} or more is harm. */
export const OUTCOMES: readonly Outcome[] = [
  'hit',
  'miss',
  'stored',
  'deleted',
  'failed',
  'timed_out',
  'fell_back',
]

export const FIRST_BAD = 4

export const EVENTS: readonly SideEvent[] = [
  'backfill',
  'fill',
  'fill_refused',
  'repeat_miss',
  'owed',
  'repaid',
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

/** Upper bounds of the latency histogram in seconds, the last being infinite. */
export const LATENCY_BOUNDS: readonly number[] = [
  0.000_05,
  0.000_1,
  0.000_25,
  0.000_5,
  0.001,
  0.002_5,
  0.005,
  0.01,
  0.025,
  0.05,
  0.1,
  0.25,
  0.5,
  1,
  2.5,
  5,
  Infinity,
]

/** Number of user buckets an arm. */
export const USER_BUCKETS = 32
