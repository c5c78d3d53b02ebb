/**
 * The guard's decision rule, pure: no clock, no I/O. From what both sides did between two polls, it
 * says regressed, safe, undecided or starved, with the numbers.
 */
export { Baseline } from './baseline.ts'
export {
  addPair,
  armOverdispersion,
  designEffect,
  effectiveBuckets,
  emptyPair,
  sum,
} from './buckets.ts'
export type { ArmPair, BucketCounts } from './buckets.ts'
export { HARM_BETS, HarmEvidence } from './harm.ts'
export type { HarmReading } from './harm.ts'
export { edgeOf, increment, nearestNull } from './increment.ts'
export type { Margin, Stratum } from './increment.ts'
export { Judge } from './judge.ts'
export type { JudgeState } from './judge.ts'
export { logFactorial, logMeanExp, logSumExp } from './logarithms.ts'
export { SafetyEvidence } from './safety.ts'
export type { SafetyReading } from './safety.ts'
export type { JudgeSettings, MetricRule, Step } from './settings.ts'
export { shareMended, shareMismatch } from './share.ts'
export type { Answer, Lack, MetricVerdict, Verdict } from './verdict.ts'
export { whyNotYet } from './verdict.ts'
export { look, unseen } from './blindness.ts'
export type { BlindnessSettings, BlindnessState, Sight, SightReport } from './blindness.ts'
export { disagreements } from './replicas.ts'
export type { Disagreement } from './replicas.ts'
