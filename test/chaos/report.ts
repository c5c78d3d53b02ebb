import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { StaleRead } from '../support/history.ts'
import type { ChaosReport } from './chaos-run.ts'

/** A run in a dozen lines. */
export function summary(report: ChaosReport): string {
  const { record, verdict, options, seconds } = report
  const { history, operations } = record
  const rss = record.vitals.map((one) => one.at(-1)!.rss / 2 ** 20)
  const perSecond = operations.length / seconds
  return [
    `  ${options.topology}, standby ${options.standby}, ${seconds.toFixed(0)} s: ` +
      `${operations.length} operations (${perSecond.toFixed(0)}/s), ${history.reads.length} reads, ` +
      `slowest ${record.slowestMs.toFixed(0)} ms, RSS at most ${Math.max(...rss).toFixed(0)} MiB`,
    `  faults   ${counted(count(report.struck.map(({ name }) => name)))}`,
    `  served   ${counted(record.served)}`,
    `  events   ${counted(record.events)}`,
    `  warnings ${counted(shortened(record.warnings))}`,
    ...(report.repaidMs === undefined
      ? []
      : [`  repaid   all, ${report.repaidMs.toFixed(0)} ms after the last fault was mended`]),
    ...(verdict.allowed > 0
      ? [
          `  allowed  ${verdict.allowed} stale reads after an eviction, as docs/guarantees.md says (their TTL bounds them)`,
        ]
      : []),
    ...[...report.leftOut].map(([name, why]) => `  LEFT OUT ${name}: ${why}`),
  ].join('\n')
}

/** What went wrong, where to look, and how to have it again. */
export function failure(report: ChaosReport): string {
  const { problems, stale } = report.verdict
  const first = stale[0]
  return [
    `  FAILED: ${problems.length} problems`,
    ...problems.slice(0, 12).map((problem) => `    ${problem}`),
    ...(first === undefined ? [] : ['  what led there:', ...story(report, first)]),
    `  logs     ${report.logs}`,
    `  replay   ${replay(report)}`,
  ].join('\n')
}

export function replay({ options }: ChaosReport): string {
  const { seed, topology, standby, seconds, faults } = options
  const only = faults === undefined ? '' : ` --faults ${faults.join(',')}`
  return `npm run test:chaos -- --seed ${seed} --topology ${topology} --standby ${standby} --seconds ${seconds}${only}`
}

const SHOWN = 30

/** The lines about the key of a stale read, from when its value came into being, and the faults then. */
function story({ logs, struck }: ChaosReport, { read, born, superseded }: StaleRead): string[] {
  const from = (born ?? superseded?.invokedAt ?? read.invokedAt) - 100_000
  const lines = readdirSync(logs)
    .filter((name) => name.endsWith('.log'))
    .flatMap((name) =>
      readFileSync(join(logs, name), 'utf8')
        .split('\n')
        .map((line) => line.split('\t'))
        .filter(([kind, key]) => key === read.key || kind === 'event')
        .map((fields) => ({ at: Number(fields[fields[0] === 'event' ? 1 : 2]), name, fields })),
    )
    .filter(({ at }) => at >= from && at <= read.invokedAt)
    .toSorted((a, b) => a.at - b.at)
    .map(({ at, name, fields }) => `    ${at} ${name} ${fields.join(' ')}`)
  const shown =
    lines.length <= SHOWN
      ? lines
      : [...lines.slice(0, SHOWN / 2), '    ...', ...lines.slice(-SHOWN / 2)]
  const meanwhile = struck
    .filter(({ from: begin, to }) => to >= from && begin <= read.invokedAt)
    .slice(-12)
    .map((one) => `    fault ${one.name} from ${one.from} to ${one.to}`)
  return [...shown, ...meanwhile]
}

function count(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1
  return counts
}

function counted(counts: Readonly<Record<string, number>>): string {
  const entries = Object.entries(counts).toSorted(([, a], [, b]) => b - a)
  return entries.length === 0 ? '-' : entries.map(([name, n]) => `${name} ${n}`).join(', ')
}

const LONGEST = 70

/** Warnings may be whole sentences, and hold addresses. */
function shortened(counts: Readonly<Record<string, number>>): Record<string, number> {
  const short: Record<string, number> = {}
  for (const [text, n] of Object.entries(counts)) {
    const name = text.replaceAll(/:\d+/gu, '').slice(0, LONGEST)
    short[name] = (short[name] ?? 0) + n
  }
  return short
}
