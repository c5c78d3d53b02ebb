import { Redis } from 'ioredis'
import {
  grant,
  missingRights,
  parseRedisUrl,
  PLAIN_SPACE,
  prefixOf,
  shownRedisUrl,
  transportFault,
  type RedisAddress,
  userOf,
} from '../../cache/index.ts'
import { messageOf, type SwitchbackError } from '../../errors.ts'
import type { Side } from '../../side.ts'
import { doubtAbout, type KnownState, stateText, statesIn } from '../stores/known-state.ts'
import type { NamedRedis, RedisSettings } from '../stores/options.ts'
import { checkFollow } from './check-follow.ts'
import { type DoctorFinding, ok, problem, skipped, warning } from './finding.ts'

const check = 'redis'

export interface RedisQuestion {
  readonly side: Side
  /** `undefined`: none is named. */
  readonly url: string | undefined
  readonly settings: RedisSettings
  /** The other side is a Redis as well. */
  readonly paired: boolean
}

/** Checks Redis: reachable, what its user may do, its memory policy, and its clock. */
export async function checkRedis(question: RedisQuestion): Promise<DoctorFinding[]> {
  const { url, settings, paired } = question
  if (url === undefined)
    return [skipped(check, 'REDIS_URL is not set; name a Redis with --redis URL')]
  const shown = shownRedisUrl(url)
  let address: RedisAddress
  try {
    address = parseRedisUrl(url)
  } catch (error) {
    const { message, hint } = error as SwitchbackError
    return [problem(check, `${shown} is not a Redis URL`, `${message} ${hint}`)]
  }
  const redis = new Redis({
    ...address,
    lazyConnect: true,
    connectTimeout: 1500,
    commandTimeout: 1500,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
  })
  // The server's refusal: the rejected call itself reports only that the connection is closed.
  let refused: string | undefined
  let code = ''
  redis.on('error', (error: NodeJS.ErrnoException) => {
    if (refused === undefined) code = error.code ?? ''
    refused ??= error.message
  })
  try {
    await redis.connect()
    const mode = await redis.info('server').catch(() => '')
    if (/^redis_mode:cluster/m.test(mode)) return [nodeOfCluster(shown)]
    if (/^redis_mode:sentinel/m.test(mode)) return [sentinel(shown)]
    const prefixes = prefixesOf(settings)
    const user = userOf(redis)
    const missing = await rightsMissing(redis, prefixes, question)
    const rights = checkRights(user, missing)
    // A refused SELECT leaves a connection that works, on database 0.
    if (refused !== undefined) {
      const remedy = `run on Redis: ${grant(user, ['+select', ...missing])}, or leave the number out of the URL`
      if (/^NOPERM.*'select'/.test(refused)) {
        return [
          problem(check, `${shown}: user ${user} may not choose database ${address.db}`, remedy),
        ]
      }
      return [unusable(shown, { reason: refused, code }, address)]
    }
    if (rights !== undefined) return [ok(check, `${shown} answers`), rights]
    const info = await redis.info()
    const [seconds = 0, micros = 0] = (await redis.time()).map(Number)
    const skew = seconds * 1000 + micros / 1000 - Date.now()
    const version = /^(?:valkey|redis)_version:(\S+)/m.exec(info)?.[1] ?? 'unknown'
    return [
      ok(check, `${shown} answers, version ${version}`),
      ...checkRole(info, shown),
      ...checkMemory(info),
      ...checkClock(skew),
      checkState({ ...question, url, shown }, await statesIn(redis, settings)),
      ...(paired ? [] : [await checkFollow(redis, prefixes)]),
    ]
  } catch (error) {
    const mute = /RESET|TIMEDOUT|EPROTO|EPIPE|SSL/.test(`${code} ${refused}`)
    const fault = mute ? await transportFault(address) : undefined
    if (fault !== undefined) return [problem(check, fault.message, fault.hint ?? '')]
    return [unusable(shown, { reason: refused ?? messageOf(error), code }, address)]
  } finally {
    redis.disconnect()
  }
}

/** What the names of all that the cache uses begin with. */
function prefixesOf(settings: RedisSettings): readonly string[] {
  const prefix = prefixOf(settings)
  if (settings.values !== 'plain') return [prefix]
  return PLAIN_SPACE.startsWith(prefix) ? [prefix] : [prefix, PLAIN_SPACE]
}

async function rightsMissing(
  redis: Redis,
  prefixes: readonly string[],
  { paired, settings }: RedisQuestion,
): Promise<readonly string[]> {
  const missing = new Set<string>()
  const plain = settings.values === 'plain'
  // All keys need not be its own, where no prefix tells which are.
  for (const prefix of plain && prefixes.includes('') ? [PLAIN_SPACE] : prefixes) {
    for (const word of await missingRights(redis, { prefix, paired, plain })) missing.add(word)
  }
  return [...missing]
}

/** Other values, or another prefix, than the service has: all else was checked for another cache. */
function checkState(named: NamedRedis, found: readonly KnownState[]): DoctorFinding {
  const name = 'redis state'
  if (found.length === 0) return ok(name, `no switch has used ${named.shown} yet`)
  const doubt = doubtAbout(named, found)
  if (doubt !== undefined) return warning(name, doubt.what, doubt.remedy)
  return ok(name, `a switch with ${stateText(named.settings)} has used ${named.shown}`)
}

function checkRights(user: string, missing: readonly string[]): DoctorFinding | undefined {
  if (missing.length === 0) return undefined
  const name = 'redis rights'
  const text = `user ${user} lacks ${missing.join(' ')}`
  const remedy = `run on Redis: ${grant(user, missing)}`
  if (missing.every((word) => word === '+info')) {
    const meaning = 'every new connection counts as a restarted server, and the side is cold'
    return warning(name, `${text}: ${meaning}`, remedy)
  }
  return problem(name, text, remedy)
}

