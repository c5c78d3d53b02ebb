import { describeStale, type StaleRead } from '../support/history.ts'
import type { ChaosRecord, Vitals } from './record.ts'

/** A time, in microseconds of the monotonic clock, in which a fault was at work. */
export interface Struck {
  readonly name: string
  readonly from: number
  readonly to: number
}

export interface Limits {
  /** No request takes longer, in milliseconds. */
  readonly slowestMs: number
  /** No process grows by more after its first seconds, in bytes. */
  readonly growth: number
  readonly tombstoneTtl: number
}

/** V8 lets the heap grow to its liking under load: 60 to 80 MiB in two minutes, then no more (see the soak). */
export const LIMITS: Omit<Limits, 'tombstoneTtl'> = { slowestMs: 8000, growth: 128 * 2 ** 20 }

const WARM_UP_US = 5_000_000

export interface Verdict {
  /** What broke a promise, one line each. */
  readonly problems: readonly string[]
  /** The stale reads behind them. */
  readonly stale: readonly StaleRead[]
  /** Stale reads that docs/guarantees.md allows: a young tombstone was evicted. */
  readonly allowed: number
}

/** Holds a record to the guarantees. */
export function judge(record: ChaosRecord, struck: readonly Struck[], limits: Limits): Verdict {
  const evictions = struck.filter(({ name }) => name === 'evict')
  const all = record.history.stale()
  const stale = all.filter((read) => !mayBeEvicted(read, evictions, limits.tombstoneTtl * 1000))
  const growth = Math.max(0, ...record.vitals.map(grown))
  const problems = [
    ...stale.map(describeStale),
    ...record.failed.map((line) => `failed: ${line.replaceAll('\t', ' ')}`),
    ...(record.slowestMs > limits.slowestMs
      ? [`an operation took ${record.slowestMs.toFixed(0)} ms`]
      : []),
    ...(growth > limits.growth ? [`a process grew by ${(growth / 2 ** 20).toFixed(0)} MiB`] : []),
  ]
  return { problems, stale, allowed: all.length - stale.length }
}

/** Its tombstone was younger than its life when Redis evicted keys. */
function mayBeEvicted(
  { superseded }: StaleRead,
  evictions: readonly Struck[],
  tombstoneUs: number,
): boolean {
  if (superseded === undefined) return false
  return evictions.some(
    ({ from, to }) => superseded.invokedAt <= to && superseded.invokedAt + tombstoneUs >= from,
  )
}

/** By how many bytes a process grew after it had warmed up. */
export function grown(vitals: readonly Vitals[]): number {
  const first = vitals[0]
  const warm = vitals.find(({ at }) => first !== undefined && at - first.at >= WARM_UP_US)
  const last = vitals.at(-1)
  return warm === undefined || last === undefined ? 0 : last.rss - warm.rss
}
