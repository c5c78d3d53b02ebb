import { quote, SwitchbackError } from '../../errors.ts'

/**
 * Any failure of a Redis command as a `SwitchbackError`:
 *
 * - `SB_REDIS_UNREACHABLE`: no connection, or it was lost before the answer came;
 * - `SB_REDIS_TIMEOUT`: the client gave up waiting; the command may still be applied;
 * - `SB_REDIS_OUT_OF_MEMORY`: `maxmemory` is reached and nothing may be evicted;
 * - `SB_REDIS_CLUSTER`: see {@link nodeOfCluster};
 * - `SB_REDIS_REFUSED`: the server answered with any other error.
 *
 * @param lone the client takes the server for a single one
 */
export function redisError(error: unknown, lone = false): SwitchbackError {
  if (error instanceof SwitchbackError) return error
  if (lone && isOfCluster(error)) return nodeOfCluster(withoutCommand(error))
  const message = error instanceof Error ? error.message : String(error)
  const name = error instanceof Error ? error.name : ''
  const cause = withoutCommand(error)
  if (/\bOOM\b/u.test(message)) return outOfMemory(cause)
  if (name === 'ReplyError') {
    return new SwitchbackError('SB_REDIS_REFUSED', `Redis refused the command: ${message}`, {
      cause,
      hint: refusalHint(message),
    })
  }
  if (/timed out|timeout/iu.test(message)) {
    return new SwitchbackError('SB_REDIS_TIMEOUT', `Redis did not answer: ${message}`, {
      cause,
      hint: 'Look for a hung server, a slow command (SLOWLOG) or a stalled event loop.',
    })
  }
  if (/^the client is closed\.?$/iu.test(message)) return closedClient(cause)
  const reason = plainReason(name, message)
  const { code = '' } = error as NodeJS.ErrnoException
  return new SwitchbackError('SB_REDIS_UNREACHABLE', `Redis cannot be reached: ${reason}`, {
    cause,
    hint: /CERT|SELF_SIGNED|VERIFY|ALTNAME/u.test(code)
      ? 'Its certificate is not trusted: set NODE_EXTRA_CA_CERTS to the certificate of its authority, or pass a client with `tls: { ca }`.'
      : 'Check that Redis runs and that this host can reach it; the client reconnects by itself.',
  })
}

/** What node-redis answers before `connect()`, after `close()` and when it has given up: it stays so. */
function closedClient(cause: unknown): SwitchbackError {
  return new SwitchbackError(
    'SB_REDIS_UNREACHABLE',
    'Redis cannot be reached: the client is closed. `await client.connect()` before createCacheSwitch, and close it only after the cache.',
    {
      cause,
      hint: 'This client does not connect by itself: it was never connected, its owner has closed it, or its reconnectStrategy has given up. `await client.connect()` before createCacheSwitch (also now: it is used as soon as it is connected), and at the end `await cache.close()` first, then close the client.',
    },
  )
}

/** A client of one server is connected to a node of a Cluster. */
export function nodeOfCluster(cause?: unknown): SwitchbackError {
  return new SwitchbackError(
    'SB_REDIS_CLUSTER',
    'Redis is a node of a Cluster: it has a part of the keys only, so nothing of it is used.',
    {
      cause,
      hint: "Pass a Cluster client instead of the URL: redisCache({ client: new Cluster([{ host, port }]) }), with Cluster from 'ioredis'.",
    },
  )
}

/** The answers of a node of a Cluster to who takes it for a single server. */
function isOfCluster(error: unknown): boolean {
  return (
    error instanceof Error &&
    /^(?:MOVED|ASK|CROSSSLOT|CLUSTERDOWN)\b|not allowed in cluster mode/u.test(error.message)
  )
}

export function outOfMemory(cause?: unknown): SwitchbackError {
  return new SwitchbackError('SB_REDIS_OUT_OF_MEMORY', 'Redis is out of memory.', {
    cause,
    hint: 'Raise maxmemory, or set maxmemory-policy to volatile-lru so that Redis may evict what expires.',
  })
}

/** @param pattern of the names under which it may be */
export function foreignData(pattern: string): SwitchbackError {
  return new SwitchbackError(
    'SB_REDIS_FOREIGN',
    `Redis has keys of another program under ${quote(pattern)}. They stay as they are, so this side cannot cache these keys: a read loads, a value is kept by the other side only, a delete leaves the other program's data in place.`,
    {
      hint: `Give the cache a prefix of its own (redisCache({ prefix })). What is there: redis-cli --scan --pattern ${quote(pattern)}. health() counts how often it happens.`,
    },
  )
}

/** Where values have the application's own keys. */
export function foreignPlain(pattern: string): SwitchbackError {
  return new SwitchbackError(
    'SB_REDIS_FOREIGN',
    `Redis has data under ${quote(pattern)} that is not a value of this cache: a hash, a list or another type, or a text that the codec cannot read. Reads leave it as it is: a read of such a key loads, and what it loads is kept by the other side only. A set or delete of the key replaces or deletes such a text; another type stays.`,
    {
      hint: 'If these keys are of this cache, give redisCache the `codec` of the program that writes them; else call them by other keys. health() counts how often it happens.',
    },
  )
}

/** Two errors of ioredis say what it did with its options instead of what happened. */
function plainReason(name: string, message: string): string {
  if (name === 'MaxRetriesPerRequestError') return 'the connection was lost before the answer came'
  return message.startsWith("Stream isn't writeable") ? 'not connected' : message
}

function refusalHint(message: string): string {
  if (message.includes('DB index')) {
    return 'Name a database in the URL that the server has (CONFIG GET databases), or none.'
  }
  const code = message.split(' ', 1)[0]
  switch (code) {
    case 'NOAUTH':
    case 'WRONGPASS':
      return 'Check the user name and password of the client.'
    case 'NOPERM':
      return 'Allow the ACL user: get, mget, set, del, getrange, hset, hmget, evalsha, eval, time, info, scan, ping; with two Redis sides also hdel, hincrby, hkeys, hrandfield; and select, if the URL names a database.'
    case 'READONLY':
      return 'The client is connected to a replica; connect to the master.'
    default:
      return 'Look the error code up in the Redis documentation.'
  }
}

/** ioredis attaches the whole command to its errors: key, value, even the password of an AUTH. */
function withoutCommand(error: unknown): unknown {
  if (!(error instanceof Error) || !('command' in error)) return error
  const bare = new Error(error.message)
  bare.name = error.name
  if (error.stack !== undefined) bare.stack = error.stack
  return bare
}

/** True if the server is a replica. Redis 6 says so in the middle of a script's error. */
export function isReadOnly(error: unknown): boolean {
  return error instanceof Error && /\bREADONLY\b/u.test(error.message)
}

/** True for a key that holds a list, a hash or the like: not one of ours. */
export function isWrongType(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('WRONGTYPE')
}
