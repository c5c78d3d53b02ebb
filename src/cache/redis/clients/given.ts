import { SwitchbackError } from '../../../errors.ts'
import { type ClientFinding, findingsOfIoredis } from '../connection/check-client.ts'
import type { RedisClient } from '../connection/redis-client.ts'
import { type GlideClient, glideNode } from './glide.ts'
import { findingsOfGlide } from './glide-options.ts'
import { type NodeRedisCluster, NodeRedisClusterClient } from './node-redis-cluster.ts'
import { findingsOfCluster, findingsOfNode } from './node-redis-options.ts'
import { type NodeRedisSentinel, sentinelNode } from './node-redis-sentinel.ts'
import { type NodeRedisClient, NodeRedisNode, optionsOf } from './node-redis.ts'

/**
 * A client that the application already has, recognised by its methods, not by its class: another copy of its
 * package will do.
 */
export type AnyRedisClient =
  | RedisClient
  | NodeRedisClient
  | NodeRedisCluster
  | NodeRedisSentinel
  | GlideClient

export interface Given {
  /** The client itself where it is one of ioredis: nothing stands between it and a hit. */
  readonly client: RedisClient
  /** What prolongs an outage, and the remedy. */
  readonly findings: readonly ClientFinding[]
}

/** Those of ioredis, which prints a stack for each error that nobody listens to: the events of the side say it. */
const heard = new WeakSet<RedisClient>()

const METHODS = ['get', 'mget', 'evalsha', 'eval', 'on', 'off'] as const

/** @throws SwitchbackError `SB_REDIS_CLIENT` when it is none that is known. */
export function givenClient(given: unknown): Given {
  const missing = METHODS.filter((method) => !has(given, method))
  if (missing.length === 0) {
    const client = given as RedisClient
    if (!heard.has(client)) {
      heard.add(client)
      client.on('error', () => undefined)
    }
    return { client, findings: findingsOfIoredis(client) }
  }
  if (has(given, 'customCommand')) return ofGlide(given as GlideClient)
  if (has(given, 'sendCommand')) {
    const known = ofNodeRedis(given)
    if (known !== undefined) return known
  }
  throw unknownClient(
    `has no method ${missing.map((name) => `${name}()`).join(', ')}`,
    given,
    'Pass a client of ioredis, iovalkey, node-redis (`redis`) or Valkey GLIDE, or `url` instead of `client`.',
  )
}

function ofGlide(client: GlideClient): Given {
  // Only that of a cluster scans it as one.
  if (nameOf(client) === 'GlideClusterClient') {
    throw unknownClient(
      'does not tell which node has a key',
      client,
      'For a Cluster pass a `Cluster` of ioredis or iovalkey, or what createCluster() of node-redis makes.',
    )
  }
  return { client: glideNode(client), findings: findingsOfGlide(client) }
}

function ofNodeRedis(given: object): Given | undefined {
  if (has(given, 'nodeClient') && 'slots' in given) {
    const cluster = given as NodeRedisCluster
    const options = clusterOptionsOf(cluster)
    if (options.keyPrefix !== undefined && options.keyPrefix !== '') {
      throw unknownClient(
        'has a `keyPrefix`, which would change the slots of the keys',
        given,
        'Leave `keyPrefix` out and pass it to redisCache({ prefix }).',
      )
    }
    const { username } = options.defaults ?? {}
    const client = new NodeRedisClusterClient(cluster, { username })
    return { client, findings: findingsOfCluster(options) }
  }
  if (has(given, 'acquire') && 'isReady' in given) {
    return { client: sentinelNode(given as NodeRedisSentinel), findings: [] }
  }
  if (has(given, 'destroy') && has(given, 'duplicate') && 'isReady' in given) {
    const client = given as NodeRedisClient
    return { client: new NodeRedisNode(client), findings: findingsOfNode(optionsOf(client)) }
  }
  if (has(given, 'execute')) {
    throw unknownClient(
      'has several connections',
      given,
      'Pass what createClient() of node-redis makes: one connection is enough, since what is asked in one turn goes out together.',
    )
  }
  return undefined
}

type ClusterOptions = Parameters<typeof findingsOfCluster>[0]

function clusterOptionsOf(cluster: NodeRedisCluster): ClusterOptions {
  const { _self = cluster } = cluster as { readonly _self?: object }
  return (_self as { readonly _options?: ClusterOptions })._options ?? {}
}

function has(given: unknown, method: string): given is object {
  return typeof (given as Record<string, unknown> | null | undefined)?.[method] === 'function'
}

function unknownClient(what: string, given: unknown, hint: string): SwitchbackError {
  const name = nameOf(given)
  return new SwitchbackError('SB_REDIS_CLIENT', `The Redis client given (${name}) ${what}.`, {
    hint,
  })
}

/** Never the value itself: a URL may have a password in it. */
function nameOf(given: unknown): string {
  if (given === null || typeof given !== 'object') {
    return given === null ? 'null' : `a value of type ${typeof given}`
  }
  // node-redis derives a class from each set of options, and calls them all the same.
  for (let at: unknown = given; at !== null; at = Object.getPrototypeOf(at)) {
    const { constructor } = at as { readonly constructor?: { readonly name?: unknown } }
    const name = constructor?.name
    if (typeof name === 'string' && name !== '' && name !== 'Class') return name
  }
  return 'an object'
}
