import type { Answer, ResolveError } from './evaluation-service.ts'

/** The counters of flagd that dashboards read, under flagd's names. */
export class SidecarMetrics {
  readonly #impressions = new Map<string, number>()
  readonly #reasons = new Map<string, number>()

  evaluated(key: string, answer: Answer | ResolveError): void {
    const failed = answer instanceof Error
    // Unknown keys come from outside: as labels they would grow without bound.
    const name = failed && answer.errorCode === 'FLAG_NOT_FOUND' ? '' : key
    if (failed) {
      add(
        this.#reasons,
        labels({
          exception_type: answer.errorCode,
          feature_flag_key: name,
          feature_flag_reason: 'ERROR',
        }),
      )
      return
    }
    const { reason, variant } = answer
    add(
      this.#impressions,
      labels({
        feature_flag_key: name,
        feature_flag_reason: reason,
        feature_flag_variant: variant,
      }),
    )
    add(this.#reasons, labels({ feature_flag_key: name, feature_flag_reason: reason }))
  }

  /** Prometheus text, format 0.0.4. */
  render(): string {
    return [
      ...render(
        'feature_flag_flagd_impression_total',
        'Evaluations by flag, variant and reason.',
        this.#impressions,
      ),
      ...render(
        'feature_flag_flagd_result_reason_total',
        'Evaluations by flag and reason.',
        this.#reasons,
      ),
      '',
    ].join('\n')
  }
}

function add(counter: Map<string, number>, key: string): void {
  counter.set(key, (counter.get(key) ?? 0) + 1)
}

function labels(values: Record<string, string>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name}="${value.replace(/[\\"\n]/g, escape)}"`)
    .join(',')
}

function escape(character: string): string {
  return character === '\n' ? '\\n' : `\\${character}`
}

function render(name: string, help: string, counter: ReadonlyMap<string, number>): string[] {
  const lines = [`# HELP ${name} ${help}`, `# TYPE ${name} counter`]
  for (const [key, count] of counter) lines.push(`${name}{${key}} ${count}`)
  return lines
}
