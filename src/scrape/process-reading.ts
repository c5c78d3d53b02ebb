import type { Side } from '../side.ts'
import type { Series } from './exposition.ts'

/** What one cache of a process decides about a flag. */
export interface ScrapedSplit {
  /** The cache's name, which its decisions have as the attribute `feature`; `''` without one. */
  readonly feature: string
  /** Probe users asked for, and how many of them go to the new side. */
  readonly probes: number
  readonly on: number
  /** `exact`: our own evaluation of the fixed probe users; `sample`: another vendor's answers. */
  readonly kind: 'exact' | 'sample'
  /** `rpc`, `in-process`, `file` or `provider`; `''` where it is unknown. */
  readonly mode: string
  /** Hash of the flag's definition in force; `''` where it is not known. */
  readonly hash: string
  /** Epoch seconds since when the share is unchanged; `undefined` where it is unknown. */
  readonly since: number | undefined
}

/** What a process reports about one flag. */
export interface ProcessReading {
  /** Distinguishes one process from the next at the same address; `''` where it is unknown. */
  readonly instance: string
  /** One for each cache on this flag; empty when the process knows nothing of the flag. */
  readonly splits: readonly ScrapedSplit[]
  /** It decides the flag, even if it cannot report the result at the moment. */
  readonly knowsFlag: boolean
  /** Other flags that the process decides. */
  readonly others: readonly string[]
  /** Whether its flags are up; `undefined` where it is unknown. */
  readonly up: boolean | undefined
  /** Why it refused the latest flags; `undefined` when it accepted them. */
  readonly refused: { readonly reason: string; readonly since: number | undefined } | undefined
  /** Operations of its caches since it began, by side. */
  readonly operations: Readonly<Record<Side, number>>
  /** The name of the new side's backend, e.g. `redis`; `''` where it is unknown. */
  readonly newSide: string
  /** Whether the new side answers, of every cache on the flag; `undefined` where it is not told. */
  readonly newSideUp: boolean | undefined
  /** `both`, `retire-off` or `retire-on`, of each of its caches; empty where none says. */
  readonly stages: readonly string[]
  /** Invalidations that a side has not received yet, as this process knows. */
  readonly owed: number
}

const NAMES: ReadonlySet<string> = new Set([
  'switchback_instance_info',
  'switchback_flags_up',
  'switchback_flags_refused',
  'switchback_flags_refused_info',
  'switchback_flags_refused_since_seconds',
  'switchback_live_split_info',
  'switchback_live_split_on',
  'switchback_live_split_probes',
  'switchback_live_split_since_seconds',
  'switchback_operations_total',
  'switchback_side_up',
  'switchback_stage_info',
  'switchback_owed_invalidations',
])

/** Whether a metric is one of those that {@link processReadingOf} reads. */
export function isProcessMetric(name: string): boolean {
  return NAMES.has(name)
}

interface Parts {
  probes: number | undefined
  on: number | undefined
  since: number | undefined
  info: Series['labels']
}

/** Longer texts of a process are cut, since they are shown to people. */
const LONGEST = 300

/** Reads what a process reports about a flag; series of other metrics are skipped. */
export function processReadingOf(series: readonly Series[], flag: string): ProcessReading {
  const byFeature = new Map<string, Parts>()
  const others = new Set<string>()
  let instance = ''
  let up: boolean | undefined
  let refused = false
  let reason = ''
  let since: number | undefined
  let newSide = ''
  let newSideUp: boolean | undefined
  let knowsFlag = false
  const stages = new Set<string>()
  let owed = 0
  const operations = { off: 0, on: 0 }
  for (const { name, labels, value } of series) {
    if (name === 'switchback_instance_info') instance = (labels['instance_id'] ?? '').slice(0, 64)
    // Of another implementation than the cache.
    if (labels['switch'] !== undefined) {
      if (name === 'switchback_flags_up' && labels['flag'] === flag) {
        up = value === 1 && up !== false
      }
      continue
    }
    const of = labels['flag']
    if (of !== undefined && of !== flag) {
      others.add(of.slice(0, LONGEST))
      continue
    }
    knowsFlag ||= of === flag
    switch (name) {
      case 'switchback_operations_total': {
        const { side } = labels
        if ((side === 'off' || side === 'on') && value >= 0) operations[side] += value
        break
      }
      case 'switchback_side_up':
        if (labels['side'] !== 'on') break
        newSide = shown(labels['backend'] ?? '')
        newSideUp = value === 1 && newSideUp !== false
        break
      case 'switchback_stage_info':
        if (value === 1) stages.add(shown(labels['stage'] ?? ''))
        break
      case 'switchback_owed_invalidations':
        if (value > 0) owed += value
        break
      case 'switchback_flags_up':
        up = value === 1 && up !== false
        break
      case 'switchback_flags_refused':
        refused ||= value === 1
        break
      case 'switchback_flags_refused_info':
        if (value === 1) reason = shown(labels['reason'] ?? '')
        break
      case 'switchback_flags_refused_since_seconds':
        since = value > 0 ? value : undefined
        break
      default:
        if (!name.startsWith('switchback_live_split_') || of === undefined) break
        take(byFeature, labels, name.slice('switchback_live_split_'.length), value)
    }
  }
  return {
    instance,
    splits: [...byFeature].flatMap(([feature, parts]) => splitOf(feature, parts) ?? []),
    knowsFlag,
    others: [...others].sort(),
    up,
    refused: refused ? { reason, since } : undefined,
    operations,
    newSide,
    newSideUp,
    stages: [...stages],
    owed,
  }
}

function take(
  byFeature: Map<string, Parts>,
  labels: Series['labels'],
  what: string,
  value: number,
): void {
  const feature = labels['feature'] ?? ''
  const empty = { probes: undefined, on: undefined, since: undefined, info: {} }
  const parts: Parts = byFeature.get(feature) ?? empty
  if (what === 'probes') parts.probes = value
  else if (what === 'on') parts.on = value
  else if (what === 'since_seconds') parts.since = value > 0 ? value : undefined
  else if (what === 'info' && value === 1) parts.info = labels
  byFeature.set(feature, parts)
}

/** Impossible counts are treated as missing. */
function splitOf(feature: string, { probes, on, since, info }: Parts): ScrapedSplit | undefined {
  if (probes === undefined || on === undefined) return undefined
  if (!(probes > 0) || !(on >= 0) || !(on <= probes)) return undefined
  return {
    feature,
    probes,
    on,
    since,
    kind: info['kind'] === 'sample' ? 'sample' : 'exact',
    mode: shown(info['mode'] ?? ''),
    hash: info['hash'] ?? '',
  }
}

// oxlint-disable-next-line no-control-regex -- a process must not write to the terminal through us
const control = /[\u0000-\u001F\u007F-\u009F]+/g

function shown(text: string): string {
  return text.slice(0, LONGEST).replaceAll(control, ' ')
}
