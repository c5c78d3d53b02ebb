/**
 * The guard: compares the two sides of a rollout and decides to roll back, hold or advance; moves
 * the split through the rollout room. Its decision rule is a pure module of its own (`rule/`).
 */
export { flagsActuator } from './actuator.ts'
export type { Actuator, Effect, FlagsActuatorOptions, Split } from './actuator.ts'
export type { Alarm, AlarmCode } from './alarms.ts'
export { fileAudit } from './audit.ts'
export type { AuditAction, AuditEntry, AuditNumbers } from './audit.ts'
export { createGuard, guardFiles, notifierOf } from './create-guard.ts'
export type { CreateGuardOptions, GuardFiles } from './create-guard.ts'
export { Guard, type RunningGuard } from './guard.ts'
export type { GuardOptions } from './options.ts'
export { fileLease, leaseHolder } from './lease.ts'
export type { FileLeaseOptions, Lease } from './lease.ts'
export { GuardMetrics } from './metrics.ts'
export type { CustomMetric, Limit, Plan, Sources } from './plan/plan.ts'
export { isWebhook } from './notify/receivers.ts'
export { NOTIFY_ON, testMessage } from './notify/message.ts'
export type { GuardMessage, NotifyOn } from './notify/message.ts'
export { Notifier } from './notify/notifier.ts'
export { parsePlan } from './plan/parse.ts'
export type {
  Answer,
  Disagreement,
  Incident,
  MetricRule,
  MetricVerdict,
  Sight,
  Verdict,
  Waits,
} from './rule/index.ts'
export { Judge } from './rule/index.ts'
export type { JudgeSettings } from './rule/index.ts'
export { prometheusSource } from './samples/prometheus-api.ts'
export type { PrometheusSourceOptions } from './samples/prometheus-api.ts'
export { quantile } from './samples/quantile.ts'
export type { ArmReading, Reading, Selected } from './samples/reading.ts'
export { replicaSource } from './samples/replicas.ts'
export type { ReplicaSourceOptions } from './samples/replicas.ts'
export { parseSelector } from './samples/selector.ts'
export type { Selector } from './samples/selector.ts'
export type { Failure, MetricsSource, Poll } from './samples/source.ts'
export type { GuardPosition, GuardStatus, ToldIncident } from './status.ts'
export { fileStore, leaveApproval, leaveOrder } from './store.ts'
export type { GuardState, Order, Paused, Phase, StateStore } from './store.ts'
export { HEARD_WITHIN_MS, readStatus } from './status-file.ts'
export type { PublishedStatus } from './status-file.ts'
export { viewOf } from './view.ts'
export type { GuardMode, GuardSummary } from './view.ts'
