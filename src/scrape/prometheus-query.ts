import { SwitchbackError } from '../errors.ts'
import type { Series } from './exposition.ts'
import { fetchText } from './fetch-text.ts'
import { metricsUrl } from './metrics-url.ts'

export interface PrometheusOptions {
  /** The server, e.g. `http://prometheus:9090`. */
  readonly url: string
  /** Sent as `Authorization: Bearer`. */
  readonly token?: string
  /** For a whole answer, in milliseconds. @default 5000 */
  readonly timeoutMs?: number
  /** @default 32 MiB */
  readonly maxBytes?: number
}

export interface PrometheusClient {
  readonly host: string
  /** An instant query whose answer is a vector. */
  query(expression: string, signal?: AbortSignal): Promise<Series[]>
  /** Its configuration as YAML; '' where the server does not give it, as many a hosted one. */
  configuration(signal?: AbortSignal): Promise<string>
}

/**
 * Asks a Prometheus server.
 *
 * @throws {SwitchbackError} `SB_METRICS_URL_INVALID`
 * @see https://prometheus.io/docs/prometheus/latest/querying/api/
 */
export function prometheusClient(options: PrometheusOptions): PrometheusClient {
  const { token, timeoutMs = 5000, maxBytes = 32 * 2 ** 20 } = options
  const base = metricsUrl(options.url)
  const headers = token === undefined ? undefined : { authorization: `Bearer ${token}` }
  return {
    host: base.host,
    async query(expression, signal) {
      const url = new URL(`${base.pathname.replace(/\/$/, '')}/api/v1/query`, base)
      url.searchParams.set('query', expression)
      return vectorOf(await fetchText(url, { maxBytes, timeoutMs, signal, headers }))
    },
    async configuration(signal) {
      const url = new URL(`${base.pathname.replace(/\/$/, '')}/api/v1/status/config`, base)
      try {
        const text = await fetchText(url, { maxBytes, timeoutMs, signal, headers })
        const { data } = JSON.parse(text) as { readonly data: { readonly yaml: unknown } }
        return typeof data.yaml === 'string' ? data.yaml : ''
      } catch {
        // Thanos, Mimir and hosted servers do not have it.
        return ''
      }
    },
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}

function vectorOf(text: string): Series[] {
  const refuse = (why: string, cause?: unknown): never => {
    throw new SwitchbackError(
      'SB_METRICS_SYNTAX',
      `the answer is not a Prometheus query result: ${why}`,
      {
        hint: 'check that the address is that of a Prometheus server',
        cause,
      },
    )
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
      if (typeof value !== 'string') refuse(`label ${name} is not a string`)
      labels[name] = String(value)
    }
    const value: unknown = entry['value'][1]
    if (typeof value !== 'string') return refuse('a value is not a string')
    const number = value === '+Inf' ? Infinity : value === '-Inf' ? -Infinity : Number(value)
    return { name: labels['__name__'] ?? '', labels, value: number }
  })
}
