import { SwitchbackError } from '../../errors.ts'
import type { Side } from '../../side.ts'
import { type Arms, emptyArms, FIELDS, indexOf, LATENCY_BOUNDS } from './vector.ts'
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
 * Reads what the control room needs of Prometheus text. Everything else is passed over, so that what
 * it keeps does not grow with what it is sent; values that no counter can have are passed over too.
 *
 * @throws {SwitchbackError} `SB_METRICS_FOREIGN` when no metric of Switchback stands in it.
 * @see https://prometheus.io/docs/instrumenting/exposition_formats/
 */
export function readExposition(text: string): Scrape {
  const arms = emptyArms()
  const owed: Record<Side, number | undefined> = { off: undefined, on: undefined }
  let instance = ''
  let eventLoopDelay: number | undefined
  let known = 0
  for (const { name, labels, value } of samplesOf(text)) {
    if (name === 'switchback_instance_info') {
      instance = (labels.get('instance_id') ?? '').slice(0, 64)
      continue
    }
    if (!(value >= 0) || value === Infinity) continue
    if (name === 'switchback_event_loop_delay_seconds') {
      if (labels.get('quantile') === '0.99') eventLoopDelay = value
      continue
    }
    const side = labels.get('side')
    if (side !== 'on' && side !== 'off') continue
    const arm = arms[side]
    const add = (field: Field): void => void (arm[indexOf(field)]! += value)
    switch (name) {
      case 'switchback_operations_total': {
        const outcome = labels.get('outcome') ?? ''
        known++
        add('operations')
        const field = OUTCOME_FIELDS.get(outcome)
        if (field !== undefined) add(field)
        if (READS.has(labels.get('operation') ?? '')) {
          if (outcome === 'hit') add('hits')
          if (outcome === 'miss') add('misses')
        }
        break
      }
      case 'switchback_operation_duration_seconds_bucket': {
        const index = BOUND_INDEX.get(numberOf(labels.get('le') ?? ''))
        if (index !== undefined) arm[index]! += value
        break
      }
      case 'switchback_events_total': {
        const field = EVENT_FIELDS.get(labels.get('event') ?? '')
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
  return { instance, arms, owed, eventLoopDelay }
}

interface Sample {
  readonly name: string
  readonly labels: ReadonlyMap<string, string>
  readonly value: number
}

/** The metrics that are read; the many series by user bucket are not even split. */
const WANTED =
  /^switchback_(?:instance_info|operations_total|operation_duration_seconds_bucket|events_total|origin_load_duration_seconds_count|origin_failures_total|owed_invalidations|event_loop_delay_seconds)(?=[{ ])/

/** A longer line is none of ours. */
const LONGEST_LINE = 1024

function* samplesOf(text: string): Generator<Sample> {
  for (let start = 0; start < text.length;) {
    const newline = text.indexOf('\n', start)
    const end = newline === -1 ? text.length : newline
    if (end - start <= LONGEST_LINE && text.startsWith('switchback_', start)) {
      const sample = sampleOf(text.slice(start, end))
      if (sample !== undefined) yield sample
    }
    start = end + 1
  }
}

function sampleOf(line: string): Sample | undefined {
  const name = WANTED.exec(line)?.[0]
  if (name === undefined) return undefined
  const labels = new Map<string, string>()
  let rest = line.slice(name.length)
  if (rest.startsWith('{')) {
    const label = /[{,\s]*([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/y
    let end = 1
    for (let match = label.exec(rest); match !== null; match = label.exec(rest)) {
      labels.set(match[1] ?? '', unescape(match[2] ?? ''))
      end = label.lastIndex
    }
    const close = rest.indexOf('}', end)
    if (close === -1) return undefined
    rest = rest.slice(close + 1)
  }
  const [value = ''] = rest.trim().split(/\s+/, 1)
  return { name, labels, value: numberOf(value) }
}

function unescape(value: string): string {
  return value.includes('\\')
    ? value.replace(/\\(.)/g, (_, letter: string) => (letter === 'n' ? '\n' : letter))
    : value
}

function numberOf(text: string): number {
  if (text === '+Inf' || text === 'Inf') return Infinity
  return text === '' ? NaN : Number(text)
}
