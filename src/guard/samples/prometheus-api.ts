import { messageOf, SwitchbackError } from '../../errors.ts'
import type { Series } from './exposition.ts'
import { fetchText } from './fetch-text.ts'
import { readingOf } from './reading.ts'
import type { Reading } from './reading.ts'
import { metricsUrl } from './replicas.ts'
import type { Selector } from './selector.ts'
import type { Failure, MetricsSource } from './source.ts'

export interface PrometheusSourceOptions {
  /** Address of the server, e.g. `http://prometheus:9090`. */
  readonly url: string
  /** PromQL matchers that pick the app's replicas, e.g. `job="shop"`. @default '' */
  readonly matchers?: string
  readonly selectors?: readonly Selector[]
  /** Sent as `Authorization: Bearer`. */
  readonly token?: string
  /** For a whole answer, in milliseconds. @default 5000 */
  readonly timeoutMs?: number
  /** @default 32 MiB */
  readonly maxBytes?: number
}

/**
 * Reads the replicas from a Prometheus server by instant queries. A query answers with the last sample
 * of up to five minutes ago, under the time of the query; so the samples' own times are asked for too,
 * and a replica that is not scraped any more is seen as lost.
 *
 * @see https://prometheus.io/docs/prometheus/latest/querying/api/
 */
export function prometheusSource(options: PrometheusSourceOptions): MetricsSource {
  const { matchers = '', selectors = [], timeoutMs = 5000, maxBytes = 32 * 2 ** 20 } = options
  const base = metricsUrl(options.url)
  const names = ['switchback_.*', ...new Set(selectors.map(({ name }) => name))].join('|')
  const rest = matchers.trim() === '' ? '' : `,${matchers}`
  const everything = `{__name__=~"${names}"${rest}}`
  const times = `timestamp(switchback_start_time_seconds{${matchers}})`
  const headers =
    options.token === undefined ? undefined : { authorization: `Bearer ${options.token}` }

  async function query(expression: string, signal: AbortSignal | undefined): Promise<Series[]> {
    const url = new URL(`${base.pathname.replace(/\/$/, '')}/api/v1/query`, base)
    url.searchParams.set('query', expression)
    return vectorOf(await fetchText(url, { maxBytes, timeoutMs, signal, headers }))
  }

  return {
    name: base.host,
    async poll(signal) {
      try {
        const [series, sampled] = await Promise.all([
          query(everything, signal),
          query(times, signal),
        ])
        return readingsOf(series, sampled, selectors)
      } catch (error) {
        return { readings: [], failures: [{ replica: base.host, message: messageOf(error) }] }
      }
    },
  }
}

function readingsOf(
  series: readonly Series[],
  sampled: readonly Series[],
  selectors: readonly Selector[],
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
      readings.push(readingOf(replica, at, byReplica.get(replica) ?? [], selectors))
    } catch (error) {
      failures.push({ replica, message: messageOf(error) })
    }
  }
  return { readings, failures }
}

function replicaOf(labels: Series['labels']): string {
  return labels['instance'] ?? ''
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}

function vectorOf(text: string): Series[] {
  const refuse = (why: string, cause?: unknown): never => {
    throw new SwitchbackError('SB_METRICS_SYNTAX', `The answer is no query result: ${why}`, {
      hint: 'Is this the address of a Prometheus server?',
      cause,
    })
  }
  let answer: unknown
  try {
    answer = JSON.parse(text)
  } catch (error) {
    return refuse('not JSON', error)
  }
  if (!isObject(answer)) return refuse('not an object')
  if (answer['status'] !== 'success') return refuse(String(answer['error'] ?? answer['status']))
  const data = answer['data']
  if (!isObject(data) || data['resultType'] !== 'vector' || !Array.isArray(data['result'])) {
    return refuse('not a vector')
  }
  return data['result'].map((entry: unknown): Series => {
    if (!isObject(entry) || !isObject(entry['metric']) || !Array.isArray(entry['value'])) {
      return refuse('a sample without metric or value')
    }
    const labels: Record<string, string> = Object.create(null) as Record<string, string>
    for (const [name, value] of Object.entries(entry['metric'])) {
      if (typeof value !== 'string') refuse(`label ${name} is no string`)
      labels[name] = String(value)
    }
    const value: unknown = entry['value'][1]
    if (typeof value !== 'string') return refuse('a value is no string')
    const number = value === '+Inf' ? Infinity : value === '-Inf' ? -Infinity : Number(value)
    return { name: labels['__name__'] ?? '', labels, value: number }
  })
}
