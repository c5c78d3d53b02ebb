import { quote } from '../../errors.ts'
import { closestName } from '../../closest.ts'

/** Reads a value of unknown shape and collects its problems, each with its place. */
export class PlanReader {
  readonly problems: string[]
  readonly #value: unknown
  readonly #path: string

  constructor(value: unknown, path = '', problems: string[] = []) {
    this.#value = value
    this.#path = path
    this.problems = problems
  }

  get value(): unknown {
    return this.#value
  }

  get missing(): boolean {
    return this.#value === undefined || this.#value === null
  }

  problem(what: string): void {
    this.problems.push(`${this.#path === '' ? 'the plan' : this.#path}: ${what}`)
  }

  /** The value of a key; {@link only} reports unknown keys. */
  at(key: string): PlanReader {
    const record = this.#record()
    const path = this.#path === '' ? key : `${this.#path}.${key}`
    return new PlanReader(record[key], path, this.problems)
  }

  only(...known: readonly string[]): void {
    for (const key of Object.keys(this.#record())) {
      if (known.includes(key)) continue
      const near = closestName(key, known)
      this.problem(`unknown key ${quote(key)}${near === undefined ? '' : `; ${near}?`}`)
    }
  }

  keys(): readonly string[] {
    return Object.keys(this.#record())
  }

  list(): PlanReader[] {
    if (this.missing) return []
    if (!Array.isArray(this.#value)) {
      this.problem(`expected a list, got ${quote(this.#value)}`)
      return []
    }
    return this.#value.map(
      (value: unknown, i) => new PlanReader(value, `${this.#path}[${i}]`, this.problems),
    )
  }

  text(fallback: string): string {
    if (this.missing) return fallback
    if (typeof this.#value === 'string' && this.#value !== '') return this.#value
    this.problem(`expected a text, got ${quote(this.#value)}`)
    return fallback
  }

  oneOf<T extends string>(values: readonly T[], fallback: T): T {
    if (this.missing) return fallback
    const found = values.find((value) => value === this.#value)
    if (found === undefined)
      this.problem(`${quote(this.#value)} is not one of ${values.join(', ')}`)
    return found ?? fallback
  }

  number(fallback: number, least: number, most: number): number {
    if (this.missing) return fallback
    const value = this.#value
    if (typeof value === 'number' && value >= least && value <= most) return value
    this.problem(`expected a number from ${least} to ${most}, got ${quote(value)}`)
    return fallback
  }

  /** A share as `0.001` or `'0.1%'`. */
  share(fallback: number, most = 1): number {
    if (this.missing) return fallback
    const match = /^(\d+(?:\.\d+)?)\s*%$/.exec(String(this.#value))
    const value = match === null ? this.#value : Number(match[1]) / 100
    if (typeof value === 'number' && value >= 0 && value <= most) return value
    this.problem(`expected a share such as 0.001 or '0.1%', got ${quote(this.#value)}`)
    return fallback
  }

  /** A duration in milliseconds, written `'30s'`, `'10m'`; a bare number would be ambiguous. */
  duration(fallbackMs: number, leastMs = 0): number {
    if (this.missing) return fallbackMs
    const match = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)$/.exec(String(this.#value))
    const unit = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
    const value =
      match === null ? Number.NaN : Number(match[1]) * unit[match[2] as keyof typeof unit]
    if (value >= leastMs) return value
    const least = leastMs === 0 ? '' : ` of at least ${leastMs} ms`
    this.problem(`expected a duration${least} such as '30s' or '10m', got ${quote(this.#value)}`)
    return fallbackMs
  }

  #record(): Readonly<Record<string, unknown>> {
    if (this.missing) return {}
    if (typeof this.#value === 'object' && !Array.isArray(this.#value)) {
      return this.#value as Readonly<Record<string, unknown>>
    }
    // Reported once per place, however many keys are read.
    const what = `${this.#path === '' ? 'the plan' : this.#path}: expected a map, got ${quote(this.#value)}`
    if (!this.problems.includes(what)) this.problems.push(what)
    return {}
  }
}
