import { SwitchbackError } from '../../errors.ts'
import { isCluster, type RedisClient, type RedisNode } from './connection/redis-client.ts'
import { script, type Script } from './scripts.ts'

/** Used inside of scripts, on a lone side and beside another Redis. */
const IN_SCRIPTS = ['get', 'getrange', 'hmget', 'hset', 'set', 'del', 'time'] as const
const IN_SCRIPTS_OF_PLAIN = ['pttl'] as const
const IN_SCRIPTS_OF_PAIRS = ['hdel', 'hkeys', 'hrandfield', 'hincrby'] as const

// KEYS: a key that nobody has. What leaves something there is tried last, and taken away or left for a millisecond.
const TRY: Script = script(`
local K, missing = KEYS[1], {}
local function try(name, reply)
  if type(reply) ~= 'table' or not reply.err then return end
  if string.find(reply.err, 'permission', 1, true) or string.find(reply.err, "can't run", 1, true) then
    missing[#missing + 1] = name
  end
end
try('time', redis.pcall('TIME'))
try('info', redis.pcall('INFO', 'server'))
try('get', redis.pcall('GET', K))
try('getrange', redis.pcall('GETRANGE', K, 0, 0))
try('pttl', redis.pcall('PTTL', K))
try('hmget', redis.pcall('HMGET', K, 'f'))
try('hdel', redis.pcall('HDEL', K, 'f'))
try('hkeys', redis.pcall('HKEYS', K))
try('hrandfield', redis.pcall('HRANDFIELD', K, 1))
try('hincrby', redis.pcall('HINCRBY', K, 'f', 0))
try('hset', redis.pcall('HSET', K, 'f', ''))
try('set', redis.pcall('SET', K, '', 'PX', 1))
try('del', redis.pcall('DEL', K))
return missing
`)

export interface RightsQuestion {
  /** Before all keys. */
  readonly prefix: string
  /** The other side is a Redis as well. */
  readonly paired: boolean
  /** Values are under the application's own keys. @default false */
  readonly plain?: boolean
}

/**
 * What the user of a connection may not do, of what the cache does with it: as words for `ACL SETUSER`. Nothing
 * when all is allowed. Rejects when the server cannot be asked.
 */
export async function missingRights(
  client: RedisClient,
  { prefix, paired, plain = false }: RightsQuestion,
): Promise<readonly string[]> {
  const key = `${prefix}#rights`
  const missing = new Set<string>()
  const attempt = async (work: () => Promise<unknown>): Promise<unknown> => {
    try {
      return await work()
    } catch (error) {
      const word = wordOf(error, prefix)
      if (word === undefined) throw error
      missing.add(word)
      return undefined
    }
  }
  const tried = await attempt(() => client.eval(TRY.source, 1, key))
  const again = await attempt(() => client.evalsha(TRY.sha, 1, key))
  const refused = (tried ?? again) as readonly string[] | undefined
  await attempt(() => client.get(key))
  const node = isCluster(client) ? client.nodes('master')[0] : client
  if (!isCluster(client)) await attempt(() => client.mget([key]))
  await attempt(async () => (node as RedisNode | undefined)?.scan('0', 'MATCH', key, 'COUNT', 1))
  const wanted = new Set<string>([...IN_SCRIPTS, 'info', ...(paired ? IN_SCRIPTS_OF_PAIRS : [])])
  if (plain) for (const name of IN_SCRIPTS_OF_PLAIN) wanted.add(name)
  // Where no script may run, nothing can be tried inside of one: all that they call is named at once.
  const scriptless = missing.has('+eval') && missing.has('+evalsha')
  for (const name of scriptless ? wanted : (refused ?? [])) {
    if (wanted.has(name)) missing.add(`+${name}`)
  }
  return [...missing]
}

/** The line that grants them. */
export function grant(user: string, words: readonly string[]): string {
  return `ACL SETUSER ${user} ${words.join(' ')}`
}

/** The user of a client, as `ACL SETUSER` calls it. */
export function userOf(client: RedisClient): string {
  const options = client.options as Named & { readonly redisOptions?: Named }
  return options.username ?? options.redisOptions?.username ?? 'default'
}

interface Named {
  readonly username?: string | null
}

/** One warning for all of them; `undefined` where nothing is missing that no other warning is about. */
export function rightsWarning(user: string, words: readonly string[]): SwitchbackError | undefined {
  // That has a warning of its own (`SB_REDIS_ANONYMOUS`), which knows whether it matters.
  const missing = words.filter((word) => word !== '+info')
  if (missing.length === 0) return undefined
  return new SwitchbackError(
    'SB_REDIS_RIGHTS',
    `The Redis user ${user} lacks ${missing.join(' ')}: ${meaning(missing)}.`,
    { hint: `Run on Redis: ${grant(user, missing)}` },
  )
}

/** Some of what is missing is needed for every operation, not for a follower, a pair or `clear()` alone. */
export function isUseless(words: readonly string[]): boolean {
  const spared = new Set(['+info', '+scan', ...IN_SCRIPTS_OF_PAIRS.map((name) => `+${name}`)])
  return words.some((word) => !spared.has(word))
}

function meaning(words: readonly string[]): string {
  if (words.every((word) => word === '+scan')) {
    return 'clear() distrusts what is stored, and does not delete it'
  }
  const ofPairs = new Set<string>(IN_SCRIPTS_OF_PAIRS.map((name) => `+${name}`))
  if (words.every((word) => ofPairs.has(word))) {
    return 'what is pending for the other side cannot be kept here, so in an outage of that side only the writer knows of its writes, and other processes may read old values until they expire'
  }
  return 'this side cannot be used'
}

/** The right that the server has refused; `undefined` for any other error. */
function wordOf(error: unknown, prefix: string): string | undefined {
  const message = error instanceof Error ? error.message : ''
  // Without `eval` the server need not know the script.
  if (message.startsWith('NOSCRIPT')) return '+eval'
  if (!message.startsWith('NOPERM')) return undefined
  const command = /'([\w|]+)' (?:command|subcommand)/u.exec(message)?.[1]
  return command === undefined ? `~${prefix}*` : `+${command}`
}
