import type { ResolveError } from './resolve-error.ts'
import type { Answer } from './flag-set.ts'

/** The counters of flagd that dashboards read, under flagd's names. */
export class SidecarMetrics {
  readonly #impressions = new Map<string, number>()
  readonly #reasons = new Map<string, number>()
  readonly #gauges: readonly Gauge[]

  constructor(gauges: readonly Gauge[] = []) {
    this.#gauges = gauges
  }

  evaluated(key: string, answer: Answer | ResolveError): void {
    if (answer instanceof Error) {
      // Keys of flags that do not exist come from outside: as labels they would grow without bound.
      const name = answer.errorCode === 'FLAG_NOT_FOUND' ? '' : key
      const failed = { key: name, reason: 'ERROR', error: answer.errorCode }
      return add(this.#reasons, labels(failed))
    }
    const { reason, variant } = answer
    add(this.#impressions, labels({ key, reason, variant }))
    add(this.#reasons, labels({ key, reason }))
  }

  /** Prometheus text, format 0.0.4. */
  render(): string {
    return [
      ...counter('impression', 'Evaluations by flag, reason and variant.', this.#impressions),
      ...counter('result_reason', 'Evaluations by flag and reason.', this.#reasons),
      ...this.#gauges.flatMap(({ name, help, read }) => [
        `# HELP ${name} ${help}`,
        `# TYPE ${name} gauge`,
        `${name} ${read()}`,
      ]),
      '',
    ].join('\n')
  }
}

export interface Gauge {
  readonly name: string
  readonly help: string
  readonly read: () => number
}

function add(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}

function labels(values: Readonly<Record<string, string>>): string {
  return Object.entries(values)
    .map(([name, value]) => `feature_flag_${name}="${value.replace(/[\\"\n]/g, escape)}"`)
    .join(',')
}

function escape(character: string): string {
  return character === '\n' ? '\\n' : `\\${character}`
}

function counter(suffix: string, help: string, counts: ReadonlyMap<string, number>): string[] {
  const name = `feature_flag_flagd_${suffix}_total`
  const lines = [`# HELP ${name} ${help}`, `# TYPE ${name} counter`]
  for (const [key, count] of counts) lines.push(`${name}{${key}} ${count}`)
  return lines
}
