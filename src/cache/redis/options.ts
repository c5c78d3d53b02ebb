import { quote, SwitchbackError } from '../../errors.ts'
import { checkNames, type NamesOf } from '../../options.ts'
import type { PlainCodec } from '../plain-value.ts'
import type { AnyRedisClient } from './clients/given.ts'
import { PLAIN_SPACE } from './plain/plain-names.ts'

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
   * with another: `clear` takes all that begin with it. @default 'switchback:cache:', with `values: 'plain'` nothing
   */
  readonly prefix?: string
  /**
   * - `cells`: each value in a cell of the switch, under a prefix of its own;
   * - `plain`: each value under the application's own key (`prefix` and the key as it is called) and as its own
   *   text, so that programs without the switch go on reading and writing them. What the switch needs beside is
   *   in a companion key, `switchback:plain:{...}`. What then holds: docs/guarantees.md, "Plain values".
   *
   * @default 'cells'
   */
  readonly values?: 'cells' | 'plain'
  /**
   * With `values: 'plain'`: between the text of the switch (JSON, unless the switch has a `codec`) and that which
   * the application keeps in Redis. @default the same text
   */
  readonly codec?: PlainCodec
  /** How long a tombstone lives, in milliseconds. @default 120_000 */
  readonly tombstoneTtl?: number
}

const OPTIONS: NamesOf<RedisCacheOptions> = {
  client: true,
  url: true,
  name: true,
  prefix: true,
  values: true,
  codec: true,
  tombstoneTtl: true,
}

/** @throws SwitchbackError `SB_OPTION_INVALID` */
export function checkRedisNames(options: RedisCacheOptions): void {
  checkNames('redisCache', options, OPTIONS)
}

/** @throws SwitchbackError `SB_REDIS_OPTIONS` */
export function checkRedisOptions(
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
  const { values = 'cells', codec } = options
  if (values !== 'cells' && values !== 'plain') {
    throw wrong(
      `\`values\` must be 'cells' or 'plain'; got ${quote(values)}.`,
      "Leave it out for a prefix of the switch's own; 'plain' keeps the keys and values that are there.",
    )
  }
  const plain = values === 'plain'
  if (codec !== undefined && !(plain && isCodec(codec))) {
    throw wrong(
      plain
        ? '`codec` must have the methods `encode` and `decode`.'
        : "`codec` needs `values: 'plain'`.",
      'A codec for both sides is an option of createCacheSwitch.',
    )
  }
  if (plain && typeof prefix === 'string' && prefix.startsWith(PLAIN_SPACE)) {
    throw wrong(
      `\`prefix\` must not begin with ${quote(PLAIN_SPACE)}; got ${quote(prefix)}.`,
      'That is where the switch keeps what belongs to plain values.',
    )
  }
  if (typeof prefix !== 'string' || (prefix === '' && !plain)) {
    throw wrong(
      `\`prefix\` must be a string that is not empty; got ${quote(prefix)}.`,
      "Without a prefix the keys of every other program in the database would be in its way. To use values that are there already, under their own keys: values: 'plain'.",
    )
  }
  if (!(tombstoneTtl >= 1 && tombstoneTtl <= 86_400_000)) {
    throw wrong(
      `\`tombstoneTtl\` must be between 1 and 86400000 ms; got ${quote(tombstoneTtl)}.`,
      'Use a few minutes: far longer than the slowest loader takes.',
    )
  }
}

function isCodec(codec: unknown): codec is PlainCodec {
  const { encode, decode } = (codec ?? {}) as Partial<PlainCodec>
  return typeof encode === 'function' && typeof decode === 'function'
}
