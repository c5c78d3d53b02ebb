import type { AnyRedisClient, RedisCluster, RedisNode } from '../../src/cache/index.ts'

/** Packages that are what ioredis 6 is. */
export const LIKE_IOREDIS = ['ioredis 5', 'iovalkey'] as const

export type LikeIoredis = (typeof LIKE_IOREDIS)[number]

/** The ways to have a client of one server, beside ioredis 6. */
export const CLIENTS = ['node-redis 6', 'node-redis 5', 'GLIDE', 'ioredis 5', 'iovalkey'] as const

export type ClientKind = (typeof CLIENTS)[number]

/** A client of another package, and the way to end it. */
export interface TestClient {
  readonly client: AnyRedisClient
  end(): Promise<void>
}

/** As node-redis makes its own, as far as the tests use it. */
export interface NodeRedis {
  readonly options: Readonly<Record<string, unknown>>
  connect(): Promise<unknown>
  destroy(): void
  withTypeMapping(mapping: object): NodeRedis
  get(key: string): Promise<unknown>
  ping(): Promise<unknown>
  on(event: string, listener: (...args: unknown[]) => void): NodeRedis
  off(event: string, listener: (...args: unknown[]) => void): NodeRedis
}

interface NodeRedisPackage {
  createClient(options: object): NodeRedis & AnyRedisClient
  createClientPool(client: object, options?: object): object
  createCluster(options: object): NodeRedis & AnyRedisClient
  createSentinel(options: object): NodeRedis & AnyRedisClient
  readonly RESP_TYPES: Readonly<Record<string, number>>
}

interface IoredisPackage {
  readonly Redis: new (options: object) => Ioredis
  readonly Cluster: new (nodes: readonly object[], options: object) => Ioredis
}

export type Ioredis = RedisNode &
  RedisCluster & {
    connect(): Promise<void>
    disconnect(): void
  }

interface Glide {
  readonly GlideClient: {
    createClient(options: object): Promise<AnyRedisClient & { close(): void }>
  }
  readonly GlideClusterClient: {
    createClient(options: object): Promise<AnyRedisClient & { close(): void }>
  }
  readonly Logger: { init(level: string, file?: string): void }
}

/** By name: packages whose types would be the same again, or of a native module. */
export async function nodeRedis(major: 5 | 6): Promise<NodeRedisPackage> {
  const name = major === 6 ? 'redis' : 'redis-5'
  return (await import(name)) as NodeRedisPackage
}

export async function ioredis(kind: LikeIoredis): Promise<IoredisPackage> {
  const name = kind === 'ioredis 5' ? 'ioredis-5' : kind
  return (await import(name)) as IoredisPackage
}

export async function glide(): Promise<Glide> {
  const name = '@valkey/valkey-glide'
  const found = (await import(name)) as Glide
  found.Logger.init('off')
  return found
}

/** Fails and reconnects fast, as the warnings of `redisCache` ask for. */
export function safeNodeRedis(socketTimeout = 2500): object {
  return {
    disableOfflineQueue: true,
    socket: {
      connectTimeout: 1000,
      socketTimeout,
      reconnectStrategy: (n: number): number => Math.min(n * 50, 500),
    },
  }
}

/** The same of ioredis: nothing is sent twice, and a lost connection is known soon. */
export function safeIoredis(socketTimeout = 2500): object {
  return {
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    connectTimeout: 1000,
    socketTimeout,
    retryStrategy: (n: number): number => Math.min(n * 50, 500),
  }
}

export interface ClientOfOptions {
  readonly port: number
  /** A server that says nothing for so long is given up. @default 60_000, for a busy machine */
  readonly silenceMs?: number
  /** Commands wait for a connection, of clients that can have it so. @default false */
  readonly queue?: boolean
  /** Of node-redis, beside those that `redisCache` asks for. */
  readonly options?: object
}

/** Connected. */
export async function clientOf(
  kind: ClientKind,
  { port, silenceMs = 60_000, queue = false, options }: ClientOfOptions,
): Promise<TestClient> {
  if (kind === 'GLIDE') {
    const { GlideClient } = await glide()
    const client = await GlideClient.createClient({
      addresses: [{ host: '127.0.0.1', port }],
      requestTimeout: silenceMs,
      advancedConfiguration: { connectionTimeout: 1000 },
      connectionBackoff: { numberOfRetries: 3, factor: 50, exponentBase: 2 },
    })
    return { client, end: () => Promise.resolve(client.close()) }
  }
  if (kind === 'ioredis 5' || kind === 'iovalkey') {
    const { Redis } = await ioredis(kind)
    const safe = safeIoredis(silenceMs)
    const client = new Redis({ ...safe, enableOfflineQueue: queue, port, lazyConnect: true })
    client.on('error', () => undefined)
    await client.connect()
    return { client, end: () => Promise.resolve(client.disconnect()) }
  }
  const { createClient } = await nodeRedis(kind === 'node-redis 6' ? 6 : 5)
  const url = `redis://127.0.0.1:${port}`
  const safe = { ...safeNodeRedis(silenceMs), disableOfflineQueue: !queue }
  const client = createClient({ ...safe, ...options, url })
  await client.connect()
  return { client, end: () => Promise.resolve(client.destroy()) }
}
