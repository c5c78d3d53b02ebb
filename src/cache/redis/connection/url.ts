import { domainToASCII } from 'node:url'
import { quote, SwitchbackError } from '../../../errors.ts'

/** Where a Redis is and who asks, as ioredis takes it. */
export interface RedisAddress {
  readonly host: string
  readonly port: number
  readonly username?: string
  readonly password?: string
  readonly db?: number
  readonly family?: number
  readonly tls?: object
}

const DEFAULT_PORT = 6379
/** Redis counts its databases as a 32-bit integer. */
const MAX_DB = 2_147_483_647

/**
 * Takes a URL apart. Stricter than a URL needs to be: what an environment file or a password that was not encoded
 * leaves behind would otherwise connect to somewhere else, or as somebody else.
 *
 * @throws SwitchbackError `SB_REDIS_URL`, which repeats nothing of what may be a password
 */
export function parseRedisUrl(url: unknown): RedisAddress {
  const found = faultOf(url)
  if (found !== undefined) throw urlError(`The Redis URL${named(url)} ${found[0]}.`, found[1])
  const parsed = new URL(url as string)
  const { username, password, hostname, port, searchParams } = parsed
  const [db = ''] = databasesOf(parsed)
  const family = searchParams.get('family')
  return {
    host: hostOf(hostname),
    port: port === '' ? DEFAULT_PORT : Number(port),
    ...(username === '' ? {} : { username: decodeURIComponent(username) }),
    ...(password === '' ? {} : { password: decodeURIComponent(password) }),
    ...(db === '' ? {} : { db: Number(db) }),
    ...(family === null ? {} : { family: Number(family) }),
    ...(parsed.protocol === 'rediss:' ? { tls: {} } : {}),
  }
}

/** The URL without user and password. Of one that is not valid only what cannot be one. */
export function shownRedisUrl(url: string): string {
  if (faultOf(url) !== undefined) return 'what was given'
  const { protocol, host, hostname, pathname } = new URL(url)
  const where = hostname.includes('%') ? host.replace(hostname, hostOf(hostname)) : host
  return `${protocol}//${where}${pathname}`.replace(/\/$/u, '')
}

/** As it is looked up: a URL of a scheme that is not a browser's keeps what is not ASCII as %-escapes. */
function hostOf(hostname: string): string {
  if (hostname.includes('%')) return domainToASCII(decodeURIComponent(hostname))
  return hostname.replace(/^\[|\]$/gu, '')
}

/** The databases that it names, each once. */
function databasesOf({ pathname, searchParams }: URL): readonly string[] {
  const named = [pathname.slice(1), ...searchParams.getAll('db')].filter((db) => db !== '')
  return [...new Set(named.map((db) => db.replace(/^0+(?=\d)/u, '')))]
}

