import { effectiveBuckets, stratumOf } from './count/buckets.ts'
import type { EvidenceReading, WorstReplica } from './evidence/e-process.ts'
import type { MetricEvidence } from './evidence/metric.ts'
import { RATIO } from './settings.ts'
import type { ResolvedSettings, Step } from './settings.ts'
import { scaleOf } from './evidence/scales.ts'
import { controlOf, treatmentOf } from './words.ts'
import type { Share } from './words.ts'

/** What stands between a metric and the next step, and how long it takes at the present rates. */
export interface Waits {
  /** - `evidence`; `operations`, `users`: too few for any evidence to count. */
  readonly for: 'evidence' | 'operations' | 'users'
  /** Undefined: never. */
  readonly seconds: number | undefined
  /** More operations on the new side, as many as that takes; undefined when it never comes. */
  readonly operations: number | undefined
  /** Why it takes so long: few operations, errors in clusters, or a new side that is worse. */
  readonly cause: 'traffic' | 'clusters' | 'margin'
}

/** Every number behind a decision, for the audit line and the picture. */
export interface MetricVerdict {
  readonly id: string
  readonly regressed: boolean
  readonly safe: boolean
  /** Evidence of harm and its threshold, both as powers of e. */
  readonly harm: {
    readonly logEvidence: number
    readonly logThreshold: number
    /** Where harm, if any, seems to begin (seconds), and what both sides did since. */
    readonly since: number
    readonly treatment: Share
    readonly control: Share
    /** Slots of time with errors since then, of the latest twelve, and over how many seconds. */
    readonly slots: number
    readonly spanS: number
    /** At the present rates everybody is taken back after so many seconds; undefined: never. */
    readonly seconds: number | undefined
  }
  readonly safety: { readonly logEvidence: number; readonly logThreshold: number } | undefined
  /** What may be spoilt, as a share, see `MetricRule.harm`. */
  readonly allowed: number
  /** Control's rate as the bets see it. */
  readonly baselineRate: number
  /** By how much errors cluster, over users and in time; evidence is divided by both together. */
  readonly userEffect: number
  readonly timeEffect: number
  readonly designEffect: number
  /** Errors on treatment as if each slot that is full of them were one. */
  readonly effectiveSlots: number
  /** Treatment's operations weigh 4^-scale. */
  readonly scale: number
  readonly effectiveBuckets: number
  /** Since the epoch began, without what settled. */
  readonly treatment: Share
  readonly control: Share
  /** Of the last minute. */
  readonly recent: { readonly treatment: Share; readonly control: Share; readonly seconds: number }
  /** Why evidence of harm does not count yet; '' when it does. */
  readonly heldBack: string
  /** Undefined when it is safe, or where there is no wider step. */
  readonly waits: Waits | undefined
  /** The replica with most of the errors, where there is evidence of harm. */
  readonly worst: WorstReplica | undefined
}

const MIN_BUCKETS = 8
const MIN_BAD_BUCKETS = 3
const MIN_SAFE_BUCKETS = 3

/**
 * Why evidence of harm, however strong, does not count yet: one user alone must not cause a
 * rollback. '' when it does.
 */
export function whyNotYet(metric: MetricEvidence, reading: EvidenceReading): string {
  if (metric.rule.buckets === 1) return ''
  const { treatment, control } = metric.tallies.harm.since(reading.watch?.mark)
  let badBuckets = 0
  for (const bad of treatment.bad) if (bad > 0) badBuckets++
  if (badBuckets < MIN_BAD_BUCKETS) {
    return `fewer than ${MIN_BAD_BUCKETS} user buckets are affected`
  }
  const buckets = Math.min(effectiveBuckets(treatment), effectiveBuckets(control))
  if (buckets >= MIN_BUCKETS || metric.recent.outage) return ''
  return 'too few users make most of the traffic'
}

