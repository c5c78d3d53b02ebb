import { quote, SwitchbackError } from '../errors.ts'

/** One sample of one series. */
export interface Series {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface ParseLimits {
  /** Series kept at most. @default 50_000 */
  readonly maxSeries?: number
  /** Longer lines are refused, in characters. @default 16_384 */
  readonly maxLine?: number
}

const ONE_PROCESS = 'name the metrics URL of one app process, not of an aggregator'
const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*/
// Sticky, so that nothing is copied to go on behind a label.
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"([^"\\]*(?:\\.[^"\\]*)*)"\s*(?:,\s*|(?=\}))/y
// No digit may match in two ways: a text of 16,000 digits that is not a number would take a quarter of a second.
const NUMBER = /^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i

/**
 * Reads Prometheus text (format 0.0.4) in pieces, and keeps only the wanted series. The input is
 * not trusted: anything else is refused with its line, and memory is bounded by the kept series and
 * one line.
 */
export class ExpositionReader {
  readonly series: Series[] = []
  readonly #wanted: (name: string) => boolean
  readonly #maxSeries: number
  readonly #maxLine: number
  #rest = ''
  #line = 0

  constructor(wanted: (name: string) => boolean, limits: ParseLimits = {}) {
    this.#wanted = wanted
    this.#maxSeries = limits.maxSeries ?? 50_000
    this.#maxLine = limits.maxLine ?? 16_384
  }

  /** @throws SwitchbackError `SB_METRICS_SYNTAX`, `SB_METRICS_TOO_LARGE` */
  push(text: string): void {
    let start = 0
    for (;;) {
      const end = text.indexOf('\n', start)
      if (end === -1) break
      this.#take(this.#rest + text.slice(start, end))
      this.#rest = ''
      start = end + 1
    }
    this.#rest += text.slice(start)
    if (this.#rest.length > this.#maxLine) this.#refuseLength()
  }

  end(): readonly Series[] {
    if (this.#rest !== '') this.#take(this.#rest)
    this.#rest = ''
    return this.series
  }

  #take(raw: string): void {
    this.#line++
    if (raw.length > this.#maxLine) this.#refuseLength()
    const line = raw.trim()
    if (line === '' || line.startsWith('#')) return
    const name = NAME.exec(line)?.[0]
    if (name === undefined) return this.#refuse(line)
    if (!this.#wanted(name)) return
    let at = name.length
    const labels: Record<string, string> = Object.create(null) as Record<string, string>
    if (line[at] === '{') {
      at = skipBlanks(line, at + 1)
      while (line[at] !== '}') {
        LABEL.lastIndex = at
        const match = LABEL.exec(line)
        if (match === null) return this.#refuse(line)
        labels[match[1]!] = unescape(match[2]!)
        at += match[0].length
      }
      at++
    }
    const value = valueOf(line.slice(at).trim()) ?? beforeTimestamp(line.slice(at))
    if (value === undefined) return this.#refuse(line)
    if (this.series.length >= this.#maxSeries) {
      throw new SwitchbackError('SB_METRICS_TOO_LARGE', `more than ${this.#maxSeries} series`, {
        hint: ONE_PROCESS,
      })
    }
    this.series.push({ name, labels, value })
  }

  #refuse(line: string): never {
    throw new SwitchbackError('SB_METRICS_SYNTAX', `metrics line ${this.#line}: ${quote(line)}`, {
      hint: 'this is not Prometheus text: check that the address is that of /metrics',
    })
  }

  #refuseLength(): never {
    throw new SwitchbackError('SB_METRICS_TOO_LARGE', `metrics line ${this.#line} is too long`, {
      hint: ONE_PROCESS,
    })
  }
}

function skipBlanks(line: string, from: number): number {
  let at = from
  while (line[at] === ' ' || line[at] === '\t') at++
  return at
}

function unescape(text: string): string {
  return text.includes('\\')
    ? text.replaceAll(/\\(.)/g, (_, c: string) => (c === 'n' ? '\n' : c))
    : text
}

/** A value may be followed by the time that it was taken at, which nobody reads. */
function beforeTimestamp(text: string): number | undefined {
  const [value = '', , extra] = text.trim().split(/\s+/)
  return extra === undefined ? valueOf(value) : undefined
}

function valueOf(text: string): number | undefined {
  if (text === '+Inf' || text === 'Inf') return Infinity
  if (text === '-Inf') return -Infinity
  if (text === 'NaN') return Number.NaN
  return NUMBER.test(text) ? Number(text) : undefined
}
