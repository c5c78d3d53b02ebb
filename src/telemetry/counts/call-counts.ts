import { LATENCY_BOUNDS, USER_BUCKETS } from '../../metrics.ts'
import type { Side } from '../../side.ts'
import { latencyIndex } from './counts.ts'
import {
  counter,
  type Family,
  histogramSamples,
  type LabelledBucket,
  type Labels,
  type Sample,
  userFamilies,
} from '../output/families.ts'
import { SIDES } from './labels.ts'
import { DistinctUsers } from './distinct-users.ts'

/**
 * How a call ended on the side that the flag picked:
 * - `ok`: it answered, if only by an error that is an answer;
 * - `failed`, `timed_out`: as for a cache;
 * - `fell_back`: its breaker was open, and the other side was asked;
 * - `aborted`: by the caller.
 */
export type CallOutcome = 'ok' | 'failed' | 'timed_out' | 'fell_back' | 'aborted'

const OUTCOMES: readonly CallOutcome[] = ['ok', 'failed', 'timed_out', 'fell_back', 'aborted']

/** Of a comparison: `shed` was dropped because too many were under way. */
export type CallComparison = 'same' | 'mismatch' | 'failed' | 'shed'

/** Counts one method of a switch. */
export interface CallRecorder {
  /**
   * @param bucket the user, from {@link Recorder.bucketOf}
   * @param elsewhere the other side served
   */
  ended(
    side: Side,
    outcome: CallOutcome,
    durationMs: number,
    bucket: number,
    elsewhere: boolean,
  ): void
  /** @param against the other side, or the same one once more, which shows how noisy the answers are */
  compared(against: 'other' | 'itself', result: CallComparison): void
  /** The second leg of a write that goes to both sides. */
  other(side: Side, result: 'done' | 'failed'): void
}

const BOUNDS = LATENCY_BOUNDS.length

/** The counters of one method. Those that are rare are kept by their labels. */
class CallCounts implements CallRecorder {
  readonly labels: Labels
  readonly #users: DistinctUsers
  /** side x outcome */
  readonly outcomes: Float64Array = new Float64Array(2 * OUTCOMES.length)
  /** side x user bucket x latency bound; and of those that ended badly */
  readonly latency: Float64Array = new Float64Array(2 * USER_BUCKETS * BOUNDS)
  readonly badLatency: Float64Array = new Float64Array(2 * USER_BUCKETS * BOUNDS)
  readonly seconds: Float64Array = new Float64Array(2)
  /** side x user bucket */
  readonly failed: Float64Array = new Float64Array(2 * USER_BUCKETS)
  readonly fellBack: Float64Array = new Float64Array(2 * USER_BUCKETS)
  readonly comparisons: Map<string, Sample> = new Map()
  readonly writes: Map<string, Sample> = new Map()

  constructor(labels: Labels, users: DistinctUsers) {
    this.labels = labels
    this.#users = users
  }

  ended(
    side: Side,
    outcome: CallOutcome,
    durationMs: number,
    bucket: number,
    elsewhere: boolean,
  ): void {
    const s = side === 'on' ? 1 : 0
    const user = s * USER_BUCKETS + (bucket & (USER_BUCKETS - 1))
    const result = OUTCOMES.indexOf(outcome)
    this.outcomes[s * OUTCOMES.length + result]!++
    // What its caller gave up says nothing of the side.
    if (outcome === 'aborted') return
    const duration = durationMs > 0 ? durationMs : 0
    const at = user * BOUNDS + latencyIndex(duration)
    this.latency[at]!++
    this.seconds[s]! += duration / 1000
    if (result > 0) {
      this.badLatency[at]!++
      const ended = elsewhere ? this.fellBack : this.failed
      ended[user]!++
    }
    this.#users.see(s, bucket)
  }

  compared(against: 'other' | 'itself', result: CallComparison): void {
    count(this.comparisons, { ...this.labels, against, result })
  }

  other(side: Side, result: 'done' | 'failed'): void {
    count(this.writes, { ...this.labels, side, result })
  }
}

function count(counts: Map<string, Sample>, labels: Labels): void {
  const key = Object.values(labels).join('\n')
  const { value = 0 } = counts.get(key) ?? {}
  counts.set(key, { labels, value: value + 1 })
}

