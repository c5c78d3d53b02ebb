const PER_ARM = [
  'operations',
  'bad',
  'p50',
  'p95',
  'p99',
  'hitRate',
  'originLoads',
  'lost',
] as const

/**
 * What a point of the series holds, in this order. `at` in epoch seconds; `share`: the `on` share in
 * per cent as the file has it; `seen`: the share of the operations; then `off`, `on` and both together.
 */
export const COLUMNS: readonly string[] = [
  'at',
  'share',
  'seen',
  ...(['off', 'on', 'all'] as const).flatMap((arm) => PER_ARM.map((name) => `${arm}.${name}`)),
]

export type ArmColumn = (typeof PER_ARM)[number]

/** The columns of one arm, in order. */
export const ARM_COLUMNS: readonly ArmColumn[] = PER_ARM
