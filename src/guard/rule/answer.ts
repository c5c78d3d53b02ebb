import type { ResolvedSettings, Step } from './settings.ts'
import type { MetricVerdict, Waits } from './verdict.ts'
import { about, between, lasting, sharePercent, badPercentOf } from './words.ts'

/**
 * - `regressed`: treatment is worse than tolerated; go back.
 * - `safe`: the next step is provably within the harm that is allowed.
 * - `starved`: it cannot be proven at the present rates, or not within a day; hold and say what is missing.
 * - `undecided`: otherwise.
 */
export type Answer = 'regressed' | 'safe' | 'undecided' | 'starved'

export interface Verdict {
  readonly answer: Answer
  /** One sentence for people. */
  readonly reason: string
  /** Metrics that decided, or that stand in the way. */
  readonly because: readonly string[]
  readonly metrics: readonly MetricVerdict[]
}

const DAY_S = 86_400
/** Rates are known after so many seconds of a step. */
const PACE_S = 60

const CAUSES: Readonly<Record<Waits['cause'], string>> = {
  traffic: 'not enough operations on the new side',
  clusters: 'errors come in clusters, by user or in time',
  margin: 'the new side is worse, by about as much as is allowed or by more',
}

export function answerOf(
  metrics: readonly MetricVerdict[],
  settings: ResolvedSettings,
  context: {
    readonly held: number
    /** Metrics without a baseline, and the operations of the old side that they have. */
    readonly unready: readonly { readonly id: string; readonly seen: number }[]
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
    const what = regressed.map((metric) => harmText(metric)).join('; ')
    return make('regressed', `worse than tolerated: ${what}`, regressed)
  }
  if (context.unready.length > 0) {
    const missing = metrics.filter(({ id }) => context.unready.some((one) => one.id === id))
    const text = baselineText(missing, context.unready, settings.baselineOperations)
    return make('undecided', `the baseline of the old side is being taken: ${text}`, missing)
  }
  if (context.step?.next === undefined) return make('undecided', 'no wider step to decide on', [])
  const blocking = metrics.filter((metric) => !metric.safe)
  const left = settings.minHoldS - context.held
  if (blocking.length === 0) {
    if (left <= 0) return make('safe', 'every metric is within its harm for the next step', metrics)
    return make('undecided', `safe so far; the step lasts ${lasting(left)} more at least`, [])
  }
  const stuck = blocking.filter(({ waits }) => waits !== undefined && !comes(waits))
  if (stuck.length > 0 && context.held >= PACE_S) {
    return make('starved', stuckTexts(stuck), stuck)
  }
  return make('undecided', waitText(blocking, left), blocking)
}

/** `1240 of 3000 operations counted for the metric failed (degraded too), about 35 s at 50/s`. */
function baselineText(
  missing: readonly MetricVerdict[],
  unready: readonly { readonly id: string; readonly seen: number }[],
  need: number,
): string {
  const [first] = [...unready].sort((a, b) => a.seen - b.seen)
  const metric = missing.find(({ id }) => id === first?.id)
  if (first === undefined || metric === undefined) return ''
  const { recent } = metric
  const others = unready.filter((one) => one !== first).map(({ id }) => id)
  const also = others.length === 0 ? '' : ` (${others.join(', ')} too)`
  // Not `failed 1240 of 3000`: that reads as if so many had failed.
  const counted = `${Math.round(first.seen)} of ${need} ${countedOf(metric)} counted`
  const seen = `${counted} for the metric ${first.id}${also}`
  if (recent.control.total > 0) {
    const left = (need - first.seen) / (recent.control.total / recent.seconds)
    return `${seen}, about ${lasting(left)} at ${pace(recent.control, recent.seconds)}`
  }
  if (recent.seconds < PACE_S / 4) return `${seen} so far`
  if (recent.treatment.total === 0) return `${seen}; ${silenceText(metric)}`
  return `${seen}; none on the old side for ${lasting(recent.seconds)}, ${pace(recent.treatment, recent.seconds)} on the new side`
}

/** Where nothing happens, how long it takes is no answer: what is missing is. */
function silenceText(metric: MetricVerdict): string {
  const { recent } = metric
  const none = `no ${countedOf(metric)}`
  const over = `for ${lasting(recent.seconds)}`
  if (recent.control.total > 0) {
    return `${none} on the new side ${over}, ${pace(recent.control, recent.seconds)} on the old side`
  }
  return `${none} on either side ${over}: the app has no traffic (switchback start sends some), or these are not its metrics (--metrics)`
}

