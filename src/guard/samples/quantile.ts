/**
 * A quantile of a histogram with cumulative buckets, linear within its bucket as in Prometheus.
 *
 * @param bounds upper ends of the buckets, rising, the last infinite
 * @param cumulative for each bound, how many lie at or below it
 * @param q from 0 to 1
 * @returns in the unit of the bounds; the last finite bound when it lies above; `undefined` for an
 * empty histogram
 * @see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile
 */
export function quantile(
  bounds: readonly number[],
  cumulative: ArrayLike<number>,
  q: number,
): number | undefined {
  const total = cumulative[cumulative.length - 1] ?? 0
  if (!(total > 0)) return undefined
  const rank = q * total
  for (const [index, bound] of bounds.entries()) {
    const count = cumulative[index] ?? 0
    if (count < rank) continue
    const below = cumulative[index - 1] ?? 0
    const from = bounds[index - 1] ?? 0
    if (bound === Infinity) return from
    return count === below ? bound : from + ((bound - from) * (rank - below)) / (count - below)
  }
  return bounds.at(-2)
}
