import { Cluster } from 'ioredis'
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
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
import { connected, hasOthers, look, type NamedRedis, nothingThere } from './look.ts'

/** As the command line names the two sides. */
export interface StoreNames {
  readonly redis: string | undefined
  readonly 'old-redis': string | undefined
  readonly 'cache-dir': string | undefined
  readonly prefix: string | undefined
  /** Of the old side, where it is another one. */
  readonly 'old-prefix': string | undefined
  /** `plain` or `cells`, as `redisCache` has it. */
  readonly values: string | undefined
  readonly 'old-values': string | undefined
  /** Of the switch. */
  readonly name: string
}

export interface OpenStore {
  readonly backend: CacheBackend
  /** Which one it is, for people and without a password. */
  readonly shown: string
  /** Why nothing at all was found in it, if other keys are there. */
  whyNothing(): Promise<Error | undefined>
  close(): void
}

/** More than anybody keeps: what is evicted is a matter of the processes that use the files. */
const NO_BOUND = 2 ** 50
/** As long as a copy waits for a side that does not answer. */
const PATIENCE_MS = 10_000
const PAUSE_MS = 100

/**
 * Opens both sides, which begins nothing anew on the side to copy from: files that are not there are refused, and
 * so is a Redis that no such switch has used.
 */
export async function openStores(
  names: StoreNames,
  env: Environment,
  from: Side,
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
  if (old === undefined) {
    const alone = (['old-values', 'old-prefix'] as const).find(
      (option) => names[option] !== undefined,
    )
    if (alone !== undefined) {
      throw usageError(`--${alone} is of an old side in Redis`, 'name that with --old-redis')
    }
  }
  const onRedis = named('on', redis, prefix, names.values)
  const offRedis =
    old === undefined
      ? undefined
      : named('off', old, names['old-prefix'] ?? prefix, names['old-values'])
  if (old === redis) {
    throw usageError('both sides are the same Redis', 'name another one with --old-redis')
  }
  const [onLook, offLook] = await Promise.all([look(onRedis), offRedis && look(offRedis)])
  const source = from === 'on' ? onRedis : offRedis
  const found = from === 'on' ? onLook : offLook
  if (source !== undefined && found?.used === false) throw nothingThere(source, found.hasOthers)
  const on = openRedis(onRedis, onLook.isCluster)
  try {
    const files = directory ?? env['SWITCHBACK_CACHE_DIR'] ?? '.cache/switchback'
    const off =
      offRedis === undefined
        ? openFiles(files, name, on)
        : openRedis(offRedis, offLook?.isCluster === true)
    return { off, on }
  } catch (error) {
    await on.backend.close()
    on.close()
    throw error
  }
}

/** Until the store answers, as long as a copy waits for a side too; what it refuses is told at once. */
export async function reach(store: OpenStore, side: Side, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS
  for (;;) {
    try {
      return await store.backend.ping()
    } catch (cause) {
      if (!(cause instanceof SwitchbackError)) throw cause
      const { code, message, hint = '' } = cause
      // The copy reports that it was interrupted.
      if (signal.aborted) return
      const mayPass = code === 'SB_REDIS_UNREACHABLE' || code === 'SB_REDIS_TIMEOUT'
      if (!mayPass || performance.now() >= deadline) {
        const where = `${side === 'off' ? 'old' : 'new'} side, ${store.shown}`
        throw new SwitchbackError(code, `${where}: ${message}`, { cause, hint })
      }
    }
    await sleep(PAUSE_MS, undefined, { signal }).catch(() => undefined)
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
  return {
    backend,
    shown: `files in ${directory}`,
    whyNothing: () => Promise.resolve(undefined),
    close: () => undefined,
  }
}

function openRedis(redis: NamedRedis, isCluster: boolean): OpenStore {
  const { url, shown: address, settings } = redis
  const whyNothing = async (others: Promise<boolean>): Promise<Error | undefined> =>
    (await others) ? nothingThere(redis, true) : undefined
  const shown = settings.values === 'plain' ? `${address} (plain values)` : address
  const { host, port, username, password, tls } = parseRedisUrl(url)
  if (!isCluster) {
    return {
      backend: redisCache({ url, ...settings }),
      shown,
      whyNothing: () => whyNothing(connected(url, (client) => hasOthers([client]))),
      close: () => undefined,
    }
  }
  const redisOptions = {
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(tls !== undefined && { tls }),
  }
  const client = new Cluster([{ host, port }], { redisOptions, slotsRefreshTimeout: 5000 })
  client.on('error', () => undefined)
  return {
    backend: redisCache({ client, ...settings }),
    shown: `${shown} (Cluster)`,
    whyNothing: () => whyNothing(hasOthers(client.nodes('master'))),
    close: () => client.disconnect(),
  }
}

function named(
  side: Side,
  url: string,
  prefix: string | undefined,
  values: string | undefined,
): NamedRedis {
  parseRedisUrl(url)
  if (values !== undefined && values !== 'plain' && values !== 'cells') {
    const option = side === 'off' ? '--old-values' : '--values'
    throw usageError(
      `${option} cannot be ${quote(values)}`,
      `write ${option} plain for redisCache({ values: 'plain' }), else leave it out`,
    )
  }
  return {
    side,
    url,
    shown: shownRedisUrl(url),
    settings: { ...(prefix !== undefined && { prefix }), ...(values !== undefined && { values }) },
  }
}
