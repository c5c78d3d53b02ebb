import type { Series } from '../../scrape/index.ts'

/** A series that the rule needs, and a Prometheus does not have. */
export interface Missing {
  readonly name: string
  /** A label of it that is gone; undefined: the whole series is. */
  readonly label?: string
  /** Of the replica that should have it. */
  readonly job: string
  readonly replica: string
}

const OPERATIONS = 'switchback_user_operations_total'

/** By label what the rule counts by. */
const LABELS: Readonly<Record<string, readonly string[]>> = {
  [OPERATIONS]: ['side', 'bucket'],
  switchback_user_bad_operations_total: ['side', 'bucket', 'ended'],
  switchback_user_slow_operations_total: ['side', 'bucket', 'over'],
  switchback_users_total: ['side'],
}

/**
 * What one replica lacks. Every process has the series that are asked for here, those by user from
 * its first operation on.
 */
export function missingOf(replica: string, series: readonly Series[]): readonly Missing[] {
  const found = new Set(series.map(({ name }) => name))
  const job = series[0]?.labels['job'] ?? ''
  const busy = series.some(({ name, value }) => name === 'switchback_operations_total' && value > 0)
  const needed = [
    'switchback_instance_info',
    'switchback_users_total',
    'switchback_user_windows_total',
    ...(busy ? [OPERATIONS, 'switchback_user_bad_operations_total'] : []),
  ]
  const gone = needed.filter((name) => !found.has(name)).map((name) => ({ name, job, replica }))
  const bare = Object.entries(LABELS).flatMap(([name, labels]) => {
    const one = series.find((each) => each.name === name)
    const lost = one === undefined ? [] : labels.filter((label) => one.labels[label] === undefined)
    return lost.map((label) => ({ name, label, job, replica }))
  })
  return [...gone, ...bare]
}
