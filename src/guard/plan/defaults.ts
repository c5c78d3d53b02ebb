import { USER_BUCKETS } from '../../metrics.ts'
import type { MetricRule } from '../rule/index.ts'

/** The built-in metrics with their margins. */
export const BUILT_IN: readonly MetricRule[] = [
  {
    id: 'errors',
    tolerate: { ratio: 1.05, add: 0 },
    allow: { ratio: 1.25, budget: 0.001 },
    buckets: USER_BUCKETS,
    outage: true,
  },
  {
    id: 'slow',
    // A local file cache answers at once even while the event loop stalls, but all that is in
    // flight to a remote one is slow then. A few stalls must not look like a regression.
    harmPerSecond: 2,
    tolerate: { ratio: 1.05, add: 0.002 },
    allow: { ratio: 1.25, budget: 0.005 },
    buckets: USER_BUCKETS,
    outage: false,
  },
  {
    id: 'repeat-misses',
    tolerate: { ratio: 1.05, add: 0.02 },
    allow: { ratio: 1.25, budget: 0.01 },
    buckets: USER_BUCKETS,
    outage: false,
  },
]

/** What a custom metric is held to. */
export const CUSTOM: Omit<MetricRule, 'id'> & { readonly designEffect: number } = {
  tolerate: { ratio: 1.05, add: 0 },
  allow: { ratio: 1.25, budget: 0.001 },
  buckets: 1,
  designEffect: 5,
  outage: false,
}

/** The limit of a plan that has none. */
export const DEFAULT_LIMIT = {
  selector: 'switchback_event_loop_delay_seconds{quantile="0.99"}',
  above: 0.5,
  forS: 30,
} as const
