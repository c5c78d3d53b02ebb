import type { Resolution } from './resolve.ts'

/** The counters of flagd that dashboards read, under flagd's names and with its labels. */
export class SidecarMetrics {
  readonly #impressions = new Map<string, number>()
  readonly #reasons = new Map<string, number>()
  readonly #gauges: readonly Gauge[]

  constructor(gauges: readonly Gauge[] = []) {
    this.#gauges = gauges
  }

  evaluated(key: string, { reason, variant, error }: Resolution): void {
    // flagd leaves the key out of errors: keys of flags that do not exist are unbounded.
    if (error !== undefined)
      return add(this.#reasons, { ExceptionTypeKeyName: error, ...of(reason) })
    const flag = { feature_flag_key: key, ...of(reason) }
    add(this.#impressions, { ...flag, feature_flag_result_variant: variant })
    add(this.#reasons, flag)
  }

  /** Prometheus text, format 0.0.4. */
  render(): string {
    return [
      ...counter(
        'impression',
        'Measures the number of evaluations for a given flag.',
        this.#impressions,
      ),
      ...counter(
        'result_reason',
        'Measures the number of evaluations for a given reason.',
        this.#reasons,
      ),
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

function of(reason: string): Readonly<Record<string, string>> {
  return { feature_flag_provider_name: 'flagd', feature_flag_reason: reason }
}

function add(counts: Map<string, number>, labels: Readonly<Record<string, string>>): void {
  const key = Object.entries(labels)
    .map(([name, value]) => `${name}="${value.replace(/[\\"\n]/g, escape)}"`)
    .join(',')
  counts.set(key, (counts.get(key) ?? 0) + 1)
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
