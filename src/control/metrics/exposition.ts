import { SwitchbackError } from '../../errors.ts'
import { LATENCY_BOUNDS } from '../../metrics.ts'
import { ExpositionReader, isProcessMetric, type Series } from '../../scrape/index.ts'
import type { Side } from '../../side.ts'
import { type Arms, emptyArms, FIELDS, indexOf } from './vector.ts'
import type { Field } from './vector.ts'

/** What one scrape says: counters since the process began, and a few values of the moment. */
export interface Scrape {
  /** Tells one process from the next at the same address; `''` when it is not exported. */
  readonly instance: string
  readonly arms: Arms
  /** Invalidations that each side still owes; `undefined` where it is not exported. */
  readonly owed: Readonly<Record<Side, number | undefined>>
  /** 99th percentile of how late timers fire, in seconds; `undefined` where it is not exported. */
  readonly eventLoopDelay: number | undefined
  /** What says how the process decides: read by `processReadingOf`. */
  readonly said: readonly Series[]
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
 * Reads what the control page needs of Prometheus text. Everything else is passed over, so that what
 * it keeps does not grow with what it is sent; values that no counter can have are passed over too.
 *
 * @throws {SwitchbackError} `SB_METRICS_FOREIGN` when no metric of Switchback stands in it;
 * `SB_METRICS_SYNTAX` and `SB_METRICS_TOO_LARGE` for what is no such text or too much of it.
 * @see https://prometheus.io/docs/instrumenting/exposition_formats/
 */
export function readExposition(text: string): Scrape {
  const reader = createScrapeReader()
  reader.push(text)
  return scrapeOf(reader)
}

/** For a text that arrives in pieces: read as they come, a large one holds nothing up. */
export function createScrapeReader(): ExpositionReader {
  return new ExpositionReader((name) => WANTED.has(name) || isProcessMetric(name), {
    maxSeries: 5000,
  })
}

/** What the pieces said. @throws as {@link readExposition} */
export function scrapeOf(reader: ExpositionReader): Scrape {
  const arms = emptyArms()
  const owed: Record<Side, number | undefined> = { off: undefined, on: undefined }
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
      case 'switchback_owed_invalidations':
        owed[side] = (owed[side] ?? 0) + value
        break
      default:
    }
  }
  if (known === 0) {
    throw new SwitchbackError('SB_METRICS_FOREIGN', 'the answer holds no metrics of Switchback', {
      hint: "name the /metrics of the application's admin listener",
    })
  }
  const said = series.filter(({ name }) => isProcessMetric(name))
  return { instance, arms, owed, eventLoopDelay, said }
}

/** The many series by user bucket, for the guard's statistics, are passed over unread. */
const WANTED: ReadonlySet<string> = new Set([
  'switchback_instance_info',
  'switchback_operations_total',
  'switchback_operation_duration_seconds_bucket',
  'switchback_events_total',
  'switchback_origin_load_duration_seconds_count',
  'switchback_origin_failures_total',
  'switchback_owed_invalidations',
  'switchback_event_loop_delay_seconds',
])

function boundOf(text: string | undefined): number {
  return text === '+Inf' ? Infinity : Number(text)
}
