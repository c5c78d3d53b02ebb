/**
 * The guard: compares the two sides of a rollout, and rolls back, holds or widens by a plan.
 *
 * @packageDocumentation
 */
export type { Alarm, AlarmCode, EndedAlarm } from './status/alarms.ts'
export type { AuditAction, AuditEntry, AuditNumbers } from './status/audit.ts'
export { createGuard, guardFiles } from './create-guard.ts'
export type { CreateGuardOptions, GuardFiles } from './create-guard.ts'
export type { CustomMetric, Limit, NotifyPlan, Plan, ReceiverPlan, Sources } from './plan/plan.ts'
export type { GuardMessage, NotifyOn } from './notify/message.ts'
export { parsePlan } from './plan/parse.ts'
export type { Watched } from './samples/reading.ts'
export type { Selector } from './samples/metric-selector.ts'
export type { GuardPosition, GuardStatus, ToldIncident } from './status/status.ts'
export { readStatus } from './status/status-file.ts'
export type { PublishedStatus } from './status/status-file.ts'
export { viewOf } from './status/guard-summary.ts'
export type { GuardMode, GuardSummary } from './status/guard-summary.ts'
export type { RunningGuard } from './guard.ts'
export type {
  Answer,
  BlindnessSettings,
  Disagreement,
  JudgeSettings,
  MetricRule,
  MetricVerdict,
  Sight,
  Verdict,
} from './rule/index.ts'
export type { Failure } from './samples/metrics-source.ts'
export type { Paused, Phase } from './act/state-store.ts'
export type { WorstReplica } from './rule/evidence/e-process.ts'
export type { Waits } from './rule/verdict.ts'
export type { Share } from './rule/words.ts'
export type { Series } from '../scrape/index.ts'
