import { messageOf } from '../../errors.ts'
import { prometheusClient, type PrometheusOptions, type Series } from '../../scrape/index.ts'
import { readingOf } from './reading.ts'
import type { Reading, Watched } from './reading.ts'
import type { Selector } from './selector.ts'
import type { Failure, MetricsSource } from './source.ts'

export interface PrometheusSourceOptions extends PrometheusOptions {
  /** PromQL matchers that pick the app's replicas, e.g. `job="shop"`. @default '' */
  readonly matchers?: string
  readonly selectors?: readonly Selector[]
  /** What the guard judges. @default the cache */
  readonly watched?: Watched
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
  const everything = `{__name__=~"${names}"${rest}}`
  const times = `timestamp(switchback_start_time_seconds{${matchers}})`

  return {
    name: server.host,
    async poll(signal) {
      try {
        const [series, sampled] = await Promise.all([
          server.query(everything, signal),
          server.query(times, signal),
        ])
        return readingsOf(series, sampled, selectors, watched)
      } catch (error) {
        return { readings: [], failures: [{ replica: server.host, message: messageOf(error) }] }
      }
    },
  }
}

function readingsOf(
  series: readonly Series[],
  sampled: readonly Series[],
  selectors: readonly Selector[],
  watched: Watched | undefined,
): { readings: Reading[]; failures: Failure[] } {
  const times = new Map(sampled.map(({ labels, value }) => [replicaOf(labels), value]))
  const byReplica = new Map<string, Series[]>()
  for (const one of series) {
    const replica = replicaOf(one.labels)
    const list = byReplica.get(replica)
    if (list === undefined) byReplica.set(replica, [one])
    else list.push(one)
  }
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
