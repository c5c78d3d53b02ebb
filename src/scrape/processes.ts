import { isSwitchbackError, messageOf } from '../errors.ts'
import { addressesOf, placesOf, type Resolve } from './addresses.ts'
import { ExpositionReader, type Series } from './exposition.ts'
import { fetchPieces } from './fetch-text.ts'
import { metricsUrl } from './metrics-url.ts'
import { isProcessMetric, processReadingOf, type ProcessReading } from './process-reading.ts'
import { prometheusClient } from './prometheus-query.ts'

/** Where the processes of the application report what they decide. */
export interface ProcessesOptions {
  /**
   * The `/metrics` of each process. A name that has several addresses (a headless service) stands for a
   * process at each of them.
   * @default none
   */
  readonly metrics?: readonly string[]
  /**
   * A Prometheus server that scrapes the processes, asked besides.
   * @default none
   */
  readonly prometheus?:
    | { readonly url: string; readonly matchers?: string; readonly token?: string }
    | undefined
  /**
   * For one answer of one process, in ms.
   * @default 1500
   */
  readonly timeoutMs?: number
  /**
   * The addresses of a name.
   * @default by the system's resolver
   */
  readonly resolve?: Resolve
}

/** The report of a process, or why there is none. */
export interface ProcessAnswer {
  /** E.g. `10.0.0.5:3002`. */
  readonly process: string
  readonly reading: ProcessReading | undefined
  /** `''` when there is a reading. */
  readonly error: string
  /** Epoch milliseconds of the sample. */
  readonly at: number
}

/** Something to ask: one process, or a server that knows many. */
export interface ProcessSource {
  readonly name: string
  /** Answers come late: the server scrapes the processes only now and then. */
  readonly slow: boolean
  /** Asks once. Never rejects for what a process does. */
  read(flag: string, signal?: AbortSignal): Promise<readonly ProcessAnswer[]>
  /** Whether the name no longer has this address: the process is gone. */
  gone(): Promise<boolean>
}

/**
 * Finds the named processes. A name that cannot be resolved is a source that fails.
 *
 * @throws {SwitchbackError} `SB_METRICS_URL_INVALID`
 */
export async function processSources(options: ProcessesOptions): Promise<ProcessSource[]> {
  const { metrics = [], prometheus, timeoutMs = 1500, resolve = addressesOf } = options
  const urls = [...new Map(metrics.map((text) => [text, metricsUrl(text)])).values()]
  const server = prometheus === undefined ? [] : [prometheusProcesses(prometheus, timeoutMs)]
  const found = await Promise.all(urls.map((url) => atUrl(url, timeoutMs, resolve)))
  return [...found.flat(), ...server]
}

async function atUrl(url: URL, timeoutMs: number, resolve: Resolve): Promise<ProcessSource[]> {
  const places = await placesOf(url, resolve)
  return places.map(({ name, address }) => {
    if (address === undefined) return processAt(url, { name, timeoutMs })
    const gone = async (): Promise<boolean> => {
      const now = await resolve(url.hostname).catch(() => [address])
      return !now.includes(address)
    }
    return processAt(url, { name, timeoutMs, address, gone })
  })
}

interface ProcessAtOptions {
  readonly name: string
  readonly timeoutMs: number
  readonly address?: string
  readonly gone?: () => Promise<boolean>
}

/** More series than any real process with many caches and features has. */
const LIMITS = { maxSeries: 5000 }
const MAX_BYTES = 8 * 2 ** 20

function processAt(url: URL, options: ProcessAtOptions): ProcessSource {
  const { name, timeoutMs, address, gone = () => Promise.resolve(false) } = options
  return {
    name,
    slow: false,
    gone,
    async read(flag, signal) {
      const at = Date.now()
      try {
        const reader = new ExpositionReader(isProcessMetric, LIMITS)
        await fetchPieces(url, (piece) => reader.push(piece), {
          timeoutMs,
          maxBytes: MAX_BYTES,
          signal,
          ...(address === undefined ? {} : { address }),
        })
        return [{ process: name, reading: processReadingOf(reader.end(), flag), error: '', at }]
      } catch (error) {
        return [{ process: name, reading: undefined, error: whyOf(error), at }]
      }
    },
  }
}

function prometheusProcesses(
  options: NonNullable<ProcessesOptions['prometheus']>,
  timeoutMs: number,
): ProcessSource {
  const { url, matchers = '', token } = options
  const server = prometheusClient({ url, timeoutMs, ...(token === undefined ? {} : { token }) })
  const rest = matchers.trim() === '' ? '' : `,${matchers}`
  const names =
    'switchback_(live_split|flags_refused|flags_up|instance_info|side_up|stage_info|owed_invalidations).*'
  const everything = `{__name__=~"${names}"${rest}}`
  // A query returns the last sample under its own time, so the sample's time is queried too.
  const times = `timestamp(switchback_start_time_seconds{${matchers}})`
  const name = `Prometheus ${server.host}`
  return {
    name,
    slow: true,
    gone: () => Promise.resolve(false),
    async read(flag, signal) {
      const now = Date.now()
      const failed = (error: string): ProcessAnswer[] => [
        { process: name, reading: undefined, error, at: now },
      ]
      try {
        const [series, sampled] = await Promise.all([
          server.query(everything, signal),
          server.query(times, signal),
        ])
        if (sampled.length === 0) return failed('has no metrics of a Switchback process')
        const byProcess = new Map<string, Series[]>()
        for (const one of series) {
          const process = one.labels['instance'] ?? ''
          byProcess.set(process, [...(byProcess.get(process) ?? []), one])
        }
        const answers = sampled.flatMap(({ labels, value }): ProcessAnswer[] => {
          const process = labels['instance'] ?? ''
          const reading = processReadingOf(byProcess.get(process) ?? [], flag)
          // It reports other flags only, so it belongs to another application.
          if (!reading.knowsFlag && reading.others.length > 0) return []
          return [{ process, reading, error: '', at: value * 1000 }]
        })
        return answers.length > 0 ? answers : failed(`has no process that decides "${flag}"`)
      } catch (error) {
        return failed(messageOf(error))
      }
    },
  }
}

/** Text that cannot be parsed is usually a page of another service. */
function whyOf(error: unknown): string {
  const message = messageOf(error)
  const syntax = isSwitchbackError(error) && error.code === 'SB_METRICS_SYNTAX'
  return syntax ? `does not answer with metrics (${message})` : message
}
