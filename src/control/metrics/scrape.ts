import { SwitchbackError } from '../../errors.ts'
import { LATENCY_BOUNDS } from '../../metrics.ts'
import { ExpositionReader, isProcessMetric, type Series } from '../../scrape/index.ts'
import type { Side } from '../../side.ts'
import { armsOfSwitches } from './behind-flag.ts'
import { type Arms, emptyArms, FIELDS, indexOf } from './vector.ts'
import { switchesOf, type SwitchScrapes } from './switch-scrapes.ts'
import type { Field } from './vector.ts'

/** The content of one scrape: counters since the process began, and a few current values. */
export interface Scrape {
  /** What {@link arms} are of: the cache, or switches of `createSwitch` where only they have the flag. */
  readonly of: 'cache' | 'switch'
  /** Distinguishes one process from the next at the same address; `''` when it is not exported. */
  readonly instance: string
  readonly arms: Arms
  /** Pending invalidations of each side; `undefined` where it is not exported. */
  readonly owed: Readonly<Record<Side, number | undefined>>
  /** The names of the two stores; `''` where they are not exported. */
  readonly backends: Readonly<Record<Side, string>>
  /** For how many seconds a side has been out; 0 while it is in. */
  readonly outSeconds: Readonly<Record<Side, number>>
  /** 99th percentile of how late timers fire, in seconds; `undefined` where it is not exported. */
  readonly eventLoopDelay: number | undefined
  /** What the process decides: read by `processReadingOf`. */
  readonly said: readonly Series[]
  /** The switches beside the cache. */
  readonly switches: SwitchScrapes
}

const READS = new Set(['get', 'getOrSet', 'has'])

const OUTCOME_FIELDS: ReadonlyMap<string, Field> = new Map([
  ['failed', 'failed'],
  ['timed_out', 'timedOut'],
  ['fell_back', 'fellBack'],
])

const EVENT_FIELDS: ReadonlyMap<string, Field> = new Map([
  ['repeat_miss', 'repeatMisses'],
  ['backfill', 'backfills'],
  ['breaker_opened', 'breakerOpened'],
  ['breaker_closed', 'breakerClosed'],
])

const BOUND_INDEX: ReadonlyMap<number, number> = new Map(
  LATENCY_BOUNDS.map((bound, index) => [bound, FIELDS.length + index]),
)

/**
 * Reads the metrics that the control page needs and skips all others, so that its memory does not
 * grow with the input; impossible counter values are skipped too.
 *
 * @throws {SwitchbackError} `SB_METRICS_FOREIGN` when there is no metric of Switchback;
 * `SB_METRICS_SYNTAX`, `SB_METRICS_TOO_LARGE`.
 * @see https://prometheus.io/docs/instrumenting/exposition_formats/
 */
export function readExposition(text: string): Scrape {
  const reader = createScrapeReader()
  reader.push(text)
  return scrapeOf(reader)
}

/** For a text that arrives in pieces, so that a large one blocks nothing. */
export function createScrapeReader(): ExpositionReader {
  return new ExpositionReader((name) => WANTED.has(name) || isProcessMetric(name), {
    maxSeries: 5000,
  })
}

/**
 * The reading of all pieces.
 * @param flag the page's
 * @throws as {@link readExposition}
 */
export function scrapeOf(reader: ExpositionReader, flag?: string): Scrape {
  const arms = emptyArms()
  const owed: Record<Side, number | undefined> = { off: undefined, on: undefined }
  const backends: Record<Side, string> = { off: '', on: '' }
  const outSeconds: Record<Side, number> = { off: 0, on: 0 }
  let instance = ''
  let eventLoopDelay: number | undefined
  let known = 0
  const series = reader.end()
  for (const { name, labels, value } of series) {
    if (name === 'switchback_instance_info') {
      instance = (labels['instance_id'] ?? '').slice(0, 64)
      continue
    }
    if (!(value >= 0) || value === Infinity) continue
    if (name === 'switchback_event_loop_delay_seconds') {
      if (labels['quantile'] === '0.99') eventLoopDelay = value
      continue
    }
    const side = labels['side']
    if (side !== 'on' && side !== 'off') continue
    // Of another implementation than the cache.
    if (labels['switch'] !== undefined) continue
    const arm = arms[side]
    const add = (field: Field): void => void (arm[indexOf(field)]! += value)
    switch (name) {
      case 'switchback_operations_total': {
        const outcome = labels['outcome'] ?? ''
        known++
        add('operations')
        const field = OUTCOME_FIELDS.get(outcome)
        if (field !== undefined) add(field)
        if (READS.has(labels['operation'] ?? '')) {
          if (outcome === 'hit') add('hits')
          if (outcome === 'miss') add('misses')
        }
        break
      }
      case 'switchback_operation_duration_seconds_bucket': {
        const index = BOUND_INDEX.get(boundOf(labels['le']))
        if (index !== undefined) arm[index]! += value
        break
      }
      case 'switchback_events_total': {
        const field = EVENT_FIELDS.get(labels['event'] ?? '')
        if (field !== undefined) add(field)
        break
      }
      case 'switchback_origin_load_duration_seconds_count':
        add('originLoads')
        break
      case 'switchback_origin_failures_total':
        add('originFailures')
        break
      case 'switchback_side_out_seconds':
        backends[side] = (labels['backend'] ?? '').slice(0, 64)
        outSeconds[side] = Math.max(outSeconds[side], value)
        break
      case 'switchback_user_bad_operations_total':
        if (labels['ended'] === 'failed') add('lost')
        break
      case 'switchback_owed_invalidations':
        owed[side] = (owed[side] ?? 0) + value
        break
      default:
    }
  }
  if (known === 0) {
    throw new SwitchbackError('SB_METRICS_FOREIGN', 'the answer has no metrics of Switchback', {
      hint: 'name the metrics URL of an app process',
    })
  }
  const said = series.filter(({ name }) => isProcessMetric(name))
  const switches = switchesOf(series)
  const shared = { instance, owed, eventLoopDelay, said, switches }
  const theirs = flag === undefined ? undefined : armsOfSwitches(flag, switches, said)
  if (theirs !== undefined) return { of: 'switch', ...theirs, ...shared }
  return { of: 'cache', arms, backends, outSeconds, ...shared }
}

/** Most of the many series by user bucket, for the guard's statistics, are skipped unread. */
const WANTED: ReadonlySet<string> = new Set([
  'switchback_instance_info',
  'switchback_operations_total',
  'switchback_operation_duration_seconds_bucket',
  'switchback_events_total',
  'switchback_origin_load_duration_seconds_count',
  'switchback_origin_failures_total',
  'switchback_owed_invalidations',
  'switchback_side_out_seconds',
  'switchback_user_bad_operations_total',
  'switchback_event_loop_delay_seconds',
  'switchback_switch_info',
  'switchback_comparisons_total',
])

function boundOf(text: string | undefined): number {
  return text === '+Inf' ? Infinity : Number(text)
}
