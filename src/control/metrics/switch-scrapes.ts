import { quantile } from '../../guard/index.ts'
import { LATENCY_BOUNDS } from '../../metrics.ts'
import type { Series } from '../../scrape/index.ts'
import type { Side } from '../../side.ts'

/** What is counted of one method: of each side, and of the comparisons of both. */
const FIELDS = ['operations', 'bad', 'fellBack', 'compared', 'mismatches', 'shadowFailed'] as const
const LENGTH = FIELDS.length + LATENCY_BOUNDS.length
/** A process with more methods than this is cut. */
const MOST = 200

type Field = (typeof FIELDS)[number]

/** Counters since the process began, as {@link FIELDS}, then the cumulative latency buckets. */
type Counters = Float64Array

/** The switches of one process that `createSwitch` made, by name. */
export type SwitchScrapes = ReadonlyMap<string, SwitchScrape>

export interface SwitchScrape {
  /** `''` where it is not told. */
  flag: string
  readonly names: Record<Side, string>
  /** For how many seconds a side has been out; 0 while it is in. */
  readonly outSeconds: Record<Side, number>
  readonly methods: Map<string, Record<Side, Counters>>
}

/** What one side does of one method: a rate a second, and shares over the last five seconds. */
export interface CallArm {
  readonly operations: number
  /** Share that failed or timed out, and share that the other side served; `null` without operations. */
  readonly errors: number | null
  readonly fallbacks: number | null
  /** Milliseconds. */
  readonly p99: number | null
}

export interface MethodReading {
  readonly name: string
  readonly off: CallArm
  readonly on: CallArm
  /** Comparisons a second, and the shares of them that differed, and that the other side failed. */
  readonly compared: number
  readonly mismatches: number | null
  readonly shadowFailed: number | null
}

/** Reads the series with the label `switch`; all others are skipped. */
export function switchesOf(series: readonly Series[]): SwitchScrapes {
  const found = new Map<string, SwitchScrape>()
  const bounds = new Map(LATENCY_BOUNDS.map((bound, index) => [bound, FIELDS.length + index]))
  for (const { name, labels, value } of series) {
    const of = labels['switch']
    if (of === undefined || !(value >= 0) || value === Infinity) continue
    if (!found.has(of) && found.size >= MOST) continue
    const one = found.get(of) ?? emptySwitch()
    found.set(of, one)
    if (name === 'switchback_switch_info') {
      one.flag = labels['flag'] ?? ''
      continue
    }
    const side = labels['side']
    const sided = side === 'on' || side === 'off'
    if (name === 'switchback_side_out_seconds' && sided) {
      one.names[side] = (labels['backend'] ?? '').slice(0, 64)
      one.outSeconds[side] = value
      continue
    }
    const method = labels['method']
    if (method === undefined || (!one.methods.has(method) && one.methods.size >= MOST)) continue
    const arms = one.methods.get(method) ?? emptyMethod()
    one.methods.set(method, arms)
    const add = (at: Side, field: Field): void => void (arms[at][FIELDS.indexOf(field)]! += value)
    if (name === 'switchback_operations_total' && sided) {
      const { outcome = '' } = labels
      add(side, 'operations')
      if (outcome === 'failed' || outcome === 'timed_out') add(side, 'bad')
      if (outcome === 'fell_back') add(side, 'fellBack')
    } else if (name === 'switchback_operation_duration_seconds_bucket' && sided) {
      const bound = labels['le'] === '+Inf' ? Infinity : Number(labels['le'])
      const index = bounds.get(bound)
      if (index !== undefined) arms[side][index]! += value
    } else if (name === 'switchback_comparisons_total' && labels['against'] === 'other') {
      const { result } = labels
      if (result !== 'shed') add('on', 'compared')
      if (result === 'mismatch') add('on', 'mismatches')
      if (result === 'failed') add('on', 'shadowFailed')
    }
  }
  return found
}

