import { SwitchbackError } from '../../../errors.ts'
import { isCluster, type RedisClient } from './redis-client.ts'

/** The options that matter, as ioredis fills them in. */
interface ClientOptions {
  readonly autoResendUnfulfilledCommands?: boolean
  readonly maxRetriesPerRequest?: number | null
  readonly enableOfflineQueue?: boolean
  readonly commandTimeout?: number
  readonly socketTimeout?: number
  readonly connectTimeout?: number
  readonly retryStrategy?: unknown
  readonly role?: string
  readonly clusterRetryStrategy?: unknown
  readonly clusterNodeRetryStrategy?: unknown
  readonly scaleReads?: unknown
  readonly redisOptions?: ClientOptions
}

export const LONGEST_RETRY_DELAY_MS = 2000
export const LONGEST_CONNECT_TIMEOUT_MS = 2000
export const CONNECT_REMEDY_MS = 1000

/** What is wrong with a client, and the remedy. */
export type ClientFinding = readonly [string, string]

/**
 * Names, in one warning (`SB_REDIS_CLIENT_UNSAFE`), which options of the application's client
 * prolong an outage or serve stale values, and what to set instead. Coherence does not depend on
 * the client's options, except for reads from replicas.
 */
export function unsafeClient(findings: readonly ClientFinding[]): SwitchbackError | undefined {
  if (findings.length === 0) return undefined
  return new SwitchbackError(
    'SB_REDIS_CLIENT_UNSAFE',
    `The Redis client has options that prolong an outage: ${findings.map(([what]) => what).join('; ')}.`,
    { hint: `Set ${findings.map(([, remedy]) => remedy).join(', ')}.` },
  )
}

export function findingsOfIoredis(client: RedisClient): readonly ClientFinding[] {
  const options = client.options as ClientOptions
  return [...(isCluster(client) ? ofCluster(options) : ofNode(options))]
}

function* ofNode(options: ClientOptions): Generator<ClientFinding> {
  yield* ofResending(options, '')
  yield* ofConnection(options, '')
  yield* ofQueue(options)
  yield* ofBackOff('retryStrategy', options.retryStrategy)
  if (options.role === 'slave') {
    yield ['`role: slave` reads stale values and cannot write', '`role: "master"`']
  }
}

function* ofCluster(options: ClientOptions): Generator<ClientFinding> {
  const { redisOptions = {}, scaleReads } = options
  // A node's connection is not made again, so its commands end with it, unless this is set.
  if (typeof options.clusterNodeRetryStrategy === 'function') {
    yield* ofResending(redisOptions, 'redisOptions.')
  }
  yield* ofConnection(redisOptions, 'redisOptions.')
  yield* ofQueue(options)
  yield* ofBackOff('clusterRetryStrategy', options.clusterRetryStrategy)
  if (scaleReads !== 'master' && scaleReads !== undefined) {
    const what = '`scaleReads` reads from replicas, which serve what was already deleted'
    yield [what, '`scaleReads: "master"`']
  }
  for (const name of ['enableOfflineQueue', 'retryStrategy'] as const) {
    if (!(name in redisOptions)) continue
    const own = name === 'retryStrategy' ? 'clusterRetryStrategy' : name
    const remedy = `\`${own}\` at the level of the cluster options`
    yield [`\`redisOptions.${name}\` has no effect in a cluster`, remedy]
  }
}

/** A client that keeps the commands of a lost connection sends them again, or (ioredis 6) forgets them. */
function* ofResending(options: ClientOptions, at: string): Generator<ClientFinding> {
  if (options.maxRetriesPerRequest === 0) return
  yield ['commands outlive the connection they were sent on', `\`${at}maxRetriesPerRequest: 0\``]
  if (options.autoResendUnfulfilledCommands === false) return
  yield [
    'commands that were given up are sent again after a reconnect',
    `\`${at}autoResendUnfulfilledCommands: false\``,
  ]
}

function* ofConnection(options: ClientOptions, at: string): Generator<ClientFinding> {
  if (!(Number(options.commandTimeout) > 0) && !(Number(options.socketTimeout) > 0)) {
    yield ['commands pile up while Redis hangs', `\`${at}socketTimeout: 1000\``]
  }
  if (!(Number(options.connectTimeout ?? 10_000) <= LONGEST_CONNECT_TIMEOUT_MS)) {
    yield ['a lost packet can stop a reconnect for seconds', `\`${at}connectTimeout: 1000\``]
  }
}

function* ofQueue(options: ClientOptions): Generator<ClientFinding> {
  if (options.enableOfflineQueue === false) return
  yield ['commands pile up while disconnected', '`enableOfflineQueue: false`']
}

function* ofBackOff(name: string, strategy: unknown): Generator<ClientFinding> {
  const delay = longestDelay(strategy)
  if (delay <= LONGEST_RETRY_DELAY_MS) return
  yield [
    Number.isFinite(delay)
      ? `it waits up to ${Math.round(delay)} ms before it reconnects`
      : 'it gives up reconnecting',
    `\`${name}: (n) => Math.min(n * 50, 500)\``,
  ]
}

/** What the strategy answers after a minute or so of failures. A strategy that throws is left alone. */
function longestDelay(strategy: unknown): number {
  if (typeof strategy !== 'function') return Number.POSITIVE_INFINITY
  try {
    const delay: unknown = strategy(20)
    return typeof delay === 'number' ? delay : Number.POSITIVE_INFINITY
  } catch {
    return 0
  }
}
