import { quote, SwitchbackError } from '../../errors.ts'
import { USER_BUCKETS } from '../../metrics.ts'
import type { Series } from '../../scrape/index.ts'
import type { Selector } from './metric-selector.ts'

/** Which operations are read: those of the cache, or of a switch for any implementation. */
export interface Watched {
  /** The label `switch`; `''` is the cache, which has none. */
  readonly switch: string
  /** One of its methods; `''`: all of them. */
  readonly method: string
}

const THE_CACHE: Watched = { switch: '', method: '' }

/** All counters of one replica at one moment; both sides from the same answer. */
export interface Reading {
  readonly replica: string
  /** Epoch seconds of the sample. */
  readonly at: number
  /** Changes when the process does. */
  readonly instance: string
  readonly startedAt: number
  readonly userWindows: number
  readonly arms: Readonly<Record<'off' | 'on', ArmCounters>>
  /** Backends that the replica cannot reach, by side; it says so by an open breaker. */
  readonly out: readonly SideOut[]
  /** By text of the selector. */
  readonly selected: ReadonlyMap<string, Selected>
}

/** A breaker that is open. */
export interface SideOut {
  readonly side: 'off' | 'on'
  readonly backend: string
  /** Epoch seconds. */
  readonly since: number
}

export interface ArmCounters {
  /** By user bucket. */
  readonly operations: Float64Array
  /** Nobody served the caller. */
  readonly failed: Float64Array
  /** The side did not, and the other one served. */
  readonly fellBack: Float64Array
  readonly repeatMisses: Float64Array
  /** Comparisons of a switch and those that differed: on `off` a side with itself, on `on` with the other. */
  readonly compared: Float64Array
  readonly mismatched: Float64Array
  /** Operations that ended well, but later than a bound in seconds, by user bucket. */
  readonly late: ReadonlyMap<number, Float64Array>
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
  failed: Float64Array
  fellBack: Float64Array
  repeatMisses: Float64Array
  compared: Float64Array
  mismatched: Float64Array
  late: Map<number, Float64Array>
  users: number
}

function emptyArm(): ArmParts {
  const zeros = (): Float64Array => new Float64Array(USER_BUCKETS)
  return {
    operations: zeros(),
    failed: zeros(),
    fellBack: zeros(),
    repeatMisses: zeros(),
    compared: Float64Array.of(0),
    mismatched: Float64Array.of(0),
    late: new Map(),
    users: 0,
  }
}

type ByBucket = 'operations' | 'failed' | 'fellBack' | 'repeatMisses'

function byBucketOf({ name, labels }: Series): ByBucket | undefined {
  if (name === 'switchback_user_operations_total') return 'operations'
  if (name === 'switchback_user_repeat_misses_total') return 'repeatMisses'
  if (name !== 'switchback_user_bad_operations_total') return undefined
  // A replica of an older version does not say. That the other side served is the usual case.
  return labels['ended'] === 'failed' ? 'failed' : 'fellBack'
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
  watched: Watched = THE_CACHE,
): Reading {
  const arms = { off: emptyArm(), on: emptyArm() }
  const selected = new Map(
    selectors.map(({ text }) => [text, { sum: 0, max: -Infinity, off: 0, on: 0 }]),
  )
  const out: SideOut[] = []
  let instance: string | undefined
  let startedAt = 0
  let userWindows = 0
  for (const one of series) {
    const { name, labels, value } = one
    for (const selector of selectors) {
      if (selector.matches(one)) select(selected.get(selector.text)!, one)
    }
    if (name === 'switchback_instance_info') instance = labels['instance_id'] ?? ''
    else if (name === 'switchback_start_time_seconds') startedAt = value
    if ((labels['switch'] ?? '') !== watched.switch) continue
    if (name === 'switchback_user_windows_total') userWindows = value
    const { method = watched.method } = labels
    if (watched.method !== '' && method !== watched.method) continue
    if (name === 'switchback_comparisons_total' && labels['against'] !== undefined) {
      addComparison(arms[labels['against'] === 'itself' ? 'off' : 'on'], one)
    }
    const side = labels['side']
    if (side !== 'off' && side !== 'on') continue
    const arm = arms[side]
    const byBucket = byBucketOf(one)
    if (byBucket !== undefined) {
      arm[byBucket][bucketOf(one)]! += countOf(one)
    } else if (name === 'switchback_user_slow_operations_total') {
      const bound = boundOf(labels['over'])
      const list = arm.late.get(bound) ?? new Float64Array(USER_BUCKETS)
      list[bucketOf(one)]! += countOf(one)
      arm.late.set(bound, list)
    } else if (name === 'switchback_side_out_seconds') {
      const { backend = side } = labels
      // Longer than there is time would be no time.
      if (value > 0 && value < at) out.push({ side, backend, since: at - value })
    } else if (name === 'switchback_users_total') arm.users += countOf(one)
  }
  if (instance === undefined) {
    throw unusable(
      'has no switchback_instance_info',
      'name the metrics URL of an app process with the cache',
    )
  }
  return { replica, at, instance, startedAt, userWindows, arms, out, selected }
}

function addComparison(arm: ArmParts, one: Series): void {
  const { result } = one.labels
  if (result !== 'same' && result !== 'mismatch') return
  const count = countOf(one)
  arm.compared[0]! += count
  if (result === 'mismatch') arm.mismatched[0]! += count
}

function select(into: { sum: number; max: number; off: number; on: number }, one: Series): void {
  if (!Number.isFinite(one.value)) throw unusable(`says ${one.name} is ${one.value}`)
  into.sum += one.value
  into.max = Math.max(into.max, one.value)
  if (one.labels['side'] === 'off') into.off += one.value
  if (one.labels['side'] === 'on') into.on += one.value
}

function bucketOf({ name, labels }: Series): number {
  const bucket = Number(labels['bucket'])
  if (Number.isInteger(bucket) && bucket >= 0 && bucket < USER_BUCKETS) return bucket
  throw unusable(`has ${name} with bucket ${quote(labels['bucket'])}`)
}

function countOf({ name, value }: Series): number {
  if (value >= 0 && value < Number.MAX_SAFE_INTEGER) return value
  throw unusable(`says ${name} is ${value}`)
}

/** Whoever shows it names the replica before it. */
function unusable(what: string, hint?: string): SwitchbackError {
  return new SwitchbackError('SB_METRICS_UNUSABLE', what, hint ? { hint } : {})
}
