import type { Side } from '../../side.ts'
import type { Labels } from '../output/families.ts'
import type { Recorder } from '../recorder.ts'

/** What a cache says of one of its sides. */
interface SideState {
  /** Epoch milliseconds; 0 while it is in. */
  readonly outSince: number
  readonly owed: number
  readonly foreign: number
}

/** Help of a gauge that caches and switches have. */
export const FLAGS_UP = '1 while the flag source answers and its latest configuration is in force.'

type Names = Readonly<Record<Side, string>>

/**
 * Shows the state that somebody on call asks for first. Returns the way to take it away again.
 * @param name the cache's: several may share one recorder
 * @param backends names the two stores
 */
export function registerHealthGauges(
  recorder: Recorder,
  name: string,
  backends: Names,
  stateOf: (side: Side) => SideState,
  flagsAreUp: () => boolean,
): () => void {
  const labels = { cache: name }
  const pending = 'Invalidations that the side has not received yet.'
  const foreign =
    "How often the side could not take a key because another program's data is under it."
  const removals = [
    registerSideGauges(recorder, labels, backends, (side) => stateOf(side).outSince),
    ...ofSide(recorder, labels, backends, 'switchback_owed_invalidations', pending, (side) => {
      return stateOf(side).owed
    }),
    ...ofSide(recorder, labels, backends, 'switchback_foreign_refusals', foreign, (side) => {
      return stateOf(side).foreign
    }),
    recorder.gauge?.('switchback_flags_up', FLAGS_UP, labels, () => (flagsAreUp() ? 1 : 0)),
  ]
  return () => {
    for (const remove of removals) remove?.()
  }
}

/**
 * Shows whether each side is in.
 * @param labels name the cache or the switch
 * @param outSince epoch milliseconds; 0 while the side is in
 */
export function registerSideGauges(
  recorder: Recorder,
  labels: Labels,
  backends: Names,
  outSince: (side: Side) => number,
): () => void {
  const up = '1 while the breaker of the side is closed.'
  const out = 'For how long the side has been out; else 0.'
  const removals = [
    ...ofSide(recorder, labels, backends, 'switchback_side_up', up, (side) =>
      outSince(side) === 0 ? 1 : 0,
    ),
    ...ofSide(recorder, labels, backends, 'switchback_side_out_seconds', out, (side) => {
      const since = outSince(side)
      return since === 0 ? 0 : (Date.now() - since) / 1000
    }),
  ]
  return () => {
    for (const remove of removals) remove()
  }
}

function ofSide(
  recorder: Recorder,
  labels: Labels,
  backends: Names,
  metric: string,
  help: string,
  read: (side: Side) => number,
): (() => void)[] {
  return (['off', 'on'] as const).flatMap((side) => {
    const all = { ...labels, side, backend: backends[side] }
    return recorder.gauge?.(metric, help, all, () => read(side)) ?? []
  })
}
