import { messageOf } from '../../errors.ts'
import {
  ExpositionReader,
  fetchPieces,
  metricsUrl,
  type Place,
  placesOf,
  type Resolve,
} from '../../scrape/index.ts'
import { readingOf } from './reading.ts'
import type { Reading, Watched } from './reading.ts'
import type { Selector } from './metric-selector.ts'
import type { Failure, MetricsSource } from './metrics-source.ts'

export interface ReplicaSourceOptions {
  /** Metrics URLs; a name with several addresses (a headless service) is a replica at each of them. */
  readonly urls: readonly string[]
  /** Series to keep besides Switchback's own. */
  readonly selectors?: readonly Selector[]
  /** What the guard judges. @default the cache */
  readonly watched?: Watched
  /** For a whole answer, in milliseconds. @default 1000 */
  readonly timeoutMs?: number
  /** Largest answer in bytes. @default 8 MiB */
  readonly maxBytes?: number
  /** @default by the system's resolver */
  readonly resolve?: Resolve
  /** Epoch milliseconds. @default Date.now */
  readonly now?: () => number
}

/** How long the addresses of a name are believed. */
const RESOLVE_EVERY_MS = 5000

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

  async function read(url: URL, place: Place, signal: AbortSignal | undefined): Promise<Reading> {
    const reader = new ExpositionReader(wanted)
    const { name, address } = place
    const at = address === undefined ? {} : { address }
    await fetchPieces(url, (text) => reader.push(text), { maxBytes, timeoutMs, signal, ...at })
    return readingOf(name, now() / 1000, reader.end(), selectors, watched)
  }

  let places: readonly { readonly url: URL; readonly place: Place }[] = urls.map((url) => ({
    url,
    place: { name: url.host },
  }))
  let lookedAt = -Infinity

  async function look(): Promise<void> {
    if (now() - lookedAt < RESOLVE_EVERY_MS) return
    lookedAt = now()
    const found = urls.map(async (url) =>
      (await placesOf(url, options.resolve)).map((place) => ({ url, place })),
    )
    places = (await Promise.all(found)).flat()
  }

  return {
    name: urls.map(({ host }) => host).join(', '),
    // Pods behind one name come and go: which of them there are is seen, not named.
    get named() {
      return places.flatMap(({ place }) => (place.address === undefined ? place.name : []))
    },
    async poll(signal) {
      await look()
      const asked = places
      const results = await Promise.allSettled(
        asked.map(({ url, place }) => read(url, place, signal)),
      )
      const readings: Reading[] = []
      const failures: Failure[] = []
      for (const [index, result] of results.entries()) {
        if (result.status === 'fulfilled') readings.push(result.value)
        else failures.push({ replica: asked[index]!.place.name, message: messageOf(result.reason) })
      }
      return { readings, failures }
    },
  }
}
