import { Cluster } from 'ioredis'
import { type CacheBackend, parseRedisUrl, redisCache } from '../../cache/index.ts'
import type { NamedRedis } from './options.ts'

export interface OpenRedis {
  readonly backend: CacheBackend
  /** `undefined`: it is not a Cluster. */
  readonly cluster: Cluster | undefined
  /** After the backend is closed. */
  close(): void
}

/** Opens the Redis of a side with its settings; of a Cluster, with a client for all of it. */
export function openRedis({ url, settings }: NamedRedis, isCluster: boolean): OpenRedis {
  if (!isCluster) {
    const backend = redisCache({ url, ...settings })
    return { backend, cluster: undefined, close: () => undefined }
  }
  const client = clusterAt(url)
  const backend = redisCache({ client, ...settings })
  return { backend, cluster: client, close: () => client.disconnect() }
}

export function clusterAt(url: string): Cluster {
  const { host, port, username, password, tls } = parseRedisUrl(url)
  const redisOptions = {
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(tls !== undefined && { tls }),
  }
  const client = new Cluster([{ host, port }], { redisOptions, slotsRefreshTimeout: 5000 })
  client.on('error', () => undefined)
  return client
}
