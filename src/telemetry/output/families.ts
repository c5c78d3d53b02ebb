import { LATENCY_BOUNDS } from '../../metrics.ts'
import { CLASSES, COMPARISONS, EVENTS, SIDES } from '../counts/labels.ts'
import type { HistogramSnapshot, TelemetrySnapshot, UserBucket } from '../counts/snapshot.ts'

export type Labels = Readonly<Record<string, string>>

export interface Sample {
  /** Appended to the family's name: `_bucket`, `_sum` and `_count` of a histogram. */
  readonly suffix?: string
  readonly labels: Labels
  readonly value: number
}

/** All samples of one metric, as every output understands it. */
export interface Family {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram' | 'summary'
  readonly samples: readonly Sample[]
  /** For the guard's statistics only: left out where every series costs money. */
  readonly detail?: boolean
}

export function formatBound(seconds: number): string {
  return seconds === Infinity ? '+Inf' : String(seconds)
}

const LATENCY_NAMES: readonly string[] = LATENCY_BOUNDS.map(formatBound)

/** Below this, slowness of single users is not exported: nothing so fast is late. */
const SLOWEST_USEFUL = 0.000_5

export function histogramSamples(histogram: HistogramSnapshot, labels: Labels): Sample[] {
  let cumulative = 0
  const samples: Sample[] = histogram.counts.map((count, index) => {
    cumulative += count
    return {
      suffix: '_bucket',
      labels: { ...labels, le: formatBound(histogram.bounds[index]!) },
      value: cumulative,
    }
  })
  samples.push({ suffix: '_sum', labels, value: histogram.sumSeconds })
  samples.push({ suffix: '_count', labels, value: histogram.count })
  return samples
}

/** How many took longer than each bound; absent means none. @param latency counts by bound */
function slowSamples(latency: readonly number[], labels: Labels): Sample[] {
  let above = 0
  const over: Sample[] = []
  for (let b = LATENCY_BOUNDS.length - 2; b >= 0; b--) {
    above += latency[b + 1]!
    const bound = LATENCY_BOUNDS[b]!
    if (above > 0 && bound >= SLOWEST_USEFUL) {
      over.push({ labels: { ...labels, over: LATENCY_NAMES[b]! }, value: above })
    }
  }
  return over.toReversed()
}

/** One user bucket of one side, with the labels that say which. */
export interface LabelledBucket {
  readonly labels: Labels
  readonly user: UserBucket
}

/** What the guard's statistics need. */
export function userFamilies(buckets: readonly LabelledBucket[]): Family[] {
  const operations: Sample[] = []
  const bad: Sample[] = []
  const slow: Sample[] = []
  const repeated: Sample[] = []
  for (const { labels, user } of buckets) {
    if (user.operations > 0) {
      operations.push({ labels, value: user.operations })
      bad.push({ labels: { ...labels, ended: 'failed' }, value: user.failed })
      bad.push({ labels: { ...labels, ended: 'fell_back' }, value: user.fellBack })
    }
    if (user.repeatMisses > 0) repeated.push({ labels, value: user.repeatMisses })
    slow.push(...slowSamples(user.latency, labels))
  }
  const sparse = 'Users are hashed into 32 buckets; absent means zero.'
  return [
    counter('switchback_user_operations_total', `Operations by user bucket. ${sparse}`, operations),
    counter(
      'switchback_user_bad_operations_total',
      `Operations that their side did not do, by user bucket: \`fell_back\`, the other side served; \`failed\`, nobody did. ${sparse}`,
      bad,
    ),
    counter(
      'switchback_user_slow_operations_total',
      `Operations that ended well, but took longer than \`over\` seconds, by user bucket. ${sparse}`,
      slow,
    ),
    counter(
      'switchback_user_repeat_misses_total',
      `Misses on what this process itself had stored recently, by user bucket. ${sparse}`,
      repeated,
    ),
  ].map((family) => ({ ...family, detail: true }))
}

export function counter(name: string, help: string, samples: readonly Sample[]): Family {
  return { name, help, type: 'counter', samples }
}

export function gauge(name: string, help: string, samples: readonly Sample[]): Family {
  return { name, help, type: 'gauge', samples }
}

/** Current quantiles, under the label `quantile`. */
export function summary(name: string, help: string, samples: readonly Sample[]): Family {
  return { name, help, type: 'summary', samples }
}

/** The metrics of both sides. Names and labels are public: dashboards and alerts depend on them. */
export function snapshotFamilies(snapshot: TelemetrySnapshot): Family[] {
  const arms = SIDES.map((side) => ({ side, arm: snapshot.arms[side] }))
  return [
    gauge('switchback_instance_info', 'Random identity of this process; the value is 1.', [
      { labels: { instance_id: snapshot.instance }, value: 1 },
    ]),
    gauge('switchback_start_time_seconds', 'When counting began, in seconds since the epoch.', [
      { labels: {}, value: snapshot.startedAt / 1000 },
    ]),
    counter(
      'switchback_operations_total',
      'Cache operations of business code by outcome.',
      arms.flatMap(({ side, arm }) =>
        arm.operations.map(({ operation, outcome, count }) => ({
          labels: { side, operation, outcome },
          value: count,
        })),
      ),
    ),
    {
      name: 'switchback_operation_duration_seconds',
      help: 'Time of an operation on the caches, without the loader.',
      type: 'histogram',
      samples: arms.flatMap(({ side, arm }) =>
        CLASSES.flatMap((kind) => histogramSamples(arm.latency[kind], { side, class: kind })),
      ),
    },
    ...userFamilies(
      arms.flatMap(({ side, arm }) =>
        arm.users.map((user, index) => ({ labels: { side, bucket: String(index) }, user })),
      ),
    ),
    counter(
      'switchback_users_total',
      'Distinct users seen, each counted once per side and window.',
      arms.map(({ side, arm }) => ({ labels: { side }, value: arm.distinctUsers })),
    ),
    counter('switchback_user_windows_total', 'Windows of distinct users begun.', [
      { labels: {}, value: snapshot.userWindows },
    ]),
    counter(
      'switchback_decisions_total',
      'Flag decisions by variant, reason and where the answer came from.',
      snapshot.decisions.map(({ side, variant, reason, source, count }) => ({
        labels: { side, variant, reason, source },
        value: count,
      })),
    ),
    counter(
      'switchback_events_total',
      'Events beside operations: fills, backfills, pending invalidations, ...',
      arms.flatMap(({ side, arm }) =>
        EVENTS.map((event) => ({ labels: { side, event }, value: arm.events[event] })),
      ),
    ),
    {
      name: 'switchback_origin_load_duration_seconds',
      help: 'Loads from the origin on a miss.',
      type: 'histogram',
      samples: arms.flatMap(({ side, arm }) => histogramSamples(arm.origin.loads, { side })),
    },
    counter(
      'switchback_origin_failures_total',
      'Loads from the origin that threw.',
      arms.map(({ side, arm }) => ({ labels: { side }, value: arm.origin.failed })),
    ),
    counter(
      'switchback_bytes_total',
      'Encoded payload read from and written to the caches.',
      arms.flatMap(({ side, arm }) => [
        { labels: { side, direction: 'read' }, value: arm.bytes.read },
        { labels: { side, direction: 'written' }, value: arm.bytes.written },
      ]),
    ),
    counter(
      'switchback_comparisons_total',
      'Shadow reads: the value of the other side compared with that of the active side.',
      COMPARISONS.map((result) => ({ labels: { result }, value: snapshot.comparisons[result] })),
    ),
  ]
}
