/**
 * Telemetry: `createTelemetry`, its snapshot, the hook that makes events of flag evaluations, and the
 * interface of a recorder of your own.
 *
 * @packageDocumentation
 */
export type { CallComparison, CallOutcome, CallRecorder } from './counts/call-counts.ts'
export type { DecisionCount } from './counts/decisions.ts'
export { evaluationHook } from './evaluation-hook.ts'
export type {
  EvaluationHook,
  EvaluationHookOptions,
  EventAttributes,
  EventLogger,
} from './evaluation-hook.ts'
export { PROMETHEUS_CONTENT_TYPE } from './output/prometheus.ts'
export type { Labels } from './output/families.ts'
export type { LabelledValue } from './gauges/gauges.ts'
export type { OperationClass } from './counts/labels.ts'
export { noTelemetry } from './no-telemetry.ts'
export type { Comparison, Losses, Operation, Outcome, Recorder, SideEvent } from './recorder.ts'
export type {
  ArmSnapshot,
  HistogramSnapshot,
  OperationCount,
  TelemetrySnapshot,
  UserBucket,
} from './counts/snapshot.ts'
export type { Meter, Observations } from './output/open-telemetry.ts'
export { createTelemetry } from './telemetry.ts'
export type { Telemetry, TelemetryOptions } from './telemetry.ts'
