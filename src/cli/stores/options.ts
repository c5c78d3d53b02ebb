import { parseRedisUrl, shownRedisUrl } from '../../cache/index.ts'
import { quote } from '../../errors.ts'
import type { Side } from '../../side.ts'
import { type Environment, usageError } from '../framework/command.ts'

/** By which a command names the Redis of each side, as the service has it. */
export const redisOptions = {
  redis: { type: 'string', value: 'URL', help: 'the Redis of the new side (REDIS_URL)' },
  'old-redis': { type: 'string', value: 'URL', help: 'the Redis of the old side, if it is one' },
  prefix: {
    type: 'string',
    value: 'PREFIX',
    help: "redisCache's prefix (switchback:cache:, with plain values none)",
  },
  'old-prefix': {
    type: 'string',
    value: 'PREFIX',
    help: 'that of the old side, if it is another one (--prefix)',
  },
  values: {
    type: 'string',
    value: 'KIND',
    help: "plain, if the new side is redisCache({ values: 'plain' }) (cells)",
  },
  'old-values': { type: 'string', value: 'KIND', help: 'the same of the old side' },
} as const

/** The parsed {@link redisOptions}. */
export type RedisValues = Readonly<Record<keyof typeof redisOptions, string | undefined>>

/** As `redisCache` takes them. */
export interface RedisSettings {
  readonly prefix?: string
  readonly values?: 'cells' | 'plain'
}

/** A Redis as the command line names it. */
export interface NamedRedis {
  readonly side: Side
  readonly url: string
  /** Without a password. */
  readonly shown: string
  readonly settings: RedisSettings
}

/** What begins the names of the options of a side. */
export function optionOf(side: Side, name: 'redis' | 'prefix' | 'values'): string {
  return `--${side === 'off' ? 'old-' : ''}${name}`
}

/**
 * The Redis of each side, of those that are named.
 *
 * @throws {SwitchbackError} `SB_USAGE` for options that contradict each other; `SB_REDIS_URL`
 */
export function namedRedis(
  values: RedisValues,
  env: Environment,
): Readonly<Record<Side, NamedRedis | undefined>> {
  const settings = settingsOf(values)
  const { redis = env['REDIS_URL'], 'old-redis': old } = values
  const named = (side: Side, url: string | undefined): NamedRedis | undefined => {
    if (url === undefined) return undefined
    parseRedisUrl(url)
    return { side, url, shown: shownRedisUrl(url), settings: settings[side] }
  }
  return { on: named('on', redis), off: named('off', old) }
}

/** @throws {SwitchbackError} `SB_USAGE` */
export function settingsOf(values: RedisValues): Readonly<Record<Side, RedisSettings>> {
  if (values['old-redis'] === undefined) {
    const alone = (['old-values', 'old-prefix'] as const).find((one) => values[one] !== undefined)
    if (alone !== undefined) {
      throw usageError(`--${alone} is of an old side in Redis`, 'name that with --old-redis')
    }
  }
  const { prefix, 'old-prefix': oldPrefix = prefix } = values
  return {
    on: settings('on', prefix, values.values),
    off: settings('off', oldPrefix, values['old-values']),
  }
}

function settings(
  side: Side,
  prefix: string | undefined,
  values: string | undefined,
): RedisSettings {
  if (values !== undefined && values !== 'plain' && values !== 'cells') {
    const option = optionOf(side, 'values')
    throw usageError(
      `${option} cannot be ${quote(values)}`,
      `write ${option} plain for redisCache({ values: 'plain' }), else leave it out`,
    )
  }
  return { ...(prefix !== undefined && { prefix }), ...(values !== undefined && { values }) }
}
