import { messageOf } from '../../errors.ts'
import { ExpositionReader, fetchPieces, metricsUrl } from '../../scrape/index.ts'
import { readingOf } from './reading.ts'
import type { Reading, Watched } from './reading.ts'
import type { Selector } from './selector.ts'
import type { Failure, MetricsSource } from './source.ts'

export interface ReplicaSourceOptions {
  /** Metrics URLs, one per replica. */
  readonly urls: readonly string[]
  /** Series to keep besides Switchback's own. */
  readonly selectors?: readonly Selector[]
  /** What the guard judges. @default the cache */
  readonly watched?: Watched
  /** For a whole answer, in milliseconds. @default 1000 */
  readonly timeoutMs?: number
  /** Largest answer in bytes. @default 8 MiB */
  readonly maxBytes?: number
  /** Epoch milliseconds. @default Date.now */
  readonly now?: () => number
}

/** Series that a reading is made from. */
export function isWanted(selectors: readonly Selector[]): (name: string) => boolean {
  const names = new Set(selectors.map(({ name }) => name))
  return (name) => name.startsWith('switchback_') || names.has(name)
}

/** Reads `/metrics` of every replica itself, all at once. */
export function replicaSource(options: ReplicaSourceOptions): MetricsSource {
  const {
    selectors = [],
    watched,
    timeoutMs = 1000,
    maxBytes = 8 * 2 ** 20,
    now = Date.now,
  } = options
  const urls = options.urls.map((url) => metricsUrl(url))
  const wanted = isWanted(selectors)

  async function read(url: URL, signal: AbortSignal | undefined): Promise<Reading> {
    const reader = new ExpositionReader(wanted)
    await fetchPieces(url, (text) => reader.push(text), { maxBytes, timeoutMs, signal })
    return readingOf(url.host, now() / 1000, reader.end(), selectors, watched)
  }

  return {
    name: urls.map(({ host }) => host).join(', '),
    named: urls.map(({ host }) => host),
    async poll(signal) {
      const results = await Promise.allSettled(urls.map((url) => read(url, signal)))
      const readings: Reading[] = []
      const failures: Failure[] = []
      for (const [index, result] of results.entries()) {
        if (result.status === 'fulfilled') readings.push(result.value)
        else failures.push({ replica: urls[index]!.host, message: messageOf(result.reason) })
      }
      return { readings, failures }
    },
  }
}
