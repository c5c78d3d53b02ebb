/**
 * The guard's decision rule, pure: no clock, no I/O. From what both sides did between two polls, it
 * says regressed, safe, undecided or starved, with the numbers.
 */
export type { Answer, Verdict } from './answer.ts'
export { metricText } from './answer.ts'
export { Baseline } from './baseline.ts'
export {
  addPair,
  armOverdispersion,
  designEffect,
  effectiveBuckets,
  emptyPair,
  stratumOf,
  sum,
} from './buckets.ts'
export type { ArmPair, BucketCounts } from './buckets.ts'
export { expectedRate, growthOf, secondsUntil } from './estimate.ts'
export { Evidence, HARM_BETS } from './evidence.ts'
export type { EvidenceReading, WorstReplica } from './evidence.ts'
export type { Incident } from './incidents.ts'
export { edgeOf, increment, nearestNull } from './increment.ts'
export type { Margin, Stratum } from './increment.ts'
export { Judge } from './judge.ts'
export type { JudgeState } from './judge.ts'
export { logFactorial, logMeanExp, logSumExp } from './logarithms.ts'
export { MetricEvidence } from './metric.ts'
export { basisOf, RATIO, slotOf } from './settings.ts'
export type { JudgeSettings, MetricRule, Step } from './settings.ts'
export { shareMended, shareMismatch } from './share.ts'
export { timeEffect } from './slots.ts'
export { Tally } from './tally.ts'
export type { MetricVerdict, Waits } from './verdict.ts'
export { whyNotYet } from './verdict.ts'
export { lasting, percent } from './words.ts'
export { look, unseen } from './blindness.ts'
export type { BlindnessSettings, BlindnessState, Sight, SightReport } from './blindness.ts'
export { disagreements } from './replicas.ts'
export type { Disagreement } from './replicas.ts'
