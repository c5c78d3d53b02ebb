import type { Side } from '../../side.ts'
import type { Recorder } from '../recorder.ts'

/**
 * Where a cache stands in its migration: `both` sides are used, or one is retired: written off its users, and
 * still told of every write.
 */
export type Stage = 'both' | 'retire-off' | 'retire-on'

export interface CoherenceState {
  readonly stage: Stage
  /** Of two shared stores: whether the side is used without asking the other one. */
  readonly licensed?: ((side: Side) => boolean) | undefined
  /** Of a side that other machines do not see, while there are any: whether it is told what they write. */
  readonly following?: (() => Following | undefined) | undefined
}

interface Following {
  readonly live: boolean
  /** Since when it may not have been told of something; -1: always. */
  readonly lagMs: number
}

/** Shows what the promise of a cache rests on just now. Returns the way to take it away again. */
export function registerCoherenceGauges(
  recorder: Recorder,
  name: string,
  backends: Readonly<Record<Side, string>>,
  { stage, licensed, following }: CoherenceState,
): () => void {
  const cache = { cache: name }
  const removals = [
    recorder.gauge?.(
      'switchback_stage_info',
      '1, with where the cache stands in its migration.',
      { ...cache, stage },
      () => 1,
    ),
    ...(['off', 'on'] as const).map((side) => {
      if (licensed === undefined) return undefined
      const help =
        '1 while the side is used without asking the other store whether an invalidation is pending.'
      const labels = { ...cache, side, backend: backends[side] }
      return recorder.gauge?.('switchback_side_licensed', help, labels, () =>
        licensed(side) ? 1 : 0,
      )
    }),
  ]
  if (following !== undefined) {
    const live = '1 while this process hears of changes in the shared store.'
    const lag = 'For how long this process may not have heard of a change in the shared store.'
    const read = (of: (health: Following) => number) => (): number => {
      const health = following()
      // A lone machine has nobody to follow, and no such metric.
      return health === undefined ? Number.NaN : of(health)
    }
    removals.push(
      recorder.gauge?.(
        'switchback_following',
        live,
        cache,
        read(({ live: is }) => (is ? 1 : 0)),
      ),
      recorder.gauge?.(
        'switchback_following_lag_seconds',
        lag,
        cache,
        read(({ lagMs }) => (lagMs < 0 ? Number.POSITIVE_INFINITY : lagMs / 1000)),
      ),
    )
  }
  return () => {
    for (const remove of removals) remove?.()
  }
}
