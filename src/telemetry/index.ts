/**
 * Telemetry: counts what each side does. The switch calls a {@link Recorder} on the hot path; the
 * counters come out as Prometheus text, as OpenTelemetry instruments and as a snapshot of both arms.
 */
export type { CallComparison, CallOutcome, CallRecorder } from './calls.ts'
export { registerCoherenceGauges, type Stage } from './coherence-gauges.ts'
export { Comparisons } from './comparisons.ts'
export type { Comparison, Losses, Operation, Outcome, Recorder, SideEvent } from './recorder.ts'
export type { DecisionCount } from './decisions.ts'
export { evaluationHook } from './evaluation-hook.ts'
export type { EvaluationHook, EvaluationHookOptions } from './evaluation-hook.ts'
export { PROMETHEUS_CONTENT_TYPE } from './exposition.ts'
export type { Labels } from './families.ts'
export type { LabelledValue } from './gauges.ts'
export { registerHealthGauges, registerSideGauges } from './health-gauges.ts'
export { noTelemetry } from './no-telemetry.ts'
export type { OperationClass } from './labels.ts'
export type {
  ArmSnapshot,
  HistogramSnapshot,
  OperationCount,
  TelemetrySnapshot,
  UserBucket,
} from './snapshot.ts'
export type { Meter, Observations } from './open-telemetry.ts'
export { createTelemetry } from './telemetry.ts'
export type { Telemetry, TelemetryOptions } from './telemetry.ts'
