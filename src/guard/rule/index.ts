/**
 * The guard's decision rule, pure: no clock, no I/O. From what both sides did between two polls, it
 * says regressed, safe, undecided or starved, with the numbers.
 */
export type { Answer, Verdict } from './answer.ts'
export { metricText } from './answer.ts'
export { Baseline } from './evidence/baseline.ts'
export {
  addPair,
  armOverdispersion,
  designEffect,
  effectiveBuckets,
  emptyPair,
  stratumOf,
  sum,
} from './count/buckets.ts'
export type { ArmPair, BucketCounts } from './count/buckets.ts'
export { expectedRate, evidenceRate, secondsUntil } from './evidence/estimate.ts'
export { EProcess, HARM_BETS } from './evidence/e-process.ts'
export type { EvidenceReading, WorstReplica } from './evidence/e-process.ts'
export type { Incident } from './count/incidents.ts'
export { edgeOf, increment, nearestNull } from './count/increment.ts'
export type { Margin, Stratum } from './count/increment.ts'
export { Judge } from './judge.ts'
export type { JudgeState } from './judge.ts'
export { logFactorial, logMeanExp, logSumExp } from './evidence/logarithms.ts'
export { MetricEvidence } from './evidence/metric.ts'
export { basisOf, RATIO, slotOf } from './settings.ts'
export type { JudgeSettings, MetricRule, Step } from './settings.ts'
export { shareMended, shareMismatch } from './evidence/share-mismatch.ts'
export { timeEffect } from './count/slots.ts'
export { Tally } from './count/tally.ts'
export type { MetricVerdict, Waits } from './verdict.ts'
export { whyNotYet } from './verdict.ts'
export { lasting, sharePercent } from './words.ts'
export { look, unseen } from './blindness.ts'
export type { BlindnessSettings, BlindnessState, Sight, SightReport } from './blindness.ts'
export { disagreements, likelihoodOfWell } from './count/disagreements.ts'
export type { Disagreement } from './count/disagreements.ts'
