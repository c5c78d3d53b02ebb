import type { ArmReading } from '../metrics/index.ts'
import { ARM_COLUMNS, COLUMNS } from '../page/charts/columns.ts'

/** One second of both sides, in the order of `COLUMNS`; `null` where nothing is known. */
export type SeriesPoint = readonly (number | null)[]

/** Half an hour of seconds. */
const CAPACITY = 1800

export function pointOf(
  at: number,
  share: number | undefined,
  arms: Readonly<Record<'off' | 'on' | 'all', ArmReading>> | undefined,
): SeriesPoint {
  const total = arms?.all.operations ?? 0
  const seen = arms === undefined || total === 0 ? null : (arms.on.operations / total) * 100
  const values = (['off', 'on', 'all'] as const).flatMap((arm) =>
    ARM_COLUMNS.map((name) => arms?.[arm][name] ?? null),
  )
  return [at / 1000, share ?? null, seen, ...values].map(rounded)
}

/** Seven digits are enough for a screen. */
function rounded(value: number | null, index: number): number | null {
  return value === null || index === 0 ? value : Number(value.toPrecision(7))
}

/** The last half hour, a point a second. */
export class RecentSeries {
  #points: SeriesPoint[] = []

  push(point: SeriesPoint): void {
    this.#points.push(point)
    if (this.#points.length > CAPACITY + 120) this.#points = this.#points.slice(-CAPACITY)
  }

  /** Points since then, in epoch seconds, oldest first. */
  since(seconds: number): readonly SeriesPoint[] {
    return this.#points.filter(([at]) => (at ?? 0) >= seconds)
  }

  /** What a rate adds up to since then, and the seconds of that which are known. */
  total(column: string, from: number, to: number): { sum: number; seconds: number } {
    const first = this.#points.find(([at]) => (at ?? 0) >= from)?.[0] ?? to
    const seconds = Math.max(0, to - first)
    return { sum: (this.mean(column, from, to) ?? 0) * seconds, seconds }
  }

  /** The mean of a column between two times in epoch seconds; `null` when nothing is known. */
  mean(column: string, from: number, to: number): number | null {
    const index = COLUMNS.indexOf(column)
    let sum = 0
    let count = 0
    for (const point of this.#points) {
      const at = point[0] ?? 0
      const value = point[index]
      if (at < from || at > to || value === null || value === undefined) continue
      sum += value
      count++
    }
    return count === 0 ? null : sum / count
  }
}
