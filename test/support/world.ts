import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type CacheBackend, fileCache, redisCache } from '../../src/cache/index.ts'
import {
  type CacheSwitch,
  type CacheSwitchOptions,
  type CacheView,
  createCacheSwitch,
  type SwitchEvent,
} from '../../src/switch/index.ts'
import { FixedDecider } from './fixed-decider.ts'
import { GatedBackend } from './gated-backend.ts'
import { startRedis, type TestRedis } from './redis-server.ts'
import { withWarnings } from './with-warnings.ts'

/** One process of an application: a switch of its own over the machine's file store and Redis. */
export interface Actor {
  readonly cache: CacheSwitch
  /** As a user of the file side, and as one of the Redis side. */
  readonly offUser: CacheView
  readonly onUser: CacheView
  readonly off: GatedBackend
  readonly on: GatedBackend
  readonly decider: FixedDecider
  readonly events: SwitchEvent[]
}

export interface ActorOptions extends Partial<CacheSwitchOptions> {
  /** Actors of the same machine share a file store. @default 'm1' */
  readonly machine?: string
  readonly tombstoneTtl?: number
  readonly redisUrl?: string
  readonly busyTimeout?: number
  readonly prefix?: string
}

/** A real Redis, real file stores, and as many actors as a schedule needs. */
export class World {
  readonly redis: TestRedis
  readonly directory: string = mkdtempSync(join(tmpdir(), 'switchback-world-'))
  readonly #actors: Actor[] = []
  #names = 0

  constructor(redis: TestRedis) {
    this.redis = redis
  }

  static async create(args: readonly string[] = []): Promise<World> {
    return new World(await startRedis({ args }))
  }

  /** A key that nobody has used. */
  key(): string {
    this.#names += 1
    return `key ${this.#names} ${Math.random()}`
  }

  actor(options: ActorOptions = {}): Actor {
    const { machine = 'm1', tombstoneTtl = 60_000, redisUrl = this.redis.url, ...others } = options
    const { busyTimeout = 1000, prefix, ...rest } = others
    const directory = join(this.directory, machine)
    const off = new GatedBackend(withWarnings(fileCache({ directory, tombstoneTtl, busyTimeout })))
    const on = new GatedBackend(
      withWarnings(
        redisCache({
          url: redisUrl,
          prefix: prefix ?? `world ${machine}:`,
          tombstoneTtl,
        }),
      ),
    )
    return this.#add(off, on, rest)
  }

  async close(): Promise<void> {
    await Promise.all(this.#actors.map((actor) => actor.cache.close()))
    await this.redis.stop()
    rmSync(this.directory, { recursive: true, force: true })
  }

  #add(off: GatedBackend, on: GatedBackend, options: Partial<CacheSwitchOptions>): Actor {
    const decider = new FixedDecider({ 'on-user': 'on', 'off-user': 'off' })
    const events: SwitchEvent[] = []
    const cache = createCacheSwitch({
      flag: 'use-redis',
      off: off as CacheBackend,
      on: on as CacheBackend,
      decider,
      onEvent: (event) => events.push(event),
      // A busy test machine is no outage; tests of outages choose a deadline of their own.
      deadlineMs: 2000,
      ...options,
    })
    const actor: Actor = {
      cache,
      offUser: cache.for({ targetingKey: 'off-user' }),
      onUser: cache.for({ targetingKey: 'on-user' }),
      off,
      on,
      decider,
      events,
    }
    this.#actors.push(actor)
    return actor
  }
}

export { until } from './until.ts'
