import { messageOf } from '../../errors.ts'
import { quantile } from '../../guard/index.ts'
import { ExpositionReader, fetchPieces, type Series } from '../../scrape/index.ts'
import type { Side } from '../../side.ts'

const operations = 'switchback_operations_total'
const duration = 'switchback_operation_duration_seconds_bucket'
const bad = new Set(['failed', 'timed_out', 'fell_back'])

/** Running totals of one side, as its replicas count them. */
export interface ArmTotals {
  readonly operations: number
  readonly bad: number
  readonly hits: number
  readonly misses: number
  /** Cumulative counts by upper bound in seconds. */
  readonly buckets: ReadonlyMap<number, number>
}

/** What a side did between two readings. */
export interface ArmRate {
  readonly perSecond: number
  /** Shares from 0 to 1; `undefined` when nothing happened. */
  readonly bad: number | undefined
  readonly hits: number | undefined
  /** Milliseconds. */
  readonly p50: number | undefined
  readonly p99: number | undefined
}

/** What the replicas said in one look. */
export interface Look {
  /** By host. */
  readonly heard: ReadonlyMap<string, readonly Series[]>
  /** Those that did not answer, with why. */
  readonly missing: readonly string[]
}

/** Reads `/metrics` of the replicas; one that does not answer hides none of the others. */
export async function readArms(urls: readonly URL[], signal: AbortSignal): Promise<Look> {
  const heard = new Map<string, readonly Series[]>()
  const missing: string[] = []
  const read = async (url: URL): Promise<void> => {
    try {
      heard.set(url.host, await scrape(url, signal))
    } catch (error) {
      missing.push(`${url.host} ${messageOf(error)}`)
    }
  }
  await Promise.all(urls.map(read))
  return { heard, missing: missing.toSorted() }
}

/** What the sides did between two looks, by the replicas that answered in both; none: undefined. */
export function ratesOf(
  before: Look,
  after: Look,
  seconds: number,
): Record<Side, ArmRate> | undefined {
  const both = [...after.heard.keys()].filter((host) => before.heard.has(host))
  if (both.length === 0) return undefined
  const sums = (look: Look, side: Side): ArmTotals =>
    totals(
      both.flatMap((host) => look.heard.get(host) ?? []),
      side,
    )
  const rate = (side: Side): ArmRate => rateOf(sums(before, side), sums(after, side), seconds)
  return { off: rate('off'), on: rate('on') }
}

async function scrape(url: URL, signal: AbortSignal): Promise<readonly Series[]> {
  const reader = new ExpositionReader((name) => name === operations || name === duration)
  await fetchPieces(url, (piece) => reader.push(piece), {
    timeoutMs: 2000,
    maxBytes: 8 * 2 ** 20,
    signal,
  })
  return reader.end()
}

function totals(series: readonly Series[], side: Side): ArmTotals {
  const sums = { operations: 0, bad: 0, hits: 0, misses: 0 }
  const buckets = new Map<number, number>()
  for (const { name, labels, value } of series) {
    if (labels['side'] !== side || labels['switch'] !== undefined) continue
    if (name === duration) {
      const bound = labels['le'] === '+Inf' ? Infinity : Number(labels['le'])
      buckets.set(bound, (buckets.get(bound) ?? 0) + value)
      continue
    }
    const outcome = labels['outcome'] ?? ''
    sums.operations += value
    if (bad.has(outcome)) sums.bad += value
    if (outcome === 'hit') sums.hits += value
    if (outcome === 'miss') sums.misses += value
  }
  return { ...sums, buckets }
}

/** The rates between two readings; a restarted replica's smaller counters count as nothing. */
export function rateOf(before: ArmTotals, after: ArmTotals, seconds: number): ArmRate {
  const delta = (now: number, was: number): number => Math.max(0, now - was)
  const all = delta(after.operations, before.operations)
  const [hits, misses] = [delta(after.hits, before.hits), delta(after.misses, before.misses)]
  const bounds = [...after.buckets.keys()].sort((a, b) => a - b)
  const counts = bounds.map((bound) =>
    delta(after.buckets.get(bound) ?? 0, before.buckets.get(bound) ?? 0),
  )
  const ms = (q: number): number | undefined => {
    const at = quantile(bounds, counts, q)
    return at === undefined ? undefined : at * 1000
  }
  return {
    perSecond: all / seconds,
    bad: all === 0 ? undefined : delta(after.bad, before.bad) / all,
    hits: hits + misses === 0 ? undefined : hits / (hits + misses),
    p50: ms(0.5),
    p99: ms(0.99),
  }
}
