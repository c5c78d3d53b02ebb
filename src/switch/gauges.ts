import { type Decider, registerFlagGauges } from '../flags/index.ts'
import type { Side } from '../side.ts'
import type { Recorder } from '../telemetry/index.ts'
import type { Debts } from './debts.ts'
import type { GuardedSide } from './guarded-side.ts'

export interface GaugesParts {
  /** The cache's name: several may share one recorder. */
  readonly name: string
  readonly recorder: Recorder
  readonly sides: Readonly<Record<Side, GuardedSide>>
  readonly debts: Debts
  readonly decider: Decider
  readonly flag: string | undefined
}

/** Shows the state that somebody on call asks for first. Returns the way to take it away again. */
export function registerGauges(parts: GaugesParts): () => void {
  const { name, recorder, sides, debts, decider, flag } = parts
  const removals: ((() => void) | undefined)[] = []
  const add = (
    metric: string,
    help: string,
    labels: Readonly<Record<string, string>>,
    read: () => number,
  ): void => {
    removals.push(recorder.gauge?.(metric, help, { cache: name, ...labels }, read))
  }
  for (const guarded of Object.values(sides)) {
    const { side, backend } = guarded
    const labels = { side, backend: backend.name }
    add('switchback_side_up', '1 while the breaker of the side is closed.', labels, () =>
      guarded.usable ? 1 : 0,
    )
    add('switchback_side_out_seconds', 'For how long the side has been out; else 0.', labels, () =>
      guarded.usable ? 0 : (Date.now() - guarded.outSince) / 1000,
    )
    add(
      'switchback_owed_invalidations',
      'Invalidations that the side has not received yet.',
      labels,
      () => debts.count(side),
    )
  }
  add(
    'switchback_flags_up',
    '1 while the flag source answers and its latest configuration is in force.',
    {},
    () => (decider.health().ok ? 1 : 0),
  )
  removals.push(registerFlagGauges({ recorder, decider, flag }))
  return () => {
    for (const remove of removals) remove?.()
  }
}