/** The calls of one process, by switch and method. */
export class CallsCounts {
  readonly #methods = new Map<string, CallCounts>()
  readonly #users = new Map<string, DistinctUsers>()
  readonly #now: () => number
  readonly #windowMs: number

  constructor(now: () => number, windowMs: number) {
    this.#now = now
    this.#windowMs = windowMs
  }

  /** The same counters for the same names, whoever asks. */
  of(name: string, method: string): CallRecorder {
    const key = `${name}\n${method}`
    const known = this.#methods.get(key)
    if (known !== undefined) return known
    let users = this.#users.get(name)
    if (users === undefined) {
      users = new DistinctUsers(this.#now(), this.#windowMs)
      this.#users.set(name, users)
    }
    const counts = new CallCounts({ switch: name, method }, users)
    this.#methods.set(key, counts)
    return counts
  }

  /** Families of the same names as those of a cache, told apart by the labels `switch` and `method`. */
  families(): Family[] {
    const all = [...this.#methods.values()]
    const users = [...this.#users]
    for (const [, seen] of users) seen.turn(this.#now())
    return [
      counter('switchback_operations_total', '', all.flatMap(operations)),
      {
        name: 'switchback_operation_duration_seconds',
        help: '',
        type: 'histogram',
        samples: all.flatMap(durations),
      },
      ...userFamilies(all.flatMap(buckets)),
      counter(
        'switchback_users_total',
        '',
        users.flatMap(([name, { totals }]) =>
          SIDES.map((side, s) => ({ labels: { switch: name, side }, value: totals[s]! })),
        ),
      ),
      counter(
        'switchback_user_windows_total',
        '',
        users.map(([name, { windows }]) => ({ labels: { switch: name }, value: windows })),
      ),
      counter(
        'switchback_comparisons_total',
        '',
        all.flatMap(({ comparisons }) => [...comparisons.values()]),
      ),
      counter(
        'switchback_second_writes_total',
        'Second legs of writes that go to both sides, by whether the side took it.',
        all.flatMap(({ writes }) => [...writes.values()]),
      ),
    ]
  }
}

function operations({ outcomes, labels }: CallCounts): Sample[] {
  return SIDES.flatMap((side, s) =>
    OUTCOMES.map((outcome, o) => ({
      labels: { ...labels, side, outcome },
      value: outcomes[s * OUTCOMES.length + o]!,
    })),
  )
}

function durations({ latency, seconds, labels }: CallCounts): Sample[] {
  return SIDES.flatMap((side, s) => {
    const counts = LATENCY_BOUNDS.map((_, b) => {
      let sum = 0
      for (let user = 0; user < USER_BUCKETS; user++) {
        sum += latency[(s * USER_BUCKETS + user) * BOUNDS + b]!
      }
      return sum
    })
    const total = counts.reduce((sum, one) => sum + one, 0)
    const histogram = { bounds: LATENCY_BOUNDS, counts, count: total, sumSeconds: seconds[s]! }
    return histogramSamples(histogram, { ...labels, side })
  })
}

function buckets(counts: CallCounts): LabelledBucket[] {
  return SIDES.flatMap((side, s) =>
    Array.from({ length: USER_BUCKETS }, (_, bucket) => {
      const user = s * USER_BUCKETS + bucket
      const [from, to] = [user * BOUNDS, (user + 1) * BOUNDS]
      const ended = counts.latency.subarray(from, to)
      const badly = counts.badLatency.subarray(from, to)
      return {
        labels: { ...counts.labels, side, bucket: String(bucket) },
        user: {
          operations: ended.reduce((sum, one) => sum + one, 0),
          failed: counts.failed[user]!,
          fellBack: counts.fellBack[user]!,
          repeatMisses: 0,
          latency: Array.from(ended, (one, b) => one - badly[b]!),
        },
      }
    }),
  )
}

/** One family per name: Prometheus wants all samples of a name together. */
export function merged(families: readonly Family[]): Family[] {
  const byName = new Map<string, Family>()
  for (const family of families) {
    const known = byName.get(family.name)
    const samples = [...(known?.samples ?? []), ...family.samples]
    byName.set(family.name, { ...(known ?? family), samples })
  }
  return [...byName.values()]
}
