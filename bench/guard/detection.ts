import { userSequence } from './competitors.ts'
import { Traffic } from './traffic.ts'
import { competitorWatcher, DEGRADED, FAILED, guardWatcher, trial } from './trial.ts'
import type { Watcher } from './trial.ts'

export interface Change {
  readonly name: string
  readonly control: number
  readonly treatment: number
  /** Healthy seconds with users on treatment before the change. @default 0 */
  readonly healthy?: number
  /** Looked for at most so long. */
  readonly seconds: number
  /** The most that the median may be, in seconds. */
  readonly goal?: { readonly failed: number; readonly degraded: number }
}

export const CHANGES: readonly Change[] = [
  { name: 'outage', control: 0, treatment: 1, seconds: 300, goal: { failed: 6, degraded: 12 } },
  {
    name: 'outage after 1 h',
    control: 0,
    treatment: 1,
    healthy: 3600,
    seconds: 300,
    goal: { failed: 12, degraded: 22 },
  },
  { name: '0→5 %', control: 0, treatment: 0.05, seconds: 1000 },
  { name: '0→1 %', control: 0, treatment: 0.01, seconds: 4000 },
  { name: '.1→1 %', control: 0.001, treatment: 0.01, seconds: 4000 },
  { name: '1→5 %', control: 0.01, treatment: 0.05, seconds: 2000 },
]

export function detectors(): Watcher[] {
  return [guardWatcher(FAILED), guardWatcher(DEGRADED), competitorWatcher(userSequence())]
}

/** Seconds until each watcher went back, one per run; `Infinity` when it did not. */
export function detectionTimes(
  change: Change,
  share: number,
  options: { readonly runs: number; readonly seed: number },
): Map<string, number[]> {
  const times = new Map<string, number[]>(detectors().map(({ name }) => [name, []]))
  for (let run = 0; run < options.runs; run++) {
    const traffic = new Traffic({ seed: options.seed + run * 104_729 })
    // Not always at the beginning of a slot, or of a watch.
    const healthy = change.healthy === undefined ? 0 : change.healthy + traffic.random.below(60)
    const fired = trial(traffic, detectors(), healthy + change.seconds, (second) => ({
      share,
      control: change.control,
      treatment: second >= healthy ? change.treatment : change.control,
    }))
    for (const [name, list] of times) {
      const at = fired.get(name) ?? Infinity
      // A false alarm before the change is none of the detections.
      if (at > healthy) list.push(at - healthy)
    }
  }
  return times
}