function countedOf({ id }: MetricVerdict): string {
  return id === 'mismatched' ? 'comparisons' : 'operations'
}

function pace({ total }: MetricVerdict['treatment'], seconds: number): string {
  return `${Number((seconds > 0 ? total / seconds : 0).toPrecision(2))}/s`
}

function comes({ seconds }: Waits): boolean {
  return seconds !== undefined && seconds <= DAY_S
}

/** `failed 1.3 % on the new side, 0 % on the old side, in 3 slots within 6 s`. */
function harmText({ id, harm, worst }: MetricVerdict): string {
  const [on, off] = [badPercentOf(harm.treatment), badPercentOf(harm.control)]
  const rates = `${id} ${on} on the new side, ${off} on the old side`
  const slots = harm.slots >= 12 ? '' : `, in ${harm.slots} slots within ${lasting(harm.spanS)}`
  return rates + slots + worstText(worst)
}

function worstText(worst: MetricVerdict['worst']): string {
  if (worst === undefined || (!worst.alone && worst.share < 0.8)) return ''
  return `; ${sharePercent(worst.share)} of it on replica ${worst.replica}: look there first`
}

/** The longest wait says how long the step takes; the others are behind it. */
function waitText(blocking: readonly MetricVerdict[], left: number): string {
  const longest = blocking.reduce((a, b) => (waitOf(b) > waitOf(a) ? b : a))
  const others = blocking.filter((metric) => metric !== longest).map(({ id }) => id)
  const also = others.length === 0 ? '' : ` (${others.join(', ')} too)`
  const hold = left > waitOf(longest) ? `; the step lasts ${lasting(left)} more at least` : ''
  return `waits for ${metricText(longest)}${also}${hold}`
}

function waitOf({ waits }: MetricVerdict): number {
  return waits?.seconds ?? Infinity
}

/** `failed 0 of 193: about 110 more operations on the new side, 40 to 85 s at 1.5/s`. */
export function metricText(metric: MetricVerdict): string {
  const { id, treatment, recent, waits, harm } = metric
  const seen = `${id} ${treatment.bad} of ${treatment.total}`
  if (waits === undefined) return seen
  const { seconds, operations } = waits
  // It would be taken back before it could go on: that is what is to be known.
  const back = harm.seconds !== undefined && harm.seconds < (seconds ?? Infinity)
  const threat = back ? `; would be taken back ${inAbout(harm.seconds!)} if this goes on` : ''
  if (seconds === undefined || operations === undefined) {
    if (recent.seconds < PACE_S / 4) return `${seen} so far${threat}`
    if (recent.treatment.total === 0) return `${seen}: ${silenceText(metric)}${threat}`
    if (waits.for === 'users') return `${seen}: too few users so far${threat}`
    return `${seen}: not at the present rates (${CAUSES[waits.cause]})${threat}`
  }
  const time = between(0.6 * seconds, 1.2 * seconds)
  const at = pace(recent.treatment, recent.seconds)
  return `${seen}: ${about(operations)} more operations on the new side, ${time} at ${at}${threat}`
}

function inAbout(seconds: number): string {
  return `in about ${lasting(seconds)}`
}

/** Without operations all metrics lack the same. */
function stuckTexts(stuck: readonly MetricVerdict[]): string {
  const silent = stuck.filter(({ recent }) => recent.treatment.total === 0)
  const texts = stuck.filter((metric) => !silent.includes(metric)).map((one) => stuckText(one))
  const [first, ...others] = silent
  if (first === undefined) return texts.join('; ')
  const { bad, total } = first.treatment
  const also = others.length === 0 ? '' : ` (${others.map(({ id }) => id).join(', ')} too)`
  return [
    `${first.id} ${bad} of ${total}${also} cannot be decided: ${silenceText(first)}`,
    ...texts,
  ].join('; ')
}

function stuckText(metric: MetricVerdict): string {
  const { id, waits, treatment } = metric
  const seen = `${id} ${treatment.bad} of ${treatment.total}`
  const cause = waits?.for === 'users' ? 'too few users' : CAUSES[waits?.cause ?? 'traffic']
  const when =
    waits?.seconds === undefined
      ? 'cannot be decided at the present rates'
      : `takes ${lasting(waits.seconds)} at the present rates`
  return `${seen} ${when}: ${cause}`
}