export function metricVerdict(
  metric: MetricEvidence,
  settings: ResolvedSettings,
  step: Step | undefined,
  estimates: boolean,
): MetricVerdict {
  const { rule, baseline, tallies, harm } = metric
  const { rate } = baseline
  const logThreshold = Math.log(settings.metrics.length / settings.alpha)
  const reading = harm.read(rate, estimates ? -Infinity : logThreshold)
  const since = reading.watch?.openedAt ?? 0
  const counts = stratumOf(tallies.harm.since(reading.watch?.mark))
  const bad = tallies.harm.badSlotsSince(since)
  const heldBack = whyNotYet(metric, reading)
  const regressed = reading.logEvidence >= logThreshold && heldBack === ''
  const { effect } = reading
  const totals = stratumOf(tallies.safety.pair)
  const safety = safetyOf(metric, settings, step, estimates)
  const { seconds, ...recent } = metric.recent.sum
  const telling = reading.logEvidence >= 1
  return {
    id: rule.id,
    regressed,
    safe: safety?.safe ?? false,
    harm: {
      logEvidence: reading.logEvidence,
      logThreshold,
      since,
      treatment: treatmentOf(counts),
      control: controlOf(counts),
      slots: bad.length,
      spanS: bad.length === 0 ? 0 : bad.at(-1)! - bad[0]! + 1,
      seconds: estimates && telling ? metric.secondsUntil(harm, reading, logThreshold) : undefined,
    },
    safety: safety && { logEvidence: safety.logEvidence, logThreshold: safety.logThreshold },
    allowed: rule.harm,
    baselineRate: rate,
    userEffect: effect.user,
    timeEffect: effect.time,
    designEffect: effect.whole,
    effectiveSlots: counts.badTreatment / effect.time,
    scale: scaleOf(effect.whole),
    effectiveBuckets: safety?.effectiveBuckets ?? bucketsOf(metric),
    treatment: treatmentOf(totals),
    control: controlOf(totals),
    recent: { treatment: treatmentOf(recent), control: controlOf(recent), seconds },
    heldBack,
    waits: safety?.waits,
    worst: telling ? harm.worst(reading) : undefined,
  }
}

interface Safety {
  readonly logEvidence: number
  readonly logThreshold: number
  readonly effectiveBuckets: number
  readonly safe: boolean
  readonly waits: Waits | undefined
}

function bucketsOf({ rule, tallies }: MetricEvidence): number {
  if (rule.buckets === 1) return Infinity
  const { treatment, control } = tallies.safety.pair
  return Math.min(effectiveBuckets(treatment), effectiveBuckets(control))
}

function safetyOf(
  metric: MetricEvidence,
  settings: ResolvedSettings,
  step: Step | undefined,
  estimates: boolean,
): Safety | undefined {
  if (step?.next === undefined) return undefined
  const evidence = metric.safetyFor(step.next)
  const reading = evidence.read(metric.baseline.rate)
  const { logEvidence, effect } = reading
  const logThreshold = Math.log(settings.advanceEvidence)
  const buckets = bucketsOf(metric)
  const missing = Math.max(0, settings.minOperations - metric.inStep)
  const proven = logEvidence >= logThreshold
  const safe = proven && missing === 0 && buckets >= MIN_SAFE_BUCKETS
  const base = { logEvidence, logThreshold, effectiveBuckets: buckets, safe }
  if (safe || !estimates) return { ...base, waits: undefined }

  const { treatment, seconds: over } = metric.recent.sum
  const perSecond = over > 0 ? treatment / over : 0
  const need = proven ? 0 : metric.secondsUntil(evidence, reading, logThreshold)
  const seconds =
    need === undefined || (missing > 0 && perSecond === 0)
      ? undefined
      : Math.max(need, missing === 0 ? 0 : missing / perSecond)
  const few = missing > 0 ? 'operations' : 'users'
  return {
    ...base,
    waits: {
      for: proven ? few : 'evidence',
      // What users will come nobody knows.
      seconds: proven && few === 'users' ? undefined : seconds,
      operations: seconds === undefined ? undefined : seconds * perSecond,
      cause: causeOf(metric, effect.whole),
    },
  }
}

function causeOf(metric: MetricEvidence, effect: number): Waits['cause'] {
  const { badTreatment, treatment, badControl, control } = stratumOf(metric.tallies.safety.pair)
  const usual = control === 0 ? 0 : (RATIO * badControl) / control
  const worse = treatment > 0 && badTreatment >= 3 && badTreatment / treatment > usual
  if (worse) return 'margin'
  return effect > 3 ? 'clusters' : 'traffic'
}
