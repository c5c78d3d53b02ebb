import { loadPeer } from '../../../peers.ts'
import type { RedisAddress } from './url.ts'

/** One connection to one server, as far as Switchback uses it. A `Redis` of ioredis is one. */
export interface RedisNode {
  readonly status: string
  readonly options: object
  get(key: string): Promise<string | null>
  mget(keys: string[]): Promise<(string | null)[]>
  evalsha(sha: string, numKeys: number, ...args: string[]): Promise<unknown>
  eval(script: string, numKeys: number, ...args: string[]): Promise<unknown>
  select(db: number): Promise<unknown>
  ping(): Promise<unknown>
  disconnect(reconnect: boolean): void
  scan(
    cursor: string,
    matchToken: 'MATCH',
    pattern: string,
    countToken: 'COUNT',
    count: number,
  ): Promise<[string, string[]]>
  on(event: string, listener: (error: Error) => void): unknown
  off(event: string, listener: (error: Error) => void): unknown
}

/** A client of a whole cluster. An ioredis `Cluster` is one. */
export interface RedisCluster extends Omit<
  RedisNode,
  'disconnect' | 'mget' | 'select' | 'ping' | 'scan'
> {
  readonly isCluster: boolean
  /** The nodes that own each slot, master first, as `host:port`. */
  readonly slots: readonly (readonly string[])[]
  nodes(role: 'master'): RedisNode[]
}

/**
 * What is needed of a client. A `Redis` (standalone or Sentinel) or `Cluster` of ioredis 5 or 6 and of
 * iovalkey is one as it stands; `clients/` makes one of others. Its `close` is told before what was under way
 * fails, and before any answer that comes on another connection.
 */
export type RedisClient = RedisNode | RedisCluster

export function isCluster(client: RedisClient): client is RedisCluster {
  return 'isCluster' in client && client.isCluster
}

/** A client that Switchback makes and closes. */
export interface OwnClient extends Omit<RedisNode, 'disconnect'> {
  time(): Promise<unknown>
  info(section: string): Promise<string>
  connect(): Promise<void>
  disconnect(reconnect?: boolean): void
}

/** A hung server is given up after this long without a byte from it, and what waits for it fails. */
const SILENCE_MS = 1000
const CONNECT_MS = 1000
const MAX_RETRY_DELAY_MS = 500
/** A closed client keeps the process this long at most where Redis does not answer; ioredis takes 2 s. */
const DISCONNECT_MS = 100

/**
 * A client of our own that fails fast and reconnects fast. Nothing is queued while disconnected,
 * and commands under way fail with the connection, so that none is sent twice
 * (`maxRetriesPerRequest` must be 0: with 1, ioredis 6 leaves commands of a lost connection pending
 * for ever). `socketTimeout` instead of `commandTimeout` ends a hung connection with one timer.
 */
export function createClient(address: RedisAddress): OwnClient {
  // Loading ioredis takes as long as all the rest, so it happens only where a client is made.
  const { Redis } = loadPeer('ioredis', 'redisCache') as typeof import('ioredis')
  return new Redis({
    ...address,
    lazyConnect: true,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    socketTimeout: SILENCE_MS,
    connectTimeout: CONNECT_MS,
    disconnectTimeout: DISCONNECT_MS,
    maxLoadingRetryTime: MAX_RETRY_DELAY_MS,
    retryStrategy: (attempt) =>
      Math.min(50 * 2 ** Math.min(attempt - 1, 4), MAX_RETRY_DELAY_MS) * (0.75 + Math.random() / 4),
  })
}
