import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  adaptCache,
  type CacheBackend,
  fileCache,
  memoryCache,
  redisCache,
} from '../../src/cache/index.ts'
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

export type OldSide = 'memory' | 'file' | 'adapted'

/** One machine of a fleet, with one process. */
export interface Pod {
  readonly cache: CacheSwitch
  /** A user of the old side, which is this machine's own, and one of the Redis that all share. */
  readonly offUser: CacheView
  readonly onUser: CacheView
  readonly events: SwitchEvent[]
  /** What was acknowledged anywhere before this call has been told to this process. */
  told(): Promise<void>
}

export interface PodOptions extends Partial<CacheSwitchOptions> {
  readonly kind?: OldSide
  /** Names the directory: another process on the same machine. */
  readonly directory?: string
  readonly tombstoneTtl?: number
  /** Shared by the machines of another fleet on the same Redis. */
  readonly prefix?: string
  /** Of a proxy before Redis. */
  readonly port?: number
}

/** Machines with old sides of their own, and one real Redis for all. */
export class Fleet implements AsyncDisposable {
  readonly redis: TestRedis
  readonly directory: string = mkdtempSync(join(tmpdir(), 'switchback-fleet-'))
  readonly #pods: Pod[] = []
  #names = 0

  private constructor(redis: TestRedis) {
    this.redis = redis
  }

  static async create(args: readonly string[] = []): Promise<Fleet> {
    return new Fleet(await startRedis({ args }))
  }

  /** A key that nobody has used. */
  key(): string {
    this.#names += 1
    return `key ${this.#names}`
  }

  /** A machine that follows Redis. */
  async pod(options: PodOptions = {}): Promise<Pod> {
    const pod = this.start(options)
    await until('it follows Redis', () => pod.cache.health().follower?.live === true)
    return pod
  }

  start(options: PodOptions = {}): Pod {
    const { kind = 'memory', tombstoneTtl = 60_000, port = this.redis.port, ...rest } = options
    const { directory = `machine ${this.#pods.length}`, prefix = 'fleet:', ...others } = rest
    const events: SwitchEvent[] = []
    const cache = createCacheSwitch({
      flag: 'use-redis',
      off: this.#oldSide(kind, directory, tombstoneTtl),
      on: redisCache({ url: `redis://127.0.0.1:${port}`, prefix, tombstoneTtl }),
      decider: new FixedDecider({ 'on-user': 'on', 'off-user': 'off' }),
      onEvent: (event) => events.push(event),
      // A busy test machine is no outage; tests of outages choose a deadline of their own.
      deadlineMs: 2000,
      ...others,
    })
    const pod: Pod = {
      cache,
      offUser: cache.for({ targetingKey: 'off-user' }),
      onUser: cache.for({ targetingKey: 'on-user' }),
      events,
      told: async () => {
        const calledAt = performance.now()
        await until('it was told', () => {
          const { live = false, lagMs = 0 } = cache.health().follower ?? {}
          return live && lagMs < performance.now() - calledAt - 1
        })
      },
    }
    this.#pods.push(pod)
    return pod
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async close(): Promise<void> {
    this.redis.thaw()
    await Promise.all(this.#pods.map(({ cache }) => cache.close()))
    await this.redis.stop()
    rmSync(this.directory, { recursive: true, force: true })
  }

  #oldSide(kind: OldSide, directory: string, tombstoneTtl: number): CacheBackend {
    if (kind === 'memory') return memoryCache({ tombstoneTtl })
    if (kind === 'adapted') return adaptCache(new Map() as never, { tombstoneTtl })
    return fileCache({ directory: join(this.directory, directory), tombstoneTtl })
  }
}
