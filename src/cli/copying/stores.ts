import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type CacheBackend, fileCache, storeFiles } from '../../cache/index.ts'
import { quote, SwitchbackError } from '../../errors.ts'
import type { Side } from '../../side.ts'
import { pairOf } from '../../switch/index.ts'
import { type Environment, usageError } from '../framework/command.ts'
import { connected, hasOthers, lookAtRedis, nothingThere } from '../stores/look.ts'
import { openRedis } from '../stores/open-redis.ts'
import { type NamedRedis, namedRedis, type RedisValues } from '../stores/options.ts'

/** As the command line names the two sides. */
export interface StoreNames extends RedisValues {
  readonly 'cache-dir': string | undefined
  /** Of the switch. */
  readonly name: string
}

export interface CopyStore {
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
): Promise<Readonly<Record<Side, CopyStore>>> {
  const { 'old-redis': old, 'cache-dir': directory, name } = names
  if (old !== undefined && directory !== undefined) {
    const remedy = 'give --old-redis URL, or --cache-dir DIR for files'
    throw usageError('the old side cannot be both --old-redis and --cache-dir', remedy)
  }
  const { on: onRedis, off: offRedis } = namedRedis(names, env)
  if (onRedis === undefined) {
    throw usageError('the Redis of the new side is not named', 'name it with --redis or REDIS_URL')
  }
  if (offRedis?.url === onRedis.url) {
    throw usageError('both sides are the same Redis', 'name another one with --old-redis')
  }
  const [onLook, offLook] = await Promise.all([
    lookAtRedis(onRedis),
    offRedis && lookAtRedis(offRedis),
  ])
  const source = from === 'on' ? onRedis : offRedis
  const found = from === 'on' ? onLook : offLook
  if (source !== undefined && found?.used === false) throw nothingThere(source, found.hasOthers)
  const on = openSide(onRedis, onLook.isCluster)
  try {
    const files = directory ?? env['SWITCHBACK_CACHE_DIR'] ?? '.cache/switchback'
    const off =
      offRedis === undefined
        ? openFiles(files, name, on)
        : openSide(offRedis, offLook?.isCluster === true)
    return { off, on }
  } catch (error) {
    await on.backend.close()
    on.close()
    throw error
  }
}

/** Until the store answers, as long as a copy waits for a side too; what it refuses is told at once. */
export async function reach(store: CopyStore, side: Side, signal: AbortSignal): Promise<void> {
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
function openFiles(directory: string, name: string, on: CopyStore): CopyStore {
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

function openSide(redis: NamedRedis, isCluster: boolean): CopyStore {
  const { url, shown: address, settings } = redis
  const { backend, cluster, close } = openRedis(redis, isCluster)
  const shown = settings.values === 'plain' ? `${address} (plain values)` : address
  return {
    backend,
    shown: cluster === undefined ? shown : `${shown} (Cluster)`,
    async whyNothing() {
      const others =
        cluster === undefined
          ? connected(url, (client) => hasOthers([client]))
          : hasOthers(cluster.nodes('master'))
      return (await others) ? nothingThere(redis, true) : undefined
    },
    close,
  }
}
