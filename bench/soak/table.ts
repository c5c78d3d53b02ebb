import type { ChaosRecord, TimedOperation, Vitals } from '../../test/chaos/record.ts'
import type { Verdict } from '../../test/chaos/verdict.ts'

const MINUTE_US = 60_000_000
const MIB = 2 ** 20

/** Throughput, latency, memory and CPU by minute, as a table of Markdown. */
export function table(record: ChaosRecord): string {
  const start = Math.min(...record.vitals.map((one) => one[0]!.at))
  const minutes = new Map<number, TimedOperation[]>()
  for (const operation of record.operations) {
    const minute = Math.floor((operation.endedAt - start) / MINUTE_US)
    const some = minutes.get(minute)
    if (some === undefined) minutes.set(minute, [operation])
    else some.push(operation)
  }
  const rows = [...minutes]
    .toSorted(([a], [b]) => a - b)
    .map(([minute, operations]) => {
      const [from, to] = [start + minute * MINUTE_US, start + (minute + 1) * MINUTE_US]
      const last = operations.reduce((latest, { endedAt }) => Math.max(latest, endedAt), 0)
      const seconds = (last - from) / 1e6
      const took = operations.map((one) => one.took).toSorted((a, b) => a - b)
      const seen = record.vitals.map((one) => one.filter(({ at }) => at >= from && at < to))
      return [
        minute + 1,
        (operations.length / seconds).toFixed(0),
        ms(quantile(took, 0.5)),
        ms(quantile(took, 0.99)),
        ms(took.at(-1)!),
        cpuPerOperation(seen).toFixed(0),
        (Math.max(...seen.map((one) => one.at(-1)?.rss ?? 0)) / MIB).toFixed(0),
        Math.max(...seen.map((one) => one.at(-1)?.open ?? 0)),
      ]
    })
  return [
    '| minute | ops/s | p50 ms | p99 ms | max ms | CPU us/op | RSS MiB, largest app | open handles |',
    '| --- | --- | --- | --- | --- | --- | --- | --- |',
    ...rows.map((row) => `| ${row.join(' | ')} |`),
  ].join('\n')
}

function cpuPerOperation(apps: readonly (readonly Vitals[])[]): number {
  let cpu = 0
  let operations = 0
  for (const seen of apps) {
    const [first, last] = [seen[0], seen.at(-1)]
    if (first === undefined || last === undefined) continue
    cpu += last.cpu - first.cpu
    operations += last.operations - first.operations
  }
  return operations === 0 ? 0 : cpu / operations
}

function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.floor(q * (sorted.length - 1))] ?? 0
}

function ms(us: number): string {
  return (us / 1000).toFixed(2)
}

/** What was promised, in one line each. */
export function footer(
  record: ChaosRecord,
  verdict: Verdict,
  repaidMs: number | undefined,
): string {
  const { history, operations, failed, served } = record
  const sides = Object.entries(served).toSorted(([, a], [, b]) => b - a)
  return [
    `${operations.length} operations, ${history.reads.length} reads: ` +
      `${failed.length} failed, ${verdict.stale.length} stale`,
    `reads served: ${sides.map(([name, count]) => `${name} ${count}`).join(', ')}`,
    repaidMs === undefined ? 'NOT repaid' : `all repaid ${repaidMs.toFixed(0)} ms after the load`,
  ].join('\n')
}
