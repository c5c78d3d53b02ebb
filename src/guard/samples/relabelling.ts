import { LOAD } from '../../load-package.ts'
import type { Missing } from './needed.ts'

interface Rule {
  readonly action?: unknown
  readonly regex?: unknown
  readonly source_labels?: unknown
}

/**
 * Which rule of a Prometheus' configuration drops a series or a label, e.g. `metric_relabel_configs[0] of
 * the job "shop" drops it (regex switchback_user_.*)`; '' when none that can be read does.
 */
export function droppedBy(configuration: string, { name, label, job }: Missing): string {
  let rules: readonly Rule[]
  try {
    const { scrape_configs: jobs = [] } = (LOAD.yaml() as typeof import('yaml')).parse(
      configuration,
    ) as {
      readonly scrape_configs?: readonly {
        readonly job_name?: unknown
        readonly metric_relabel_configs?: readonly Rule[]
      }[]
    }
    rules = jobs.find(({ job_name: its }) => its === job)?.metric_relabel_configs ?? []
  } catch {
    // A server with another kind of configuration: its rules are not known.
    return ''
  }
  const index = rules.findIndex((rule) => drops(rule, name, label))
  if (index < 0) return ''
  const regex = String(rules[index]?.regex)
  return `metric_relabel_configs[${index}] of the job "${job}" drops it (regex ${regex})`
}

function drops(
  { action, regex, source_labels: from }: Rule,
  name: string,
  label?: string,
): boolean {
  let matches: (text: string) => boolean
  try {
    const pattern = new RegExp(`^(?:${String(regex ?? '(.*)')})$`, 'u')
    matches = (text) => pattern.test(text)
  } catch {
    // A regular expression of Go that JavaScript does not have.
    return false
  }
  if (action === 'labeldrop') return label !== undefined && matches(label)
  if (action === 'labelkeep') return label !== undefined && !matches(label)
  const byName = Array.isArray(from) && from.length === 1 && from[0] === '__name__'
  if (!byName || label !== undefined) return false
  return action === 'drop' ? matches(name) : action === 'keep' && !matches(name)
}
