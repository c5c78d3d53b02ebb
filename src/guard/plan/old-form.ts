import type { PlanReader } from './reader.ts'

/** Keys of a metric before there was one number `harm`. */
const OLD_MARGINS: ReadonlySet<string> = new Set(['tolerate', 'allow'])

/**
 * Plans of the first edition gave each metric four numbers that contradicted each other, and compared
 * `errors` and `slow`. What is found of that is a problem that names the line to write instead.
 *
 * @returns keys of the plan that were told of, and need not be told of again as unknown
 */
export function refuseOldForm(reader: PlanReader): readonly string[] {
  const told: string[] = []
  const tell = (key: string, entry: PlanReader, what: string): void => {
    if (entry.missing) return
    entry.problem(what)
    told.push(key)
  }
  const late = String(reader.at('latencyBudget').value ?? '25ms')
  tell(
    'latencyBudget',
    reader.at('latencyBudget'),
    `is part of a metric now; write metrics: { degraded: { late: ${late} } }`,
  )
  tell(
    'starved',
    reader.at('starved'),
    'was removed: a step that cannot be decided holds and says why; delete the line',
  )
  if (isObject(reader.at('metrics').value)) {
    const metrics = reader.at('metrics')
    const failed = harmOf(metrics.at('errors'), '0.1%')
    tell(
      'errors',
      metrics.at('errors'),
      `is two metrics now; write failed: { harm: ${failed} } (the caller got nothing) and degraded: { harm: 0.5% } (served late or by the other side)`,
    )
    tell(
      'slow',
      metrics.at('slow'),
      `is part of degraded now; write degraded: { harm: ${harmOf(metrics.at('slow'), '0.5%')}, late: ${late} }`,
    )
    for (const id of ['failed', 'degraded', 'repeat-misses']) {
      refuseMargins(metrics.at(id), id, id === 'repeat-misses' ? '2%' : '0.5%')
    }
  }
  if (Array.isArray(reader.at('custom').value)) {
    for (const entry of reader.at('custom').list()) refuseMargins(entry, '', '0.1%')
  }
  return told
}

/** Whether the keys of a metric are those of the first edition, so that they are told of already. */
export function isOldMargin(key: string): boolean {
  return OLD_MARGINS.has(key)
}

function refuseMargins(entry: PlanReader, id: string, usual: string): void {
  if (!isObject(entry.value) || !entry.keys().some((key) => isOldMargin(key))) return
  const harm = harmOf(entry, usual)
  const line = id === '' ? `harm: ${harm}` : `${id}: { harm: ${harm} }`
  entry.problem(`tolerate and allow are one number now; write ${line}`)
}

/** What was allowed at the end of the old plan is what may be spoilt now. */
function harmOf(entry: PlanReader, usual: string): string {
  if (!isObject(entry.value)) return usual
  const { allow, tolerate } = entry.value as Record<string, unknown>
  const add = isObject(tolerate) ? (tolerate as Record<string, unknown>)['add'] : undefined
  const budget = isObject(allow) ? (allow as Record<string, unknown>)['budget'] : undefined
  const found = [add, budget].find((value) => typeof value === 'string' || Number(value) > 0)
  return found === undefined ? usual : String(found)
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
