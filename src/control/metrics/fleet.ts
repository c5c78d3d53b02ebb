import { quantile } from '../../guard/index.ts'
import { LATENCY_BOUNDS } from '../../metrics.ts'
import { metricsUrl, placesOf, type ProcessAnswer, type Resolve } from '../../scrape/index.ts'
import type { Side } from '../../side.ts'
import { Replica, type ReplicaOptions } from './replica.ts'
import { sumOf, type SwitchScrapes } from './switch-scrapes.ts'
import { addTo, type Arms, type ArmVector, bucketsOf, emptyArms, indexOf } from './vector.ts'
import type { Field } from './vector.ts'

/** What one side does now: rates a second and shares, over the last five seconds. */
export interface ArmReading {
  readonly operations: number
  /** Share of the operations that failed, timed out or fell back; `null` without operations. */
  readonly bad: number | null
  /** Share that failed or timed out. */
  readonly errors: number | null
  /** Callers who got nothing from either side, a second. */
  readonly lost: number
  /** Share that the other side or the origin served instead. */
  readonly fallbacks: number | null
  /** Milliseconds on the caches, the loader's time left out. */
  readonly p50: number | null
  readonly p95: number | null
  readonly p99: number | null
  /** Share of the reads that were hits. */
  readonly hitRate: number | null
  /** Loads from the origin, a second. */
  readonly originLoads: number
  /** Loads that threw, a second. */
  readonly originFailures: number
  /** Misses on what the same process had stored recently, as a share of the reads. */
  readonly repeatMisses: number | null
}

export interface ReplicaReading {
  readonly url: string
  readonly live: boolean
  /** The problem with it; `''` when there is none. */
  readonly error: string
  /** Epoch milliseconds of its last answer; `null` before the first. */
  readonly heardAt: number | null
  readonly operations: number
  readonly bad: number | null
}

export interface FleetReading {
  /** What the numbers are of: `switch` where only switches of `createSwitch` have the page's flag. */
  readonly of: 'cache' | 'switch'
  /** Some process has a cache, on whatever flag. */
  readonly hasCache: boolean
  /** `undefined` while no replica answers. */
  readonly arms: Readonly<Record<Side | 'all', ArmReading>> | undefined
  readonly replicas: readonly ReplicaReading[]
  /** Replicas whose breaker for that side is open. */
  readonly breakersOpen: Readonly<Record<Side, number>>
  /** The names of the two stores; `''` where no replica exports them. */
  readonly backends: Readonly<Record<Side, string>>
  /** Epoch milliseconds since when a replica cannot reach a side; `null` while all do. */
  readonly outSince: Readonly<Record<Side, number | null>>
  /** Pending invalidations, the largest of all replicas; `null` when none exports it. */
  readonly owed: Readonly<Record<Side, number | null>>
  /** The worst of all replicas, in milliseconds. */
  readonly eventLoopDelay: number | null
}

/** All replicas of the application, as one. */
export class Fleet {
  #replicas: readonly Replica[]
  readonly #options: Omit<ReplicaOptions, 'url'>
  readonly #urls: readonly string[]
  #closed = false

  readonly #guessed: boolean

  /**
   * @param options `guessed`: the addresses are defaults, so one that never answers does not count
   */
  constructor(
    urls: readonly string[],
    { guessed = false, ...options }: Omit<ReplicaOptions, 'url'> & { guessed?: boolean } = {},
  ) {
    this.#guessed = guessed
    this.#options = options
    this.#urls = [...new Set(urls)]
    this.#replicas = urls.map((url) => new Replica({ ...options, url }))
  }

