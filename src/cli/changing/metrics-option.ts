/** Where `switchback start` serves the metrics of the application on this machine. */
export const METRICS = 'http://127.0.0.1:3002/metrics'

/**
 * Option of every command that reads metrics; without it, `SWITCHBACK_METRICS`, the plan's sources,
 * or {@link METRICS}.
 */
export const metricsOption = {
  metrics: {
    type: 'string',
    multiple: true,
    value: 'URL',
    help: 'metrics URL of an app process (repeatable; or SWITCHBACK_METRICS; http://127.0.0.1:3002/metrics)',
  },
} as const
