/**
 * Reads what the processes of the application report on `/metrics`: Prometheus text, in pieces and
 * within bounds, from each process or from a Prometheus server; and from it what each process
 * decides about a flag.
 */
export { type Place, placesOf, type Resolve } from './addresses.ts'
export { ExpositionReader, type ParseLimits, type Series } from './exposition.ts'
export { fetchPieces, fetchText, type FetchOptions } from './fetch-text.ts'
export { metricsUrl } from './metrics-url.ts'
export {
  isProcessMetric,
  type ScrapedSplit,
  type ProcessReading,
  processReadingOf,
} from './process-reading.ts'
export {
  type ProcessAnswer,
  type ProcessesOptions,
  type ProcessSource,
  processSources,
} from './processes.ts'
export {
  prometheusClient,
  type PrometheusClient,
  type PrometheusOptions,
} from './prometheus-query.ts'
