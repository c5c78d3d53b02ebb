/**
 * The guard: compares the two sides of a rollout and decides to roll back, hold or advance; moves
 * the split through the rollout room. Its decision rule is a pure module of its own (`rule/`).
 */
export * from './public.ts'
export {
  type Actuator,
  type WriteEffect,
  flagsActuator,
  type FlagsActuatorOptions,
  type SplitReading,
} from './act/actuator.ts'
export { fileAudit } from './status/audit.ts'
export { createSharedGuard, notifierOf } from './create-guard.ts'
export { Guard } from './guard.ts'
export {
  fileLease,
  type FileLeaseOptions,
  type Lease,
  lapsedLease,
  leaseHolder,
  type SharedNotes,
} from './act/lease.ts'
export { GuardMetrics } from './status/guard-metrics.ts'
export { NOTIFY_ON, testMessage } from './notify/message.ts'
export { Notifier } from './notify/notifier.ts'
export { isWebhook } from './notify/receivers.ts'
export type { GuardOptions } from './options.ts'
export { type Incident, Judge } from './rule/index.ts'
export { prometheusSource, type PrometheusSourceOptions } from './samples/prometheus-api.ts'
export { quantile } from './samples/quantile.ts'
export type { ArmCounters, Reading, Selected } from './samples/reading.ts'
export { replicaSource, type ReplicaSourceOptions } from './samples/replica-source.ts'
export { parseSelector } from './samples/metric-selector.ts'
export type { MetricsSource, Poll } from './samples/metrics-source.ts'
export { HEARD_WITHIN_MS } from './status/status-file.ts'
export {
  fileStore,
  type GuardState,
  leaveApproval,
  leaveOrder,
  type Order,
  type StateStore,
} from './act/state-store.ts'
