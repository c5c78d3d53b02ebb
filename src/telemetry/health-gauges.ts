import type { Side } from '../side.ts'
import type { Recorder } from './recorder.ts'

/** What a cache says of one of its sides. */
interface SideState {
  /** Epoch milliseconds; 0 while it is in. */
  readonly outSince: number
  readonly owed: number
  readonly foreign: number
}

/**
 * Shows the state that somebody on call asks for first. Returns the way to take it away again.
 * @param name the cache's: several may share one recorder
 * @param backends names the two stores
 */
export function registerHealthGauges(
  recorder: Recorder,
  name: string,
  backends: Readonly<Record<Side, string>>,
  stateOf: (side: Side) => SideState,
  flagsAreUp: () => boolean,
): () => void {
  const ofSide = (
    metric: string,
    help: string,
    read: (state: SideState) => number,
  ): (() => void)[] =>
    (['off', 'on'] as const).flatMap((side) => {
      const labels = { cache: name, side, backend: backends[side] }
      return recorder.gauge?.(metric, help, labels, () => read(stateOf(side))) ?? []
    })
  const removals = [
    ...ofSide('switchback_side_up', '1 while the breaker of the side is closed.', ({ outSince }) =>
      outSince === 0 ? 1 : 0,
    ),
    ...ofSide(
      'switchback_side_out_seconds',
      'For how long the side has been out; else 0.',
      ({ outSince }) => (outSince === 0 ? 0 : (Date.now() - outSince) / 1000),
    ),
    ...ofSide(
      'switchback_owed_invalidations',
      'Invalidations that the side has not received yet.',
      ({ owed }) => owed,
    ),
    ...ofSide(
      'switchback_foreign_refusals',
      "How often the side could not take a key because another program's data is under it.",
      ({ foreign }) => foreign,
    ),
    recorder.gauge?.(
      'switchback_flags_up',
      '1 while the flag source answers and its latest configuration is in force.',
      { cache: name },
      () => (flagsAreUp() ? 1 : 0),
    ),
  ]
  return () => {
    for (const remove of removals) remove?.()
  }
}