/** Why it cannot be used: it refuses the user or the command, its certificate is not trusted, or nothing listens there. */
function unusable(
  shown: string,
  { reason, code }: { readonly reason: string; readonly code: string },
  { db }: RedisAddress,
): DoctorFinding {
  if (reason.startsWith('WRONGPASS')) {
    const text = `${shown} refuses the user or the password: ${reason}`
    return problem(check, text, 'correct them in the URL: redis://USER:PASSWORD@host:6379')
  }
  if (reason.startsWith('NOAUTH')) {
    const text = `${shown} requires a password, and the URL has none (NOAUTH)`
    return problem(check, text, 'add it to the URL: redis://:PASSWORD@host:6379')
  }
  if (/DB index is out of range|SELECT is not allowed/i.test(reason)) {
    const text = `${shown} has no database ${db}: ${reason}`
    return problem(check, text, 'leave the number out of the URL, or raise databases in redis.conf')
  }
  if (reason.startsWith('NOPERM')) {
    const remedy = 'grant the commands of the ACL in docs/operate.md'
    return problem(check, `${shown} does not permit a command that is needed: ${reason}`, remedy)
  }
  if (/ALTNAME/.test(code)) {
    const text = `the certificate of ${shown} is for another host: ${reason}`
    return problem(check, text, 'name it in the URL by a name that is in its certificate')
  }
  if (/CERT|SELF_SIGNED|VERIFY/.test(code)) {
    const remedy = /EXPIRED|NOT_YET_VALID/.test(code)
      ? 'renew the certificate, or correct the clock of this host'
      : 'set NODE_EXTRA_CA_CERTS to the file of the certificate of its authority, here and in the service'
    return problem(check, `the certificate of ${shown} is not trusted: ${reason}`, remedy)
  }
  if (/RESP type|wrong version number|unsupported protocol/i.test(reason)) {
    const text = `what answers at ${shown} is not a Redis`
    return problem(check, text, `give the host and the port of Redis; ${meanwhile}`)
  }
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    return problem(
      check,
      `the host of ${shown} cannot be found: ${reason}`,
      `correct it in the URL; ${meanwhile}`,
    )
  }
  const remedy = `start Redis (restart one that hangs), or name it with REDIS_URL; ${meanwhile}`
  return problem(check, `${shown} does not answer: ${reason}`, remedy)
}

const meanwhile = 'until then the old side (files) serves all users'

function nodeOfCluster(shown: string): DoctorFinding {
  return problem(
    check,
    `${shown} is a node of a Redis Cluster, and a URL is used as a single Redis: each node has a part of the keys only`,
    "pass a Cluster client instead: redisCache({ client: new Cluster([{ host, port }]) }), with Cluster from 'ioredis'",
  )
}

function sentinel(shown: string): DoctorFinding {
  return problem(
    check,
    `${shown} is a Sentinel, which has no keys: nothing of it is used, and the old side serves all users`,
    'pass a client instead: redisCache({ client: new Redis({ sentinels: [{ host, port }], name }) })',
  )
}

/** A replica answers every question and refuses every write: a rollout on it would look healthy at 0 %. */
function checkRole(info: string, shown: string): DoctorFinding[] {
  if (!/^role:slave/m.test(info)) return []
  const host = /^master_host:(\S+)/m.exec(info)?.[1]
  const port = /^master_port:(\d+)/m.exec(info)?.[1]
  const master =
    host === undefined || port === undefined ? 'the master' : `its master, ${host}:${port}`
  return [
    problem(
      'redis role',
      `${shown} is a replica: it refuses every write, so the old side serves all users`,
      `name ${master}; behind Sentinel pass a client: redisCache({ client })`,
    ),
  ]
}

function checkMemory(info: string): DoctorFinding[] {
  const policy = /^maxmemory_policy:(\S+)/m.exec(info)?.[1]
  const limit = Number(/^maxmemory:(\d+)/m.exec(info)?.[1] ?? 0)
  const name = 'redis memory'
  if (policy === undefined) return []
  if (limit === 0) {
    return [
      warning(
        name,
        'maxmemory is not set: Redis grows until the system kills it',
        `set maxmemory, and ${choose}`,
      ),
    ]
  }
  const size = `${policy} at ${Math.round(limit / 1_048_576)} MiB`
  if (policy === 'noeviction') {
    return [ok(name, `${size}: nothing is evicted; when full it refuses writes`)]
  }
  if (policy === 'volatile-lru') {
    return [ok(name, `${size}: when full it evicts keys that expire, and keeps its state`)]
  }
  if (policy === 'allkeys-lfu') {
    const text = `${size}: once full it may forget its state, and is cold, or a young delete`
    return [warning(name, text, choose)]
  }
  return [warning(name, `${size}: when full it evicts recent tombstones`, choose)]
}

/** The reasons are in docs/operate.md: how many tombstones each policy loses under pressure. */
const choose = 'set maxmemory-policy noeviction with room to spare, or else volatile-lru'

function checkClock(skewMs: number): DoctorFinding[] {
  if (Math.abs(skewMs) < 1000) return []
  const direction = skewMs > 0 ? 'ahead of' : 'behind'
  return [
    warning(
      'clock',
      `the clock of Redis is ${(Math.abs(skewMs) / 1000).toFixed(1)} s ${direction} this one`,
      'synchronise the clocks (NTP): entries expire at absolute times',
    ),
  ]
}
