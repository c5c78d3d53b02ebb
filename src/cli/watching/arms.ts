import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { ExpositionReader, type Series } from '../../guard/index.ts'
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

export type Arms = Readonly<Record<Side, ArmTotals>>

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

/** Reads `/metrics` of the replicas and adds them up; rejects when one does not answer. */
export async function readArms(urls: readonly string[], signal: AbortSignal): Promise<Arms> {
  const all = (await Promise.all(urls.map((url) => scrape(url, signal)))).flat()
  return { off: totals(all, 'off'), on: totals(all, 'on') }
}

function scrape(url: string, signal: AbortSignal): Promise<readonly Series[]> {
  const reader = new ExpositionReader((name) => name === operations || name === duration)
  const request = url.startsWith('https:') ? httpsRequest : httpRequest
  return new Promise((resolve, reject) => {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(2000)])
    const call = request(url, { signal: limit }, (response) => {
      if (response.statusCode !== 200) {
        response.destroy()
        reject(new Error(`${url} answers ${response.statusCode}`))
        return
      }
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        try {
          reader.push(chunk)
        } catch (error) {
          response.destroy(error instanceof Error ? error : undefined)
        }
      })
      response.on('error', reject)
      response.on('end', () => {
        try {
          resolve(reader.end())
        } catch (error) {
          reject(error)
        }
      })
    })
    call.on('error', reject)
    call.end()
  })
}

function totals(series: readonly Series[], side: Side): ArmTotals {
  const sums = { operations: 0, bad: 0, hits: 0, misses: 0 }
  const buckets = new Map<number, number>()
  for (const { name, labels, value } of series) {
    if (labels['side'] !== side) continue
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
  return {
    perSecond: all / seconds,
    bad: all === 0 ? undefined : delta(after.bad, before.bad) / all,
    hits: hits + misses === 0 ? undefined : hits / (hits + misses),
    p50: quantile(bounds, counts, 0.5),
    p99: quantile(bounds, counts, 0.99),
  }
}

/** Linear within the bucket, as Prometheus' histogram_quantile; in ms. */
export function quantile(
  bounds: readonly number[],
  cumulative: readonly number[],
  q: number,
): number | undefined {
  const total = cumulative.at(-1) ?? 0
  if (total === 0) return undefined
  const rank = q * total
  const index = cumulative.findIndex((count) => count >= rank)
  const upper = bounds[index] ?? Infinity
  const lower = bounds[index - 1] ?? 0
  if (upper === Infinity) return lower * 1000
  const below = cumulative[index - 1] ?? 0
  const inside = (cumulative[index] ?? 0) - below
  return (lower + (upper - lower) * (inside === 0 ? 1 : (rank - below) / inside)) * 1000
}
