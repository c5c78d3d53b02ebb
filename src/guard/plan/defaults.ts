import { USER_BUCKETS } from '../../metrics.ts'
import type { MetricRule } from '../rule/index.ts'

/** The built-in metrics: the share that may be spoilt, and how long an incident may last. */
export const BUILT_IN: readonly MetricRule[] = [
  // The caller got nothing: three nines is the usual promise.
  { id: 'failed', harm: 0.001, patienceS: 3, buckets: USER_BUCKETS },
  // The caller was served, late or by the other side: ten times what a healthy cache in the network has.
  { id: 'degraded', harm: 0.005, patienceS: 7.5, buckets: USER_BUCKETS },
  { id: 'repeat-misses', harm: 0.02, patienceS: 7.5, buckets: USER_BUCKETS },
]

/** The built-in metrics of a switch for any implementation. */
export const OF_A_SWITCH: readonly MetricRule[] = [
  ...BUILT_IN.filter(({ id }) => id !== 'repeat-misses'),
  // Beyond what a side differs from itself. Only where the plan names it: comparisons are few.
  { id: 'mismatched', harm: 0.01, patienceS: 7.5, buckets: 1, designEffect: 2 },
]

/** What a custom metric is held to. */
export const CUSTOM: Omit<MetricRule, 'id'> & { readonly designEffect: number } = {
  harm: 0.001,
  patienceS: 7.5,
  buckets: 1,
  designEffect: 5,
}

/** Later than this, in seconds, is `degraded`. */
export const LATE_S = 0.025

/** The same for a switch: the deadline that it has by default. */
export const LATE_OF_A_SWITCH_S = 1

/** The one limit of a plan that names none. */
export const DEFAULT_LIMIT = {
  selector: 'switchback_event_loop_delay_seconds{quantile="0.99"}',
  above: 0.5,
  forS: 30,
} as const
