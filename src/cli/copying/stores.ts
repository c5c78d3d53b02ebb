import { Cluster, Redis } from 'ioredis'
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import {
  type CacheBackend,
  fileCache,
  parseRedisUrl,
  redisCache,
  shownRedisUrl,
  storeFiles,
} from '../../cache/index.ts'
import { quote, SwitchbackError } from '../../errors.ts'
import type { Side } from '../../side.ts'
import { pairOf } from '../../switch/index.ts'
import { type Environment, usageError } from '../framework/command.ts'

/** As the command line names the two sides. */
export interface StoreNames {
  readonly redis: string | undefined
  readonly 'old-redis': string | undefined
  readonly 'cache-dir': string | undefined
  readonly prefix: string | undefined
  /** Of the switch. */
  readonly name: string
}

export interface OpenStore {
  readonly backend: CacheBackend
  /** Which one it is, for people and without a password. */
  readonly shown: string
  close(): void
}

/** More than anybody keeps: what is evicted is a matter of the processes that use the files. */
const NO_BOUND = 2 ** 50

/** Opens both sides, which begins nothing anew: files that are not there are refused. */
export async function openStores(
  names: StoreNames,
  env: Environment,
): Promise<Readonly<Record<Side, OpenStore>>> {
  const { 'old-redis': old, 'cache-dir': directory, prefix, name } = names
  const redis = names.redis ?? env['REDIS_URL']
  if (redis === undefined) {
    throw usageError('the Redis of the new side is not named', 'name it with --redis or REDIS_URL')
  }
  if (old !== undefined && directory !== undefined) {
    const remedy = 'give --old-redis URL, or --cache-dir DIR for files'
    throw usageError('the old side cannot be both --old-redis and --cache-dir', remedy)
  }
  parseRedisUrl(redis)
  if (old !== undefined) parseRedisUrl(old)
  if (old === redis) {
    throw usageError('both sides are the same Redis', 'name another one with --old-redis')
  }
  const on = await openRedis(redis, prefix)
  try {
    const files = directory ?? env['SWITCHBACK_CACHE_DIR'] ?? '.cache/switchback'
    const off = old === undefined ? openFiles(files, name, on) : await openRedis(old, prefix)
    return { off, on }
  } catch (error) {
    await on.backend.close()
    on.close()
    throw error
  }
}

/** Wrong files would be new ones, and with them all that Redis has would be distrusted. */
function openFiles(directory: string, name: string, on: OpenStore): OpenStore {
  const backend = fileCache({ directory, maxEntries: NO_BOUND, maxBytes: NO_BOUND })
  const { database } = storeFiles(resolve(directory), 'cache', pairOf(name, [backend, on.backend]))
  if (!existsSync(database)) {
    throw usageError(
      `there is no file cache of this switch in ${quote(directory)} (${database})`,
      'name its directory with --cache-dir, and give --prefix and --name as the service has them',
    )
  }
  return { backend, shown: `files in ${directory}`, close: () => undefined }
}

async function openRedis(url: string, prefix: string | undefined): Promise<OpenStore> {
  const shown = shownRedisUrl(url)
  const settings = prefix === undefined ? {} : { prefix }
  const { host, port, username, password, tls } = parseRedisUrl(url)
  if (!(await isCluster(url))) {
    return { backend: redisCache({ url, ...settings }), shown, close: () => undefined }
  }
  const redisOptions = {
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(tls !== undefined && { tls }),
  }
  const client = new Cluster([{ host, port }], { redisOptions, slotsRefreshTimeout: 5000 })
  client.on('error', () => undefined)
  const backend = redisCache({ client, ...settings })
  return { backend, shown: `${shown} (Cluster)`, close: () => client.disconnect() }
}

async function isCluster(url: string): Promise<boolean> {
  const redis = new Redis({
    ...parseRedisUrl(url),
    lazyConnect: true,
    connectTimeout: 2000,
    commandTimeout: 5000,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
  })
  let refused: Error | undefined
  redis.on('error', (error: Error) => (refused ??= error))
  try {
    await redis.connect()
    const info = await redis.info('cluster').catch(() => '')
    return /^cluster_enabled:1/m.test(info)
  } catch (cause) {
    const why = (refused ?? (cause as Error)).message
    throw new SwitchbackError(
      'SB_REDIS_UNREACHABLE',
      `${shownRedisUrl(url)} does not answer: ${why}`,
      {
        cause,
        hint: 'Check the URL and the server: switchback doctor --redis URL',
      },
    )
  } finally {
    redis.disconnect()
  }
}
