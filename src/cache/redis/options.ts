import { quote, SwitchbackError } from '../../errors.ts'
import { checkNames, type NamesOf } from '../../options.ts'
import type { AnyRedisClient } from './clients/given.ts'

export type RedisCacheOptions = RedisCacheSettings & RedisConnection

/** Which Redis: one of the two. */
export type RedisConnection = GivenRedisClient | RedisUrl

export interface GivenRedisClient {
  /**
   * The application's own client, of ioredis 5 or 6 or iovalkey (`Redis`, also with Sentinel, or `Cluster`), of
   * node-redis 5 or 6 (`createClient`, `createCluster`, `createSentinel`) or of Valkey GLIDE 2 (`GlideClient`).
   * It stays yours: `close()` leaves it connected. Unsafe options of it are named in one warning. It
   * reconnects when another process of the machine has met another server in the place of its own.
   */
  readonly client: AnyRedisClient
  readonly url?: undefined
}

export interface RedisUrl {
  /** `redis://` or `rediss://`, instead of `client`: a client of its own, which fails fast. */
  readonly url: string
  readonly client?: undefined
}

export interface RedisCacheSettings {
  /** In logs, metrics and health. @default 'redis' */
  readonly name?: string
  /**
   * Stands before every key in Redis. Caches that share a Redis need prefixes of which none begins
   * with another: `clear` takes all that begin with it. @default 'switchback:cache:'
   */
  readonly prefix?: string
  /** How long a tombstone lives, in milliseconds. @default 120_000 */
  readonly tombstoneTtl?: number
}

const OPTIONS: NamesOf<RedisCacheOptions> = {
  client: true,
  url: true,
  name: true,
  prefix: true,
  tombstoneTtl: true,
}

/** @throws SwitchbackError `SB_OPTION_INVALID` */
export function checkRedisNames(options: RedisCacheOptions): void {
  checkNames('redisCache', options, OPTIONS)
}

/** @throws SwitchbackError `SB_REDIS_OPTIONS` */
export function checkOptions(
  options: RedisCacheOptions,
  prefix: string,
  tombstoneTtl: number,
): void {
  const wrong = (message: string, hint: string): SwitchbackError =>
    new SwitchbackError('SB_REDIS_OPTIONS', message, { hint })
  if ((options.client === undefined) === (options.url === undefined)) {
    const given = options.client === undefined ? 'none' : 'both'
    throw wrong(
      `redisCache needs either \`client\` or \`url\`; got ${given}.`,
      'Pass redisCache({ url: "redis://127.0.0.1:6379" }), or { client } with a client of yours.',
    )
  }
  if (typeof prefix !== 'string' || prefix === '') {
    throw wrong(
      `\`prefix\` must be a string that is not empty; got ${quote(prefix)}.`,
      'Without a prefix the keys of every other program in the database would be in its way.',
    )
  }
  if (!(tombstoneTtl >= 1 && tombstoneTtl <= 86_400_000)) {
    throw wrong(
      `\`tombstoneTtl\` must be between 1 and 86400000 ms; got ${quote(tombstoneTtl)}.`,
      'Use a few minutes: far longer than the slowest loader takes.',
    )
  }
}
