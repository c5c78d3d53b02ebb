import type { Side } from '../../side.ts'

export interface DecisionCount {
  readonly side: Side
  readonly variant: string
  readonly reason: string
  readonly source: string
  count: number
}

const OTHER = 'other'
const MAX_VALUES = 12
const MAX_LENGTH = 64

/** One label's values: the first twelve distinct ones are kept, the rest are `other`. */
class BoundedLabel {
  readonly #known = new Map<string, number>([[OTHER, 0]])
  readonly values: string[] = [OTHER]

  index(value: string): number {
    const index = this.#known.get(value)
    if (index !== undefined) return index
    if (this.values.length > MAX_VALUES || value.length > MAX_LENGTH) return 0
    this.#known.set(value, this.values.length)
    return this.values.push(value) - 1
  }
}

const WIDTH = MAX_VALUES + 1

class Latest {
  index = -1
  #variant = ''
  #reason = ''
  #source = ''

  is(variant: string, reason: string, source: string): boolean {
    const same = variant === this.#variant && reason === this.#reason && source === this.#source
    return same && this.index >= 0
  }

  set(variant: string, reason: string, source: string, index: number): void {
    this.#variant = variant
    this.#reason = reason
    this.#source = source
    this.index = index
  }
}

/**
 * Counts decisions by side, variant, reason and source. These names come from a flags file and a
 * provider, so their number is bounded: a file with a thousand variants must not create a thousand
 * series.
 */
export class DecisionCounts {
  readonly #variants = new BoundedLabel()
  readonly #reasons = new BoundedLabel()
  readonly #sources = new BoundedLabel()
  readonly #counts = new Float64Array(2 * WIDTH ** 3)
  /** Of each side: most decisions are like the one before, and need not be looked up. */
  readonly #latest: readonly [Latest, Latest] = [new Latest(), new Latest()]

  add(side: number, variant: string, reason: string, source: string): void {
    const latest = this.#latest[side as 0 | 1]
    if (!latest.is(variant, reason, source)) {
      const at =
        (side * WIDTH + this.#variants.index(variant)) * WIDTH + this.#reasons.index(reason)
      latest.set(variant, reason, source, at * WIDTH + this.#sources.index(source))
    }
    this.#counts[latest.index]!++
  }

  list(): DecisionCount[] {
    const list: DecisionCount[] = []
    // Four thousand cells, of which a handful is ever used, are passed at each scrape.
    for (let index = 0; index < this.#counts.length; index++) {
      const count = this.#counts[index]!
      if (count === 0) continue
      list.push({
        side: index < WIDTH ** 3 ? 'off' : 'on',
        variant: this.#variants.values[Math.floor(index / WIDTH ** 2) % WIDTH]!,
        reason: this.#reasons.values[Math.floor(index / WIDTH) % WIDTH]!,
        source: this.#sources.values[index % WIDTH]!,
        count,
      })
    }
    return list
  }
}
