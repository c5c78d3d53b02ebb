/** Where `switchback start` serves the metrics of the application on this machine. */
export const METRICS = 'http://127.0.0.1:3002/metrics'

/** Of every command that reads metrics; without it, {@link METRICS} or what a plan names. */
export const metricsOption = {
  metrics: {
    type: 'string',
    multiple: true,
    value: 'URL',
    help: 'the /metrics of a replica; again for each (http://127.0.0.1:3002/metrics)',
  },
} as const
