import { COLUMNS } from './columns.ts'

type Point = readonly (number | null)[]

/** Half an hour and a bit. */
const KEEP = 2000

/**
 * The series as charts want it: a list for each column. It outlives the server: after a restart the
 * page still has what the server has forgotten.
 */
export class PageData {
  #points: Point[] = []

  /** Epoch seconds of the latest point; 0 without one. */
  get last(): number {
    return this.#points.at(-1)?.[0] ?? 0
  }

  push(point: Point): void {
    if ((point[0] ?? 0) <= this.last) return
    this.#points.push(point)
    if (this.#points.length > KEEP) this.#points = this.#points.slice(-KEEP + 100)
  }

  merge(points: readonly Point[]): void {
    const known = new Set(this.#points.map(([at]) => at))
    const fresh = points.filter(([at]) => !known.has(at ?? 0))
    if (fresh.length === 0) return
    this.#points = [...this.#points, ...fresh].sort((a, b) => (a[0] ?? 0) - (b[0] ?? 0))
  }

  /** The columns from a time on, `at` first; where seconds are missing, the line breaks. */
  columns(names: readonly string[], since: number): (number | null)[][] {
    const indices = ['at', ...names].map((name) => COLUMNS.indexOf(name))
    const result: (number | null)[][] = indices.map(() => [])
    let previous = 0
    for (const point of this.#points) {
      const at = point[0] ?? 0
      if (at < since) continue
      if (previous > 0 && at - previous > 5) {
        for (const [i, list] of result.entries()) list.push(i === 0 ? previous + 1 : null)
      }
      previous = at
      for (const [i, index] of indices.entries()) result[i]?.push(point[index] ?? null)
    }
    return result
  }
}