/** What happened between two scrapes; a process that restarted began at zero, with all of them. */
export function growthOf(
  before: SwitchScrapes,
  now: SwitchScrapes,
  restarted: boolean,
): SwitchScrapes {
  const grown = new Map<string, SwitchScrape>()
  for (const [name, one] of now) {
    const methods = new Map<string, Record<Side, Counters>>()
    for (const [method, arms] of one.methods) {
      const was = restarted ? undefined : before.get(name)?.methods.get(method)
      const since = (side: Side): Counters =>
        was === undefined ? arms[side] : arms[side].map((value, i) => value - was[side][i]!)
      methods.set(method, { off: since('off'), on: since('on') })
    }
    grown.set(name, { ...one, methods })
  }
  return grown
}

/** A counter is smaller than before: the process restarted. */
export function anyFell(before: SwitchScrapes, now: SwitchScrapes): boolean {
  for (const [name, { methods }] of now) {
    for (const [method, arms] of methods) {
      const was = before.get(name)?.methods.get(method)
      if (was === undefined) continue
      for (const side of ['off', 'on'] as const) {
        if (arms[side].some((value, i) => value < was[side][i]!)) return true
      }
    }
  }
  return false
}

/** The counts of several processes, each as a rate. */
export function sumOf(
  parts: readonly { readonly switches: SwitchScrapes; readonly seconds: number }[],
): SwitchScrapes {
  const sum = new Map<string, SwitchScrape>()
  for (const { switches, seconds } of parts) {
    for (const [name, one] of switches) {
      const into = sum.get(name) ?? emptySwitch()
      sum.set(name, into)
      if (one.flag !== '') into.flag = one.flag
      for (const side of ['off', 'on'] as const) {
        if (one.names[side] !== '') into.names[side] = one.names[side]
        into.outSeconds[side] = Math.max(into.outSeconds[side], one.outSeconds[side])
      }
      for (const [method, arms] of one.methods) {
        const of = into.methods.get(method) ?? emptyMethod()
        into.methods.set(method, of)
        for (const side of ['off', 'on'] as const) {
          for (let i = 0; i < LENGTH; i++) of[side][i]! += arms[side][i]! / seconds
        }
      }
    }
  }
  return sum
}

export function methodReading(name: string, arms: Readonly<Record<Side, Counters>>): MethodReading {
  const compared = at(arms.on, 'compared')
  return {
    name,
    off: armOf(arms.off),
    on: armOf(arms.on),
    compared,
    mismatches: share(at(arms.on, 'mismatches'), compared),
    shadowFailed: share(at(arms.on, 'shadowFailed'), compared),
  }
}

function armOf(counters: Counters): CallArm {
  const { operations, bad, fellBack, latency } = counts(counters)
  const seconds = quantile(LATENCY_BOUNDS, latency, 0.99)
  return {
    operations,
    errors: share(bad, operations),
    fallbacks: share(fellBack, operations),
    p99: seconds === undefined ? null : seconds * 1000,
  }
}

/** The counters of one side of a method that a cache has too. */
export function counts(counters: Counters): {
  readonly operations: number
  readonly bad: number
  readonly fellBack: number
  readonly latency: Counters
} {
  return {
    operations: at(counters, 'operations'),
    bad: at(counters, 'bad'),
    fellBack: at(counters, 'fellBack'),
    latency: counters.subarray(FIELDS.length),
  }
}

function at(counters: Counters, field: Field): number {
  return counters[FIELDS.indexOf(field)] ?? 0
}

function share(part: number, whole: number): number | null {
  return whole > 1e-9 ? Math.min(1, part / whole) : null
}

function emptySwitch(): SwitchScrape {
  const names = { off: '', on: '' }
  return { flag: '', names, outSeconds: { off: 0, on: 0 }, methods: new Map() }
}

function emptyMethod(): Record<Side, Counters> {
  return { off: new Float64Array(LENGTH), on: new Float64Array(LENGTH) }
}
