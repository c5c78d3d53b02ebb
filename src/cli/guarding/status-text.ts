import { clock } from '../../clock.ts'
import type { MetricVerdict, PublishedStatus } from '../../guard/index.ts'
import { ago } from '../framework/format.ts'
import type { Style } from '../framework/style.ts'

/** What a guard told last, for people. */
export function statusText(
  status: PublishedStatus | undefined,
  running: boolean,
  flag: string,
  style: Style,
): string {
  if (status === undefined) return `no guard runs for ${flag}\n`
  const { name, summary } = status
  const heard = ago(new Date(summary.at).toISOString())
  const head = running
    ? `${style.bold(name)} acts on ${flag}, heard ${heard}`
    : style.yellow(`no guard runs for ${flag}; ${name} was heard last ${heard}`)
  const attempt = summary.epoch > 1 ? [`  attempt ${summary.epoch}`] : []
  // One alone is in the sentence.
  const others = summary.waits.length < 2 ? [] : summary.waits
  const waits = others.map((line) => `  waits for ${line}`)
  const metrics = summary.metrics.map((metric) => metricLine(metric, summary.lateMs))
  const incidents = summary.incidents.map(
    ({ at, sentence }) => `  ${style.dim(clock(at))}  incident: ${sentence}`,
  )
  const alarms = summary.alarms.map((alarm) => `  ${style.red('alarm')} ${alarm}`)
  // An older guard does not publish it.
  const ended = (summary.ended ?? []).map((text) => `  ${style.dim(text)}`)
  const lines = [head, `  ${summary.sentence}`, ...attempt, ...waits, ...metrics]
  return `${[...lines, ...incidents, ...alarms, ...ended].join('\n')}\n`
}

function metricLine(
  { id, treatment, control, recent, allowed }: MetricVerdict,
  lateMs: number,
): string {
  const of = ({ bad, total }: { bad: number; total: number }): string => `${bad} of ${total}`
  const late = id === 'degraded' ? `, late is above ${lateMs} ms` : ''
  const minute = `of the last minute on ${of(recent.treatment)}, off ${of(recent.control)}`
  const harm = `allowed ${Number((allowed * 100).toPrecision(3))} %`
  return `  ${id.padEnd(14)} on ${of(treatment)}, off ${of(control)}; ${minute}; ${harm}${late}`
}
