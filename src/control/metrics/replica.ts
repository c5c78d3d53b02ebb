import { messageOf } from '../../errors.ts'
import {
  fetchPieces,
  metricsUrl,
  type Place,
  type ProcessAnswer,
  processReadingOf,
} from '../../scrape/index.ts'
import { createScrapeReader, type Scrape, scrapeOf } from './scrape.ts'
import { anyFell, growthOf, sumOf, type SwitchScrapes } from './switch-scrapes.ts'
import { addTo, type Arms, emptyArms, VECTOR_LENGTH } from './vector.ts'

export interface ReplicaOptions {
  /** The `/metrics` of one process. */
  readonly url: string
  /** Which of the processes behind the URL's name. @default the only one */
  readonly place?: Place
  /** The page's: the numbers of both sides are of what it picks. @default the cache's */
  readonly flag?: string
  /** @default 1000 */
  readonly intervalMs?: number
  /** From the request to the last byte. @default 2000 */
  readonly timeoutMs?: number
  /** @default 4194304 */
  readonly maxBytes?: number
  /** Without a scrape for this long, its numbers no longer count. @default 5000 */
  readonly staleMs?: number
}

/**
 * Rates are computed over this many seconds: long enough to be smooth, short enough to show an
 * outage.
 */
export const WINDOW_S = 5

interface Point {
  readonly at: number
  /** Since the first scrape, with restarts of the process taken into account. */
  readonly total: Arms
  /** What the switches did since the scrape before, and what they are. */
  readonly switches: SwitchScrapes
}

/**
 * One process of the application, scraped once a second. It has its own loop, its own deadline, and
 * at most one request under way, so that a slow or broken replica delays no other.
 */
export class Replica {
  /** Distinguishes it from all others. */
  readonly key: string
  readonly url: string
  readonly #target: URL
  readonly #options: Required<Omit<ReplicaOptions, 'place' | 'flag'>> &
    Pick<ReplicaOptions, 'place' | 'flag'>
  readonly #stop = new AbortController()
  #points: Point[] = []
  #last: Scrape | undefined
  #lastAt = -Infinity
  #seen = false
  #error = 'not scraped yet'

  constructor(options: ReplicaOptions) {
    this.#options = {
      intervalMs: 1000,
      timeoutMs: 2000,
      maxBytes: 4 * 1_048_576,
      staleMs: 5000,
      ...options,
    }
    this.#target = metricsUrl(options.url)
    this.key = `${options.url} ${options.place?.address ?? ''}`
    this.url = withoutSecrets(this.#target, options.place)
    void this.#run()
  }

  /** Seen within the last seconds. */
  get live(): boolean {
    return performance.now() - this.#lastAt < this.#options.staleMs
  }

  /** The problem with it; `''` when there is none. */
  get error(): string {
    return this.#error
  }

  /** Epoch milliseconds of its last answer; `null` before the first. */
  get heardAt(): number | null {
    return this.#seen ? Math.round(Date.now() - (performance.now() - this.#lastAt)) : null
  }

  /** The latest scrape, while it is recent enough. */
  get latest(): Scrape | undefined {
    return this.live ? this.#last : undefined
  }

  /** As it was named; {@link url} is the part that may be shown. */
  get address(): string {
    return this.#target.href
  }

  /** It has answered at least once. */
  get seen(): boolean {
    return this.#seen
  }

