import type { Baseline } from './baseline.ts'
import { stratumOf } from './buckets.ts'
import type { HarmEvidence, HarmReading } from './harm.ts'
import type { SafetyReading } from './safety.ts'
import type { MetricRule, ResolvedSettings, Step } from './settings.ts'

/**
 * - `regressed`: the new side is worse than tolerated; roll back.
 * - `safe`: the next step is within the harm budget, with proof.
 * - `starved`: no answer within an hour; hold and report what is missing.
 * - `undecided`: otherwise.
 */
export type Answer = 'regressed' | 'safe' | 'undecided' | 'starved'

/** What a starved metric lacks: operations, spread over users, or distance from the margin. */
export type Lack = 'operations' | 'users' | 'margin'

export interface Share {
  readonly bad: number
  readonly total: number
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
  }
  readonly safety: { readonly logEvidence: number; readonly logThreshold: number } | undefined
  /** The old side's rate as the bets see it. */
  readonly baselineRate: number
  readonly designEffect: number
  readonly effectiveBuckets: number
  /** Since the step began and settled (the guard, where there is no wider step). */
  readonly treatment: Share
  readonly control: Share
  /** Why evidence of harm does not count yet; '' when it does. */
  readonly heldBack: string
  readonly lacks: Lack | undefined
}

export interface Verdict {
  readonly answer: Answer
  /** One sentence for people. */
  readonly reason: string
  /** Metrics that decided, or that prevent a decision. */
  readonly because: readonly string[]
  readonly metrics: readonly MetricVerdict[]
}

const MIN_BUCKETS = 8
const MIN_BAD_BUCKETS = 3

/**
 * Why evidence of harm, however strong, does not count yet: one user alone must not cause a
 * rollback. '' when it does.
 */
export function whyNotYet(reading: HarmReading, outageCounts: boolean): string {
  if (reading.badBuckets < MIN_BAD_BUCKETS) {
    return `fewer than ${MIN_BAD_BUCKETS} user buckets are affected`
  }
  if (reading.effectiveBuckets >= MIN_BUCKETS || (outageCounts && reading.outage)) return ''
  return 'too few users cause most of the traffic'
}

export function metricVerdict(
  rule: MetricRule,
  settings: ResolvedSettings,
  metrics: number,
  baseline: Baseline,
  harm: HarmEvidence,
  safety: SafetyReading | undefined,
): MetricVerdict {
  const logThreshold = Math.log(metrics / settings.alpha)
  const reading = harm.read()
  const byBucket = rule.buckets > 1
  const heldBack = byBucket ? whyNotYet(reading, rule.outage) : ''
  const needed = Math.log(settings.advanceEvidence)
  const totals = stratumOf(harm.totals)
  const enough =
    safety !== undefined &&
    safety.treatment >= settings.minOperations &&
    safety.effectiveBuckets >= MIN_BUCKETS
  return {
    id: rule.id,
    regressed: reading.logEvidence >= logThreshold && heldBack === '',
    safe: enough && safety.logEvidence >= needed,
    harm: {
      logEvidence: reading.logEvidence,
      logThreshold,
      since: reading.since,
      treatment: { bad: reading.counts.badTreatment, total: reading.counts.treatment },
      control: { bad: reading.counts.badControl, total: reading.counts.control },
    },
    safety: safety && { logEvidence: safety.logEvidence, logThreshold: needed },
    baselineRate: baseline.rate,
    designEffect: safety?.designEffect ?? reading.designEffect,
    effectiveBuckets: safety?.effectiveBuckets ?? reading.effectiveBuckets,
    treatment: {
      bad: safety?.badTreatment ?? totals.badTreatment,
      total: safety?.treatment ?? totals.treatment,
    },
    control: {
      bad: safety?.badControl ?? totals.badControl,
      total: safety?.control ?? totals.control,
    },
    heldBack,
    lacks: safety && lackOf(rule, settings, safety),
  }
}

/** The first thing that keeps a metric from an answer. */
function lackOf(
  rule: MetricRule,
  settings: ResolvedSettings,
  safety: SafetyReading,
): Lack | undefined {
  if (safety.treatment < settings.minOperations) return 'operations'
  if (safety.effectiveBuckets < MIN_BUCKETS) return 'users'
  if (safety.logEvidence >= Math.log(settings.advanceEvidence)) return undefined
  if (safety.designEffect > 3) return 'users'
  const rate = safety.badTreatment / safety.treatment
  const control = safety.control === 0 ? 0 : safety.badControl / safety.control
  return rate > control * rule.tolerate.ratio && rate > 0 ? 'margin' : 'operations'
}

const LACK: Readonly<Record<Lack, string>> = {
  operations: 'not enough operations on the new side',
  users: 'too few users, or errors that cluster by user',
  margin: 'the new side is a little worse, close to the margin',
}

export function answerOf(
  metrics: readonly MetricVerdict[],
  settings: ResolvedSettings,
  context: {
    readonly held: number
    readonly unready: readonly string[]
    readonly step: Step | undefined
  },
): Verdict {
  const make = (answer: Answer, reason: string, because: readonly MetricVerdict[]): Verdict => ({
    answer,
    reason,
    because: because.map(({ id }) => id),
    metrics,
  })
  const regressed = metrics.filter((metric) => metric.regressed)
  if (regressed.length > 0) {
    return make(
      'regressed',
      `worse than tolerated: ${describe(regressed.map(({ id, harm }) => ({ id, ...harm })))}`,
      regressed,
    )
  }
  if (context.unready.length > 0) {
    const missing = metrics.filter(({ id }) => context.unready.includes(id))
    const names = context.unready.join(', ')
    return make(
      'undecided',
      `the baseline of the old side is still being measured: ${names}`,
      missing,
    )
  }
  if (context.step?.next === undefined)
    return make('undecided', 'there is no larger step to decide on', [])
  const blocking = metrics.filter((metric) => !metric.safe)
  if (blocking.length === 0) {
    if (context.held >= settings.minHoldS) {
      return make('safe', 'every metric is within its harm budget for the next step', metrics)
    }
    return make('undecided', 'the step has not been held for its minimum time', [])
  }
  const starved = context.held >= settings.starvedAfterS
  const lack = blocking.find(({ lacks }) => lacks !== undefined)?.lacks ?? 'operations'
  return make(
    starved ? 'starved' : 'undecided',
    starved
      ? `no answer after ${Math.round(context.held / 60)} min: ${LACK[lack]}`
      : `evidence is still being gathered: ${describe(blocking)}`,
    blocking,
  )
}

function describe(
  metrics: readonly { readonly id: string; readonly treatment: Share; readonly control: Share }[],
): string {
  return metrics
    .map(
      ({ id, treatment, control }) =>
        `${id} ${percent(treatment)} on the new side, ${percent(control)} on the old side`,
    )
    .join('; ')
}

function percent({ bad, total }: Share): string {
  return total === 0 ? 'no operations' : `${Number(((bad / total) * 100).toPrecision(3))} %`
}