  /** Pods behind one name come and go. */
  async resolve(resolve?: Resolve): Promise<void> {
    const found = this.#urls.map(async (url) =>
      (await placesOf(metricsUrl(url), resolve)).map((place) => ({ url, place })),
    )
    const places = (await Promise.all(found)).flat()
    if (this.#closed) return
    const before = new Map(this.#replicas.map((replica) => [replica.key, replica]))
    this.#replicas = places.map(({ url, place }) => {
      const { address } = place
      const key = `${url} ${address ?? ''}`
      const known = before.get(key)
      before.delete(key)
      if (known !== undefined) return known
      return new Replica({ ...this.#options, url, ...(address === undefined ? {} : { place }) })
    })
    for (const gone of before.values()) gone.close()
  }

  get size(): number {
    return this.#replicas.length
  }

  read(): FleetReading {
    const sum = emptyArms()
    let told = 0
    const replicas = this.#replicas.map((replica): ReplicaReading => {
      const rates = replica.rates()
      const own = emptyArms().on
      if (rates !== undefined) {
        told++
        addTo(sum.off, rates.off)
        addTo(sum.on, rates.on)
        addTo(own, rates.off)
        addTo(own, rates.on)
      }
      const { operations, bad } = armReading(own)
      const { url, live, error, heardAt } = replica
      return { url, live, error, heardAt, operations, bad }
    })
    const scrapes = this.#replicas.flatMap(({ latest }) => latest ?? [])
    const open = (side: Side): number =>
      scrapes.filter(({ of, arms, outSeconds }) =>
        of === 'switch'
          ? outSeconds[side] > 0
          : value(arms, side, 'breakerOpened') > value(arms, side, 'breakerClosed'),
      ).length
    // Processes of one machine share a ledger and report the same number: the sum would count it
    // twice.
    const owed = (side: Side): number | null =>
      most(scrapes.flatMap((scrape) => scrape.owed[side] ?? []))
    const backend = (side: Side): string =>
      scrapes.find(({ backends }) => backends[side] !== '')?.backends[side] ?? ''
    const outSince = (side: Side): number | null => {
      const longest = most(scrapes.map(({ outSeconds }) => outSeconds[side]))
      return longest === null || longest === 0 ? null : Date.now() - longest * 1000
    }
    const delay = most(scrapes.flatMap(({ eventLoopDelay }) => eventLoopDelay ?? []))
    const all = emptyArms().on
    addTo(all, sum.off)
    addTo(all, sum.on)
    const hasCache = scrapes.some(({ of, backends }) => of === 'cache' && backends.off !== '')
    return {
      of: !hasCache && scrapes.some(({ of }) => of === 'switch') ? 'switch' : 'cache',
      hasCache,
      arms:
        told === 0
          ? undefined
          : { off: armReading(sum.off), on: armReading(sum.on), all: armReading(all) },
      replicas,
      breakersOpen: { off: open('off'), on: open('on') },
      backends: { off: backend('off'), on: backend('on') },
      outSince: { off: outSince('off'), on: outSince('on') },
      owed: { off: owed('off'), on: owed('on') },
      eventLoopDelay: delay === null ? null : delay * 1000,
    }
  }

  /** The addresses that must confirm a change: all, or of guessed ones those that ever answered. */
  get confirming(): readonly string[] {
    return this.#expected.map(({ address }) => address)
  }

  /** What each of them decides about a flag. */
  answers(flag: string): ProcessAnswer[] {
    return this.#expected.map((replica) => replica.answer(flag))
  }

  /** The addresses of those that report a flag. */
  knowing(flag: string): readonly string[] {
    return this.#expected
      .filter((replica) => replica.answer(flag).reading?.knowsFlag === true)
      .map(({ address }) => address)
  }

  /** The switches of all replicas beside the cache, as rates a second. */
  switches(): SwitchScrapes {
    return sumOf(this.#replicas.flatMap((replica) => replica.switches() ?? []))
  }

  get #expected(): readonly Replica[] {
    return this.#guessed ? this.#replicas.filter(({ seen }) => seen) : this.#replicas
  }

  close(): void {
    this.#closed = true
    for (const replica of this.#replicas) replica.close()
  }
}

/** The meaning of a vector of rates. */
export function armReading(rates: ArmVector): ArmReading {
  const of = (field: Field): number => rates[indexOf(field)] ?? 0
  const operations = of('operations')
  const reads = of('hits') + of('misses')
  const errors = of('failed') + of('timedOut')
  const ms = (q: number): number | null => {
    const seconds = quantile(LATENCY_BOUNDS, bucketsOf(rates), q)
    return seconds === undefined ? null : seconds * 1000
  }
  return {
    operations,
    bad: share(errors + of('fellBack'), operations),
    errors: share(errors, operations),
    lost: of('lost'),
    fallbacks: share(of('fellBack'), operations),
    p50: ms(0.5),
    p95: ms(0.95),
    p99: ms(0.99),
    hitRate: share(of('hits'), reads),
    originLoads: of('originLoads'),
    originFailures: of('originFailures'),
    repeatMisses: share(of('repeatMisses'), reads),
  }
}

function share(part: number, whole: number): number | null {
  return whole > 1e-9 ? Math.min(1, part / whole) : null
}

function value(arms: Arms, side: Side, field: Field): number {
  return arms[side][indexOf(field)] ?? 0
}

function most(values: readonly number[]): number | null {
  return values.length === 0 ? null : Math.max(...values)
}