  /** What the process decides about a flag, by its latest answer; nothing while it gives none. */
  answer(flag: string): ProcessAnswer {
    const process = this.#options.place?.name ?? this.#target.host
    const at = Date.now() - (performance.now() - this.#lastAt)
    if (this.#last === undefined || this.#error !== '') {
      return { process, reading: undefined, error: this.#error, at }
    }
    return { process, reading: processReadingOf(this.#last.said, flag), error: '', at }
  }

  /** Events a second, over the last {@link WINDOW_S} seconds; `undefined` when that is unknown. */
  rates(): Arms | undefined {
    const newest = this.#points.at(-1)
    if (newest === undefined || !this.live) return undefined
    const oldest = this.#points.find(({ at }) => newest.at - at <= WINDOW_S * 1000 + 500)
    if (oldest === undefined || oldest === newest) return undefined
    const factor = 1000 / (newest.at - oldest.at)
    const rates = emptyArms()
    for (const side of ['off', 'on'] as const) {
      const [now, then] = [newest.total[side], oldest.total[side]]
      for (let i = 0; i < VECTOR_LENGTH; i++) rates[side][i] = (now[i]! - then[i]!) * factor
    }
    return rates
  }

  /** What its switches did over the same seconds; `undefined` when that is unknown. */
  switches(): { readonly switches: SwitchScrapes; readonly seconds: number } | undefined {
    const newest = this.#points.at(-1)
    if (newest === undefined || !this.live) return undefined
    const first = this.#points.findIndex(({ at }) => newest.at - at <= WINDOW_S * 1000 + 500)
    const seconds = (newest.at - this.#points[first]!.at) / 1000
    const grown = this.#points.slice(first + 1).map(({ switches }) => ({ switches, seconds: 1 }))
    // The first scrape says which switches there are, and nothing of what they did.
    if (grown.length === 0) return { switches: newest.switches, seconds: Infinity }
    const sum = sumOf(grown)
    // Whether a side is out is a fact of now.
    for (const [name, one] of newest.switches)
      Object.assign(sum.get(name)!.outSeconds, one.outSeconds)
    return { switches: sum, seconds }
  }

  close(): void {
    this.#stop.abort()
  }

  async #run(): Promise<void> {
    const { intervalMs } = this.#options
    while (!this.#stop.signal.aborted) {
      const started = performance.now()
      await this.#scrape()
      await pause(Math.max(50, intervalMs - (performance.now() - started)), this.#stop.signal)
    }
  }

  async #scrape(): Promise<void> {
    const { timeoutMs, maxBytes, place, flag } = this.#options
    const at = place?.address === undefined ? {} : { address: place.address }
    try {
      const reader = createScrapeReader()
      const signal = this.#stop.signal
      await fetchPieces(this.#target, (piece) => reader.push(piece), {
        timeoutMs,
        maxBytes,
        signal,
        ...at,
      })
      this.#take(scrapeOf(reader, flag), performance.now())
      this.#error = ''
      this.#seen = true
    } catch (error) {
      this.#error = messageOf(error)
    }
  }

  /**
   * A process that restarted counts from zero, for both sides alike. The first scrape is the
   * baseline.
   */
  #take(scrape: Scrape, at: number): void {
    const before = this.#last
    const total = emptyArms()
    const previous = this.#points.at(-1)
    const restarted =
      before !== undefined &&
      (before.instance !== scrape.instance ||
        fell(before.arms, scrape.arms) ||
        anyFell(before.switches, scrape.switches))
    if (before !== undefined && previous !== undefined) {
      for (const side of ['off', 'on'] as const) {
        addTo(total[side], previous.total[side])
        // Of something else than before: a baseline.
        if (before.of !== scrape.of) continue
        addTo(total[side], scrape.arms[side])
        if (!restarted) addTo(total[side], before.arms[side], -1)
      }
    }
    this.#last = scrape
    this.#lastAt = at
    const switches = growthOf(before?.switches ?? scrape.switches, scrape.switches, restarted)
    this.#points.push({ at, total, switches })
    const first = this.#points.findIndex((point) => at - point.at <= (WINDOW_S + 5) * 1000)
    if (first > 0) this.#points = this.#points.slice(first)
  }
}

function fell(before: Arms, now: Arms): boolean {
  for (const side of ['off', 'on'] as const) {
    for (let i = 0; i < VECTOR_LENGTH; i++) if (now[side][i]! < before[side][i]!) return true
  }
  return false
}

/** The address as it may be shown. */
function withoutSecrets(url: URL, place?: Place): string {
  const shown = new URL(url)
  if (place !== undefined) shown.host = place.name
  shown.username = ''
  shown.password = ''
  shown.search = ''
  return shown.href
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve()
      return
    }
    const done = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms).unref()
    signal.addEventListener('abort', done, { once: true })
  })
}
