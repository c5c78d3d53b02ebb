import { type Board, type CacheBackend, redisCache } from '../../src/cache/index.ts'
import {
  type CacheSwitch,
  type CacheSwitchOptions,
  type CacheView,
  createCacheSwitch,
  type SwitchEvent,
} from '../../src/switch/index.ts'
import { FixedDecider } from './fixed-decider.ts'
import { startRedis, type TestRedis } from './redis-server.ts'
import { until } from './until.ts'

/** One process of an application, on whichever machine. */
export interface PairActor {
  readonly cache: CacheSwitch
  readonly offUser: CacheView
  readonly onUser: CacheView
  readonly off: CacheBackend & { readonly board: Board }
  readonly on: CacheBackend & { readonly board: Board }
  readonly events: SwitchEvent[]
}

/** @param off, on stores with a board */
export function makePairActor(
  off: CacheBackend,
  on: CacheBackend,
  options: Partial<CacheSwitchOptions> = {},
): PairActor {
  const events: SwitchEvent[] = []
  const cache = createCacheSwitch({
    flag: 'use-redis',
    off,
    on,
    decider: new FixedDecider({ 'on-user': 'on', 'off-user': 'off' }),
    onEvent: (event) => {
      if (event.type !== 'warning') events.push(event)
    },
    deadlineMs: 300,
    ...options,
  })
  return {
    cache,
    offUser: cache.for({ targetingKey: 'off-user' }),
    onUser: cache.for({ targetingKey: 'on-user' }),
    off: off as PairActor['off'],
    on: on as PairActor['on'],
    events,
  }
}

/** Both sides may be used without asking. */
export function areLicensed(...actors: readonly PairActor[]): boolean {
  return actors.every(({ off, on }) => off.board.licensed && on.board.licensed)
}

/** Resolves when they are. @param ms by when, at the latest @default as `until` */
export async function licensed(actors: readonly PairActor[], ms?: number): Promise<void> {
  await until('both stores vouch for each other', () => areLicensed(...actors), ms)
}

let names = 0

/** Six keys that nobody has used, with v1 on that side: of a Cluster, on all of its masters. */
export async function storeSix(actor: PairActor, side: 'on' | 'off'): Promise<readonly string[]> {
  names += 1
  const keys = Array.from({ length: 6 }, (_, i) => `six ${names} ${i}`)
  const user = side === 'on' ? actor.onUser : actor.offUser
  for (const key of keys) {
    await until('the side holds v1', async () => {
      await user.set(key, 'v1')
      return (await user.get(key)) === 'v1'
    })
  }
  return keys
}

/** Two real Redis that all share, A for the old side and B for the new one, and no file anywhere. */
export class Pair {
  readonly a: TestRedis
  readonly b: TestRedis
  readonly #actors: PairActor[] = []
  #names = 0

  private constructor(a: TestRedis, b: TestRedis) {
    this.a = a
    this.b = b
  }

  static async create(): Promise<Pair> {
    return new Pair(await startRedis(), await startRedis())
  }

  /** A key that nobody has used. */
  key(): string {
    this.#names += 1
    return `key ${this.#names}`
  }

  /** @param bPort of a proxy before B */
  actor(options: Partial<CacheSwitchOptions> = {}, bPort: number = this.b.port): PairActor {
    const store = (name: string, port: number): PairActor['off'] =>
      redisCache({
        url: `redis://127.0.0.1:${port}`,
        name,
      }) as PairActor['off']
    const [off, on] = [store('A', this.a.port), store('B', bPort)]
    const actor = makePairActor(off, on, options)
    this.#actors.push(actor)
    return actor
  }

  /** Both sides may be used without asking. */
  async licensed(...actors: readonly PairActor[]): Promise<void> {
    await licensed(actors, 30_000)
  }

  async close(): Promise<void> {
    this.a.thaw()
    this.b.thaw()
    await Promise.all(this.#actors.map(({ cache }) => cache.close()))
    await Promise.all([this.a.stop(), this.b.stop()])
  }
}
