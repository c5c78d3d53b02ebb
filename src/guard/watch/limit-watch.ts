import type { Limit } from '../plan/plan.ts'
import type { Difference } from '../samples/difference.ts'

export interface Breach {
  readonly limit: Limit
  readonly value: number
  readonly forS: number
}

/** Harm to both sides: absolute limits, each exceeded only when it lasts. */
export class LimitWatch {
  readonly #limits: readonly Limit[]
  readonly #since = new Map<Limit, number>()

  constructor(limits: readonly Limit[]) {
    this.#limits = limits
  }

  /** @param at seconds @returns the limits exceeded for long enough */
  add(at: number, differences: readonly Difference[]): Breach[] {
    const broken: Breach[] = []
    for (const limit of this.#limits) {
      const value = valueOf(limit, differences)
      if (value === undefined) continue
      if (value <= limit.above) {
        this.#since.delete(limit)
        continue
      }
      const since = this.#since.get(limit) ?? at
      this.#since.set(limit, since)
      if (at - since >= limit.forS) broken.push({ limit, value, forS: at - since })
    }
    return broken
  }
}

function valueOf({ of, selector }: Limit, differences: readonly Difference[]): number | undefined {
  if (differences.length === 0) return undefined
  const found = differences.map(({ selected, elapsedS }) => {
    const one = selected.get(selector.text)
    if (one === undefined) return of === 'rate' ? 0 : -Infinity
    return of === 'rate' ? one.sum / Math.max(elapsedS, 0.001) : one.max
  })
  return of === 'rate' ? found.reduce((sum, rate) => sum + rate, 0) : Math.max(...found)
}
