/**
 * Telemetry: counts what each side does. The switch calls a {@link Recorder} on the hot path; the
 * counters come out as Prometheus text, as OpenTelemetry instruments and as a snapshot of both arms.
 */
export * from './public.ts'
export { registerCoherenceGauges, type Stage } from './gauges/coherence-gauges.ts'
export { Comparisons } from './counts/comparison-counts.ts'
export { FLAGS_UP, registerHealthGauges, registerSideGauges } from './gauges/health-gauges.ts'
