import { quote, SwitchbackError } from '../../errors.ts'
import { USER_BUCKETS } from '../../metrics.ts'
import type { Series } from '../../scrape/index.ts'
import type { Selector } from './selector.ts'

/** All counters of one replica at one moment; both sides from the same answer. */
export interface Reading {
  readonly replica: string
  /** Epoch seconds of the sample. */
  readonly at: number
  /** Changes when the process does. */
  readonly instance: string
  readonly startedAt: number
  readonly userWindows: number
  readonly arms: Readonly<Record<'off' | 'on', ArmReading>>
  /** By text of the selector. */
  readonly selected: ReadonlyMap<string, Selected>
}

export interface ArmReading {
  /** By user bucket. */
  readonly operations: Float64Array
  readonly bad: Float64Array
  readonly repeatMisses: Float64Array
  /** Operations slower than a bound in seconds, by user bucket. */
  readonly slow: ReadonlyMap<number, Float64Array>
  /** Operations by upper bound in seconds, cumulative. */
  readonly latency: ReadonlyMap<number, number>
  readonly users: number
}

/** What a selector found. */
export interface Selected {
  readonly sum: number
  readonly max: number
  readonly off: number
  readonly on: number
}

interface ArmParts {
  operations: Float64Array
  bad: Float64Array
  repeatMisses: Float64Array
  slow: Map<number, Float64Array>
  latency: Map<number, number>
  users: number
}

function emptyArm(): ArmParts {
  const zeros = (): Float64Array => new Float64Array(USER_BUCKETS)
  return {
    operations: zeros(),
    bad: zeros(),
    repeatMisses: zeros(),
    slow: new Map(),
    latency: new Map(),
    users: 0,
  }
}

const BY_BUCKET: Readonly<Record<string, 'operations' | 'bad' | 'repeatMisses'>> = {
  switchback_user_operations_total: 'operations',
  switchback_user_bad_operations_total: 'bad',
  switchback_user_repeat_misses_total: 'repeatMisses',
}

function boundOf(text: string | undefined): number {
  return text === '+Inf' ? Infinity : Number(text)
}

/**
 * Makes a reading from the series of one replica. A counter that is negative, infinite or not a
 * number invalidates the whole answer: half of it would compare a healthy side with a broken one.
 *
 * @throws SwitchbackError `SB_METRICS_UNUSABLE`
 */
export function readingOf(
  replica: string,
  at: number,
  series: readonly Series[],
  selectors: readonly Selector[],
): Reading {
  const arms = { off: emptyArm(), on: emptyArm() }
  const selected = new Map(
    selectors.map(({ text }) => [text, { sum: 0, max: -Infinity, off: 0, on: 0 }]),
  )
  let instance: string | undefined
  let startedAt = 0
  let userWindows = 0
  for (const one of series) {
    const { name, labels, value } = one
    for (const selector of selectors) {
      if (selector.matches(one)) select(selected.get(selector.text)!, one, replica)
    }
    if (name === 'switchback_instance_info') instance = labels['instance_id'] ?? ''
    else if (name === 'switchback_start_time_seconds') startedAt = value
    else if (name === 'switchback_user_windows_total') userWindows = value
    const side = labels['side']
    if (side !== 'off' && side !== 'on') continue
    const arm = arms[side]
    const byBucket = BY_BUCKET[name]
    if (byBucket !== undefined) {
      arm[byBucket][bucketOf(one, replica)]! += countOf(one, replica)
    } else if (name === 'switchback_user_slow_operations_total') {
      const bound = boundOf(labels['over'])
      const list = arm.slow.get(bound) ?? new Float64Array(USER_BUCKETS)
      list[bucketOf(one, replica)]! += countOf(one, replica)
      arm.slow.set(bound, list)
    } else if (name === 'switchback_operation_duration_seconds_bucket') {
      const bound = boundOf(labels['le'])
      arm.latency.set(bound, (arm.latency.get(bound) ?? 0) + countOf(one, replica))
    } else if (name === 'switchback_users_total') arm.users += countOf(one, replica)
  }
  if (instance === undefined) {
    throw unusable(
      replica,
      'has no switchback_instance_info',
      'name the metrics URL of an app process with the cache',
    )
  }
  return { replica, at, instance, startedAt, userWindows, arms, selected }
}

function select(
  into: { sum: number; max: number; off: number; on: number },
  one: Series,
  replica: string,
): void {
  if (!Number.isFinite(one.value)) throw unusable(replica, `says ${one.name} is ${one.value}`)
  into.sum += one.value
  into.max = Math.max(into.max, one.value)
  if (one.labels['side'] === 'off') into.off += one.value
  if (one.labels['side'] === 'on') into.on += one.value
}

function bucketOf({ name, labels }: Series, replica: string): number {
  const bucket = Number(labels['bucket'])
  if (Number.isInteger(bucket) && bucket >= 0 && bucket < USER_BUCKETS) return bucket
  throw unusable(replica, `has ${name} with bucket ${quote(labels['bucket'])}`)
}

function countOf({ name, value }: Series, replica: string): number {
  if (value >= 0 && value < Number.MAX_SAFE_INTEGER) return value
  throw unusable(replica, `says ${name} is ${value}`)
}

function unusable(replica: string, what: string, hint?: string): SwitchbackError {
  return new SwitchbackError('SB_METRICS_UNUSABLE', `${replica} ${what}`, hint ? { hint } : {})
}
