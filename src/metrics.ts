/**
 * The units of the metrics. They are all that the data plane passes to the control plane, and
 * neither imports the other.
 */

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

/** Number of user buckets per side. */
export const USER_BUCKETS = 32