/** It is repeated only when it has neither a user nor a password in it. */
function named(url: unknown): string {
  return typeof url === 'string' && /^[^@:?#]+$/u.test(url) ? ` ${quote(url)}` : ''
}

export function urlError(message: string, hint: string): SwitchbackError {
  return new SwitchbackError('SB_REDIS_URL', message, { hint })
}

/** What is wrong with it, and the remedy. */
type Fault = readonly [string, string]

const FORM = 'Write redis://host:6379, or rediss://user:password@host:6380/0 for TLS.'
const ENCODE =
  'In user and password write % as %25, # as %23, / as %2F, ? as %3F, @ as %40 and a blank as %20.'

function faultOf(url: unknown): Fault | undefined {
  if (typeof url !== 'string') return [`is not a text but ${typeof url}`, FORM]
  return faultOfText(url) ?? faultOfParts(url)
}

/** What can be seen before it is taken apart: a parser would drop some of it without a word. */
function faultOfText(url: string): Fault | undefined {
  if (url === '') return ['is empty', FORM]
  if (url.trim() === '') return ['is blank', FORM]
  if (/^\s|\s$/u.test(url)) {
    return ['begins or ends with a blank or a line break', 'Remove it where the URL is set.']
  }
  if (/^["'`]|["'`]$/u.test(url)) {
    return [
      'begins or ends with a quotation mark',
      'Remove the quotation marks: not every reader of environment files does.',
    ]
  }
  // Nothing else comes before `//`: what does may be a password.
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//iu.exec(url)?.[1]
  if (url.startsWith('/') || /^unix:/iu.test(url)) {
    return [
      'is the path of a socket',
      'Pass a client instead: redisCache({ client: new Redis({ path }) }).',
    ]
  }
  if (scheme === undefined) return ['does not begin with redis:// or rediss://', FORM]
  if (scheme !== 'redis' && scheme !== 'rediss') {
    return [`has the scheme ${quote(scheme.slice(0, 20))}`, FORM]
  }
  if (/[\s\p{Cc}]/u.test(url)) return ['has a blank or a control character in it', ENCODE]
  if (url.includes('#')) return ['has a # in it', ENCODE]
  return undefined
}

function faultOfParts(url: string): Fault | undefined {
  const rest = url.slice(url.indexOf('//') + 2)
  const authority = /^[^/?]*/u.exec(rest)![0]
  const server = authority.slice(authority.lastIndexOf('@') + 1)
  // Behind an @, so it was to be a part of the password.
  if (rest.slice(authority.length).includes('@')) {
    return ['has a / or a ? before the @', ENCODE]
  }
  if (server.includes(',')) {
    return [
      'names several servers',
      'Pass a client for Sentinel or Cluster instead: redisCache({ client }).',
    ]
  }
  if (server === '' || server.startsWith(':')) return ['names no host', FORM]
  const port = /:([^:\]]*)$/u.exec(server)?.[1]
  if (port !== undefined && port !== '' && !isPort(port)) {
    return ['has a port that is not a number from 1 to 65535', `${FORM} ${ENCODE}`]
  }
  if (!URL.canParse(url)) return ['is not a valid URL', `${FORM} ${ENCODE}`]
  return faultOfMeaning(new URL(url))
}

function faultOfMeaning(url: URL): Fault | undefined {
  const { username, password, hostname, pathname, searchParams } = url
  if (!isDecodable(username) || !isDecodable(password)) {
    return ['has a % in the user or the password that is not encoded', ENCODE]
  }
  if (hostname.includes('%') && !(isDecodable(hostname) && hostOf(hostname) !== '')) {
    return ['has a host that is not a name', FORM]
  }
  if (!/^\/?\d*$/u.test(pathname)) {
    return [
      'has a path that is not the number of a database',
      'Write redis://host:6379/0, or leave the path out.',
    ]
  }
  for (const [name, value] of searchParams) {
    const isKnown = name === 'db' || name === 'family'
    if (!isKnown || !/^\d+$/u.test(value)) {
      return [
        'has options after the ?',
        'Leave them out, or pass a client with these options: redisCache({ client }).',
      ]
    }
  }
  const databases = databasesOf(url)
  if (databases.length > 1) {
    return ['names several databases', 'Write the number once: redis://host:6379/0.']
  }
  if (databases.some((db) => Number(db) > MAX_DB)) {
    return [
      'has a number of a database that is too great',
      'Write redis://host:6379/0, or leave the number out.',
    ]
  }
  if (searchParams.getAll('family').some((family) => !['0', '4', '6'].includes(family))) {
    return ['has a family that is not 0, 4 or 6', 'Write ?family=6 for IPv6, or leave it out.']
  }
  return undefined
}

function isPort(text: string): boolean {
  return /^\d{1,5}$/u.test(text) && Number(text) >= 1 && Number(text) <= 65_535
}

function isDecodable(text: string): boolean {
  try {
    // The result is used: bundlers drop a call of it otherwise.
    return decodeURIComponent(text) !== undefined
  } catch {
    // A % that begins no escape.
    return false
  }
}
