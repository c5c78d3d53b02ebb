import type { Decider, FlagDecider, FlagHealth } from './decide/decision.ts'
import type { LiveSplit } from './decide/live-split.ts'

type Labels = Readonly<Record<string, string>>

/** Where values are asked for when somebody looks: the telemetry, if it has an output for them. */
export interface FlagGauges {
  gauge?(name: string, help: string, labels: Labels, read: () => number): () => void
  gauges?(
    name: string,
    help: string,
    read: () => readonly { readonly labels: Labels; readonly value: number }[],
  ): () => void
}

export interface FlagGaugesParts {
  readonly recorder: FlagGauges
  readonly decider: Decider
  /** For deciders that have no flag of their own. */
  readonly flag: string | undefined
}

const SPLIT_GAUGES: readonly (readonly [string, string, (split: LiveSplit) => number])[] = [
  [
    'switchback_live_split_probes',
    'Probe users for whom this process evaluated the flag.',
    ({ probes }) => probes,
  ],
  [
    'switchback_live_split_on',
    'How many of the probe users go to the new side now.',
    ({ on }) => on,
  ],
  [
    'switchback_live_split_ratio',
    'Share of the probe users that goes to the new side now.',
    ({ ratio }) => ratio,
  ],
  [
    'switchback_live_split_timestamp_seconds',
    'When the probe users were last evaluated, in seconds since the epoch.',
    ({ at }) => at / 1000,
  ],
  [
    'switchback_live_split_since_seconds',
    'Since when the number on the new side is unchanged, in seconds since the epoch.',
    ({ since }) => since / 1000,
  ],
]

/** Exposes what this process decides, and whether it refuses the latest configuration. */
export function registerFlagGauges({ recorder, decider, flag }: FlagGaugesParts): () => void {
  const known: Partial<FlagDecider> = decider
  const labels: Record<string, string> = {}
  const name = known.flag ?? flag
  if (name !== undefined) labels['flag'] = name
  if (known.feature !== undefined) labels['feature'] = known.feature

  const removals: ((() => void) | undefined)[] = []
  const one = (metric: string, help: string, read: (health: FlagHealth) => number): void => {
    const value = (): number => read(decider.health())
    removals.push(recorder.gauge?.(metric, help, labels, value))
  }
  const info = (
    metric: string,
    help: string,
    read: (health: FlagHealth) => Labels | undefined,
  ): void => {
    const values = () => {
      const more = read(decider.health())
      return more === undefined ? [] : [{ labels: { ...labels, ...more }, value: 1 }]
    }
    removals.push(recorder.gauges?.(metric, help, values))
  }

  for (const [metric, help, read] of SPLIT_GAUGES) {
    // Unknown values are left out.
    one(metric, help, ({ liveSplit }) => (liveSplit === undefined ? Number.NaN : read(liveSplit)))
  }
  info(
    'switchback_live_split_info',
    "How exact the live split is, and a hash of the flag's definition; the value is 1.",
    ({ liveSplit }) => liveSplit && { ...pick(liveSplit) },
  )
  one(
    'switchback_flags_refused',
    '1 while the latest configuration is refused.',
    ({ configuration }) => (configuration?.refused === undefined ? 0 : 1),
  )
  one(
    'switchback_flags_refused_since_seconds',
    'Since when the latest configuration is refused, in seconds since the epoch.',
    ({ configuration }) => (configuration?.refused?.since ?? Number.NaN) / 1000,
  )
  info(
    'switchback_flags_refused_info',
    'Why the latest configuration is refused; the value is 1.',
    ({ configuration }) => configuration?.refused && { reason: configuration.refused.reason },
  )
  // A decider may wait with its probe users until the first look; this makes the first scrape
  // right.
  if (recorder.gauge !== undefined) look(decider)
  return () => {
    for (const remove of removals) remove?.()
  }
}

function look(decider: Decider): void {
  try {
    decider.health()
  } catch {
    // A hand-written decider may throw; the metrics then lack its values.
  }
}

function pick({ kind, mode, hash }: LiveSplit): Labels {
  return { kind, mode, hash }
}
