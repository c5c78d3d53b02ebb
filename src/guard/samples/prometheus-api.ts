import { messageOf } from '../../errors.ts'
import { prometheusClient, type PrometheusOptions, type Series } from '../../scrape/index.ts'
import { type Missing, missingOf } from './needed.ts'
import { readingOf } from './reading.ts'
import type { Reading, Watched } from './reading.ts'
import { droppedBy } from './relabelling.ts'
import type { Selector } from './metric-selector.ts'
import type { Failure, MetricsSource } from './metrics-source.ts'

export interface PrometheusSourceOptions extends PrometheusOptions {
  /** PromQL matchers that pick the app's replicas, e.g. `job="shop"`. @default '' */
  readonly matchers?: string
  readonly selectors?: readonly Selector[]
  /** What the guard judges. @default the cache */
  readonly watched?: Watched
  /** Of these, those that must be there from the first poll on. @default none */
  readonly needed?: readonly Selector[]
}

/**
 * Reads the replicas from a Prometheus server by instant queries. A query returns samples up to
 * five minutes old under its own time; so the samples' times are queried too, and a replica that is
 * no longer scraped counts as lost.
 *
 * @see https://prometheus.io/docs/prometheus/latest/querying/api/
 */
export function prometheusSource(options: PrometheusSourceOptions): MetricsSource {
  const { matchers = '', selectors = [], watched } = options
  const server = prometheusClient(options)
  const names = ['switchback_.*', ...new Set(selectors.map(({ name }) => name))].join('|')
  const rest = matchers.trim() === '' ? '' : `,${matchers}`
  // The guard's own metrics are of no replica.
  const everything = `{__name__=~"${names}",__name__!~"switchback_guard_.*"${rest}}`
  const times = `timestamp(switchback_start_time_seconds{${matchers}})`

  const own = (options.needed ?? []).map(({ name }) => name)
  let explained: { readonly of: string; readonly sentences: readonly string[] } | undefined

  async function lacking(
    series: readonly Series[],
    sampled: readonly Series[],
    signal: AbortSignal | undefined,
  ): Promise<readonly string[]> {
    if (series.length === 0) {
      const which = matchers.trim() === '' ? '' : ` with ${matchers}`
      return [
        `${server.host} has no series of Switchback${which}; does it scrape the app, and are these the matchers of its job?`,
      ]
    }
    const found = lackingOf(series, sampled, own)
    if (found.length === 0) return []
    // Asked once for the same: the configuration is large, and polls are many.
    const of = JSON.stringify(found)
    if (explained?.of !== of) {
      const configuration = await server.configuration(signal)
      explained = { of, sentences: found.map((one) => sentenceOf(one, configuration)) }
    }
    return explained.sentences
  }

  return {
    name: server.host,
    async poll(signal) {
      try {
        const [series, sampled] = await Promise.all([
          server.query(everything, signal),
          server.query(times, signal),
        ])
        const missing = await lacking(series, sampled, signal)
        return { ...readingsOf(series, sampled, selectors, watched), missing }
      } catch (error) {
        return { readings: [], failures: [{ replica: server.host, message: messageOf(error) }] }
      }
    },
  }
}

/** What is missing, each once, with one of the replicas that lack it. */
function lackingOf(
  series: readonly Series[],
  sampled: readonly Series[],
  own: readonly string[],
): readonly Missing[] {
  const byReplica = grouped(series)
  const all = Array.from(byReplica, ([replica, list]) => missingOf(replica, list)).flat()
  // Of the plan's own, one replica need not have all.
  const names = new Set(series.map(({ name }) => name))
  const gone = own.filter((name) => !names.has(name))
  if (sampled.length === 0) gone.push('switchback_start_time_seconds')
  const [{ labels } = { labels: {} as Series['labels'] }] = series
  const where = { job: labels['job'] ?? '', replica: replicaOf(labels) }
  all.push(...gone.map((name) => ({ name, ...where })))
  const once = new Map(all.map((one) => [`${one.name} ${one.label ?? ''}`, one]))
  return [...once.values()]
}

function sentenceOf(missing: Missing, configuration: string): string {
  const { name, label, replica } = missing
  const what = label === undefined ? name : `label ${label} of ${name}`
  const why =
    droppedBy(configuration, missing) ||
    `look for a metric_relabel_configs that drops it (the rule counts by user bucket)`
  return `${replica}: the Prometheus has no ${what}: ${why}`
}

function grouped(series: readonly Series[]): Map<string, Series[]> {
  const byReplica = new Map<string, Series[]>()
  for (const one of series) {
    const replica = replicaOf(one.labels)
    const list = byReplica.get(replica)
    if (list === undefined) byReplica.set(replica, [one])
    else list.push(one)
  }
  return byReplica
}

function readingsOf(
  series: readonly Series[],
  sampled: readonly Series[],
  selectors: readonly Selector[],
  watched: Watched | undefined,
): { readings: Reading[]; failures: Failure[] } {
  const times = new Map(sampled.map(({ labels, value }) => [replicaOf(labels), value]))
  const byReplica = grouped(series)
  const readings: Reading[] = []
  const failures: Failure[] = []
  for (const [replica, at] of times) {
    try {
      readings.push(readingOf(replica, at, byReplica.get(replica) ?? [], selectors, watched))
    } catch (error) {
      failures.push({ replica, message: messageOf(error) })
    }
  }
  return { readings, failures }
}

function replicaOf(labels: Series['labels']): string {
  return labels['instance'] ?? ''
}
