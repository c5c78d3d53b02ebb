import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const MINUTE_US = 60_000_000
const MIB = 2 ** 20

/** One second of one process, as its worker noted it. */
interface Second {
  readonly app: string
  readonly at: number
  readonly cpu: number
  readonly operations: number
  readonly p50: number
  readonly p99: number
  readonly max: number
  readonly rss: number
  readonly open: number
}

/** Throughput, latency, memory and CPU by minute, as a table of Markdown; quantiles are of a second. */
export function table(logs: string): string {
  const all = readdirSync(logs)
    .filter((name) => /^p\d.*\.log$/u.test(name))
    .flatMap((name) => secondsOf(name, readFileSync(join(logs, name), 'utf8')))
  const start = Math.min(...all.map(({ at }) => at))
  const minutes = groupedBy(all, ({ at }) => Math.floor((at - start) / MINUTE_US))
  const rows = [...minutes]
    .toSorted(([a], [b]) => a - b)
    .map(([minute, seconds]) => {
      const operations = seconds.reduce((sum, one) => sum + one.operations, 0)
      const times = seconds.map(({ at }) => at)
      const lasted = (Math.max(...times) - Math.min(...times)) / 1e6 + 1
      return [
        minute + 1,
        (operations / lasted).toFixed(0),
        median(seconds.map(({ p50 }) => p50)).toFixed(2),
        median(seconds.map(({ p99 }) => p99)).toFixed(2),
        Math.max(...seconds.map(({ max }) => max)).toFixed(2),
        (cpu(seconds) / operations).toFixed(0),
        (Math.max(...seconds.map(({ rss }) => rss)) / MIB).toFixed(0),
        Math.max(...seconds.map(({ open }) => open)),
      ]
    })
  return [
    '| minute | ops/s | p50 ms | p99 ms | max ms | CPU us/op | RSS MiB, largest app | open handles |',
    '| --- | --- | --- | --- | --- | --- | --- | --- |',
    ...rows.map((row) => `| ${row.join(' | ')} |`),
  ].join('\n')
}

function secondsOf(app: string, text: string): readonly Second[] {
  return [...text.matchAll(/^(\d+)\tvitals\t\t(.*)$/gmu)].map(([, at, rest = '']) => {
    const [cpu = 0, operations = 0, p50 = 0, p99 = 0, max = 0, rss = 0, open = 0] = rest
      .split('\t')
      .map(Number)
    return { app, at: Number(at), cpu, operations, p50, p99, max, rss, open }
  })
}

/** Microseconds that the processes ran, from their first second to their last. */
function cpu(seconds: readonly Second[]): number {
  return [...groupedBy(seconds, ({ app }) => app).values()].reduce(
    (sum, own) => sum + own.at(-1)!.cpu - own[0]!.cpu,
    0,
  )
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0
}

function groupedBy<T, K>(items: readonly T[], keyOf: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>()
  for (const item of items) {
    const group = groups.get(keyOf(item))
    if (group === undefined) groups.set(keyOf(item), [item])
    else group.push(item)
  }
  return groups
}
