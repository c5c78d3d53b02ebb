import type { BlindnessSettings, JudgeSettings, MetricRule } from '../rule/index.ts'
import type { NotifyOn } from '../notify/message.ts'
import type { Watched } from '../samples/reading.ts'
import type { Selector } from '../samples/metric-selector.ts'

/** What the guard may do, and when. See {@link parsePlan} for the file. */
export interface Plan {
  readonly flag: string | undefined
  /** What is judged; undefined: the cache. */
  readonly watched: Watched | undefined
  /** Shares of `on` in per cent, rising. */
  readonly steps: readonly number[]
  /** The built-in metrics and the plan's own. */
  readonly metrics: readonly MetricRule[]
  /** What ended well, but later than this, in seconds, is degraded: a bound of the histogram. */
  readonly lateS: number
  readonly custom: readonly CustomMetric[]
  readonly limits: readonly Limit[]
  /** Everything of the judge except its metrics. */
  readonly judge: Omit<JudgeSettings, 'metrics'>
  /** Least time of the baseline in seconds: one stall must not look like normal operation. */
  readonly baselineS: number
  /** Distinct users on `on` before the next step. */
  readonly minUsers: number
  readonly blindness: BlindnessSettings
  /** What to do when metrics stay lost. */
  readonly lost: 'page' | 'rollback'
  /** `ask`: a step needs an approval. */
  readonly advance: 'auto' | 'ask'
  readonly intervalMs: number
  readonly sources: Sources
  readonly notify: NotifyPlan
}

/** A webhook's URL, `$NAME` of the environment variable that holds it, or a command's arguments. */
export type ReceiverPlan = string | readonly string[]

/** Who is told of what. */
export type NotifyPlan = Readonly<Record<NotifyOn, readonly ReceiverPlan[]>>

export interface Sources {
  /** Metrics URLs of the replicas. */
  readonly replicas: readonly string[]
  readonly prometheus: { readonly url: string; readonly matchers: string } | undefined
}

/** Two counters of the application that distinguish the sides by their label `side`. */
export interface CustomMetric {
  readonly id: string
  readonly bad: Selector
  readonly total: Selector
}

/** Harm to both sides, which no comparison shows. */
export interface Limit {
  readonly selector: Selector
  /** `value`: the largest of all series; `rate`: of the counters together, per second. */
  readonly of: 'value' | 'rate'
  readonly above: number
  /** Seconds that it must last. */
  readonly forS: number
  readonly action: 'hold' | 'rollback'
}

/** `search.find`, or the switch alone. */
export function watchedText({ switch: name, method }: Watched): string {
  return method === '' ? name : `${name}.${method}`
}
