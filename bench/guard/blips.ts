import { asymptoticSequence, userSequence } from './competitors.ts'
import { Traffic } from './traffic.ts'
import { competitorWatcher, DEGRADED, FAILED, guardWatcher, quantile, trial } from './trial.ts'
import type { Watcher } from './trial.ts'

/** Incidents of the new side alone: all of its operations are bad while one lasts. */
export interface Blips {
  readonly name: string
  readonly lastsS: number
  /** Seconds between two of them; 0: there is one only. */
  readonly everyS: number
  /** At any moment, as often on average. */
  readonly random?: boolean
  /** When the first one comes, or up to ten seconds later. @default 20 s */
  readonly firstS?: number
  readonly hours: number
  /** Median seconds within which each metric has to go back; undefined: it must not. */
  readonly back: { readonly failed?: number | 'any'; readonly degraded?: number | 'any' }
}

export const BLIPS: readonly Blips[] = [
  { name: 'one, 0.3 s', lastsS: 0.3, everyS: 0, hours: 0.3, back: {} },
  { name: 'one, 2 s', lastsS: 2, everyS: 0, hours: 0.3, back: {} },
  { name: 'one, 5 s, at 10 min', lastsS: 5, everyS: 0, firstS: 600, hours: 0.4, back: {} },
  { name: 'hourly 0.3 s', lastsS: 0.3, everyS: 3600, hours: 8, back: {} },
  { name: 'hourly 2 s', lastsS: 2, everyS: 3600, hours: 8, back: {} },
  {
    name: 'at random, 0.3 s each 10 min',
    lastsS: 0.3,
    everyS: 600,
    random: true,
    hours: 8,
    back: {},
  },
  { name: 'at random, 1 s each 30 min', lastsS: 1, everyS: 1800, random: true, hours: 8, back: {} },
  { name: 'minutely 0.3 s', lastsS: 0.3, everyS: 60, hours: 2, back: { failed: 1200 } },
  { name: 'minutely 2 s', lastsS: 2, everyS: 60, hours: 2, back: { failed: 180, degraded: 480 } },
  {
    name: '0.3 s each 10 s',
    lastsS: 0.3,
    everyS: 10,
    hours: 2,
    back: { failed: 'any', degraded: 'any' },
  },
]

/** For each second, the part of it that is spoilt. */
function schedule(blips: Blips, seconds: number, traffic: Traffic): Float64Array {
  const spoilt = new Float64Array(seconds)
  const spoil = (from: number): void => {
    for (let left = blips.lastsS, at = from; left > 1e-9 && at < seconds;) {
      const part = Math.min(left, Math.floor(at) + 1 - at)
      spoilt[Math.floor(at)]! += part
      left -= part
      at += part
    }
  }
  const { random } = traffic
  if (blips.random === true) {
    for (let second = 0; second < seconds; second++) {
      if (random.next() < 1 / blips.everyS) spoil(second + random.next())
    }
  } else {
    const first = blips.firstS ?? 20
    const every = blips.everyS || Infinity
    for (let at = first + 10 * random.next(); at < seconds; at += every) spoil(at)
  }
  return spoilt
}

export interface BlipsOutcome {
  /** By watcher, seconds until it went back; `Infinity` when it did not. */
  readonly times: ReadonlyMap<string, readonly number[]>
}

export function blipsWatchers(): Watcher[] {
  return [
    guardWatcher(FAILED),
    guardWatcher(DEGRADED),
    competitorWatcher(asymptoticSequence()),
    competitorWatcher(userSequence()),
  ]
}

export function blipsTimes(
  blips: Blips,
  share: number,
  options: { readonly runs: number; readonly seed: number; readonly perSecond?: number },
): BlipsOutcome {
  const seconds = Math.round(blips.hours * 3600)
  const times = new Map<string, number[]>(blipsWatchers().map(({ name }) => [name, []]))
  for (let run = 0; run < options.runs; run++) {
    const traffic = new Traffic({
      seed: options.seed + run * 7919 + Math.round(share * 1000),
      perSecond: options.perSecond ?? 100,
    })
    const spoilt = schedule(blips, seconds, traffic)
    const fired = trial(traffic, blipsWatchers(), seconds, (second) => ({
      share,
      control: 0,
      treatment: Math.min(1, spoilt[second]!),
    }))
    for (const [name, list] of times) list.push(fired.get(name) ?? Infinity)
  }
  return { times }
}

export function backShare(times: readonly number[]): number {
  return times.filter((time) => time < Infinity).length / times.length
}

/** Whether the goals of a row are met, over all of its cells. */
export function blipsGoal(blips: Blips, cells: readonly BlipsOutcome[]): string[] {
  const missed: string[] = []
  for (const id of ['failed', 'degraded'] as const) {
    const within = blips.back[id]
    const lists = cells.map(({ times }) => times.get(id)!)
    const shares = lists.map((list) => backShare(list))
    if (within === undefined) {
      // On the margin exactly, what happens is no fault either way.
      if (Math.max(...shares) > 0.02)
        missed.push(`${id}: ${(Math.max(...shares) * 100).toFixed(0)} % back`)
    } else if (Math.min(...shares) < 0.95) missed.push(`${id}: not always back`)
    else if (within !== 'any') {
      const median = Math.max(...lists.map((list) => quantile(list, 0.5)))
      if (median > within) missed.push(`${id}: ${median} s`)
    }
  }
  return missed
}
