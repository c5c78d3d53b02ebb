import { createHash } from 'node:crypto'
import { compileLua, LuaError } from './lua-library.ts'

type Value = string | Map<string, string>

interface Held {
  value: Value
  /** Server clock; 0: never. */
  expires: number
}

export type Snapshot = ReadonlyMap<string, Held>

/** What a Redis holds, and the commands that are used of it. Errors are thrown as {@link LuaError}. */
export class RedisData {
  #data = new Map<string, Held>()
  readonly #scripts = new Map<string, string>()
  runId = ''
  /** Not zeros once it was a replica. */
  replid2: string = '0'.repeat(40)
  /** Refuses what takes memory. */
  full = false
  /** Refuses every write, as a replica does. */
  readonly = false
  readonly #clock: () => number
  #watchers: Map<string, (text: string) => void> | undefined

  /** @param clock the server's, in milliseconds */
  constructor(clock: () => number) {
    this.#clock = clock
  }

  snapshot(): Snapshot {
    return new Map(
      [...this.#data].map(([key, { value, expires }]) => [key, { value: copy(value), expires }]),
    )
  }

  /** Other data in the place of all that is there. */
  replace(data: Snapshot): void {
    this.#data = new Map(
      [...data].map(([key, { value, expires }]) => [key, { value: copy(value), expires }]),
    )
  }

  restart(runId: string, data: Snapshot): void {
    this.runId = runId
    this.replid2 = '0'.repeat(40)
    this.full = false
    this.readonly = false
    this.#scripts.clear()
    this.replace(data)
  }

  /** Called with each text, before it is set. */
  watch(key: string, saw: (text: string) => void): void {
    this.#watchers ??= new Map()
    this.#watchers.set(key, saw)
  }

  delete(key: string): boolean {
    return this.#data.delete(key)
  }

  keys(): string[] {
    return [...this.#data.keys()]
  }

  /** A string as it stands, for whoever watches. */
  peek(key: string): string | undefined {
    const held = this.#held(key)
    return typeof held?.value === 'string' ? held.value : undefined
  }

  execute(name: string, args: readonly string[]): unknown {
    const [key = '', ...rest] = args
    switch (name) {
      case 'PING':
        return 'PONG'
      case 'SELECT':
      case 'CLIENT':
      case 'WAIT':
        return 'OK'
      case 'TIME': {
        const now = this.#clock()
        return [String(Math.floor(now / 1000)), String((now % 1000) * 1000)]
      }
      case 'INFO':
        return this.#info(key)
      case 'SCRIPT':
        return this.#script(args)
      case 'EVAL':
        return this.#eval(key, rest)
      case 'EVALSHA': {
        const source = this.#scripts.get(key)
        if (source === undefined) throw reply('NOSCRIPT No matching script. Please use EVAL.')
        return this.#eval(source, rest)
      }
      case 'MGET':
        return args.map((one) => this.peek(one) ?? null)
      case 'GET':
        return this.#string(key) ?? null
      case 'STRLEN':
        return (this.#string(key) ?? '').length
      case 'GETRANGE':
        return (this.#string(key) ?? '').slice(Number(rest[0]), endOf(rest[1]))
      case 'EXISTS':
        return args.filter((one) => this.#held(one) !== undefined).length
      case 'TYPE': {
        const held = this.#held(key)
        return held === undefined ? 'none' : typeof held.value === 'string' ? 'string' : 'hash'
      }
      case 'PTTL':
      case 'PEXPIRETIME': {
        const held = this.#held(key)
        if (held === undefined) return -2
        if (held.expires === 0) return -1
        return name === 'PTTL' ? held.expires - this.#clock() : held.expires
      }
      case 'SCAN': {
        const pattern = new RegExp(
          `^${String(rest[rest.findIndex((one) => /^match$/iu.test(one)) + 1]).replaceAll(
            /\\(.)|\*|[.+?^${}()|[\]]/gu,
            (all, escaped?: string) =>
              escaped !== undefined ? `\\${escaped}` : all === '*' ? '[\\s\\S]*' : `\\${all}`,
          )}$`,
        )
        return ['0', this.keys().filter((one) => pattern.test(one))]
      }
      case 'HGET':
        return this.#hash(key)?.get(rest[0]!) ?? null
      case 'HMGET':
        return rest.map((field) => this.#hash(key)?.get(field) ?? null)
      case 'HGETALL':
        return [...(this.#hash(key) ?? [])].flat()
      case 'HKEYS':
        return [...(this.#hash(key)?.keys() ?? [])]
      case 'HRANDFIELD':
        return [...(this.#hash(key) ?? [])].slice(0, Number(rest[0])).flat()
      case 'HLEN':
        return this.#hash(key)?.size ?? 0
      case 'HEXISTS':
        return this.#hash(key)?.has(rest[0]!) === true ? 1 : 0
      default:
        return this.#write(name, args)
    }
  }

  #write(name: string, args: readonly string[]): unknown {
    if (this.readonly) throw reply("READONLY You can't write against a read only replica.")
    const [key = '', ...rest] = args
    switch (name) {
      case 'DEL':
      case 'UNLINK':
        return args.filter((one) => this.#held(one) !== undefined && this.#data.delete(one)).length
      case 'HDEL': {
        const hash = this.#hash(key)
        const count = rest.filter((field) => hash?.delete(field) === true).length
        if (hash?.size === 0) this.#data.delete(key)
        return count
      }
      case 'FLUSHALL':
      case 'FLUSHDB':
        this.#data.clear()
        return 'OK'
      case 'PERSIST':
      case 'PEXPIRE':
      case 'PEXPIREAT': {
        const held = this.#held(key)
        if (held === undefined) return 0
        if (name === 'PERSIST') held.expires = 0
        else held.expires = Number(rest[0]) + (name === 'PEXPIRE' ? this.#clock() : 0)
        return 1
      }
      default:
    }
    if (this.full) throw reply("OOM command not allowed when used memory > 'maxmemory'.")
    switch (name) {
      case 'SET':
        return this.#set(key, rest)
      case 'SETRANGE': {
        const before = this.#string(key) ?? ''
        const at = Number(rest[0])
        const value =
          before.slice(0, at).padEnd(at, '\0') + rest[1] + before.slice(at + rest[1]!.length)
        this.#data.set(key, { value, expires: this.#held(key)?.expires ?? 0 })
        return value.length
      }
      case 'INCR':
      case 'INCRBY': {
        const value = String(Number(this.#string(key) ?? 0) + Number(rest[0] ?? 1))
        this.#data.set(key, { value, expires: this.#held(key)?.expires ?? 0 })
        return Number(value)
      }
      case 'HSET':
      case 'HMSET':
      case 'HSETNX': {
        const hash = this.#hash(key) ?? new Map<string, string>()
        let added = 0
        for (let i = 0; i + 1 < rest.length; i += 2) {
          if (name === 'HSETNX' && hash.has(rest[i]!)) continue
          if (!hash.has(rest[i]!)) added += 1
          hash.set(rest[i]!, rest[i + 1]!)
        }
        if (this.#held(key) === undefined) this.#data.set(key, { value: hash, expires: 0 })
        return name === 'HMSET' ? 'OK' : added
      }
      case 'HINCRBY': {
        const value = Number(this.#hash(key)?.get(rest[0]!) ?? 0) + Number(rest[1])
        this.#write('HSET', [key, rest[0]!, String(value)])
        return value
      }
      default:
        throw new Error(`the simulated Redis does not know ${name}`)
    }
  }

  #set(key: string, options: readonly string[]): unknown {
    const [value = '', ...rest] = options
    let expires = 0
    for (let i = 0; i < rest.length; i += 1) {
      const option = rest[i]!.toUpperCase()
      const exists = this.#held(key) !== undefined
      if ((option === 'NX' && exists) || (option === 'XX' && !exists)) return null
      if (option === 'KEEPTTL') expires = this.#held(key)?.expires ?? 0
      if (!/^P?X(?:AT)?$|^EX$/u.test(option) || option === 'XX') continue
      i += 1
      const number = Number(rest[i])
      if (!(number > 0)) throw reply("ERR invalid expire time in 'set' command")
      if (option === 'PX') expires = this.#clock() + number
      else if (option === 'EX') expires = this.#clock() + number * 1000
      else expires = number
    }
    this.#watchers?.get(key)?.(value)
    this.#data.set(key, { value, expires })
    return 'OK'
  }

  #info(section: string): string {
    const { runId, replid2 } = this
    const role = this.readonly ? 'slave' : 'master'
    const server = `# Server\r\nredis_version:7.0.15\r\nrun_id:${runId}\r\n`
    if (section === 'server') return server
    const replication = `# Replication\r\nrole:${role}\r\nmaster_replid:${runId}\r\nmaster_replid2:${replid2}\r\n`
    if (section === 'replication') return replication
    return `${server}${replication}# Memory\r\nmaxmemory_policy:noeviction\r\n`
  }

  #script(args: readonly string[]): unknown {
    const [what = '', source = ''] = args
    if (what.toUpperCase() === 'FLUSH') this.#scripts.clear()
    if (what.toUpperCase() !== 'LOAD') return 'OK'
    const sha = createHash('sha1').update(source).digest('hex')
    this.#scripts.set(sha, source)
    return sha
  }

  #eval(source: string, rest: readonly string[]): unknown {
    const keys = Number(rest[0])
    if (!shas.has(source)) shas.set(source, createHash('sha1').update(source).digest('hex'))
    this.#scripts.set(shas.get(source)!, source)
    const run = compileLua(source)
    return run(
      { call: (name, args) => this.execute(name, args) },
      rest.slice(1, 1 + keys),
      rest.slice(1 + keys),
    )
  }

  #held(key: string): Held | undefined {
    const held = this.#data.get(key)
    if (held === undefined || held.expires === 0 || held.expires > this.#clock()) return held
    this.#data.delete(key)
    return undefined
  }

  #string(key: string): string | undefined {
    const held = this.#held(key)
    if (held !== undefined && typeof held.value !== 'string') throw wrongType()
    return held?.value as string | undefined
  }

  #hash(key: string): Map<string, string> | undefined {
    const held = this.#held(key)
    if (held !== undefined && typeof held.value === 'string') throw wrongType()
    return held?.value as Map<string, string> | undefined
  }
}

const shas = new Map<string, string>()

function copy(value: Value): Value {
  return typeof value === 'string' ? value : new Map(value)
}

function endOf(end: string | undefined): number | undefined {
  return Number(end) < 0 ? (Number(end) === -1 ? undefined : Number(end) + 1) : Number(end) + 1
}

function wrongType(): LuaError {
  return reply('WRONGTYPE Operation against a key holding the wrong kind of value')
}

function reply(message: string): LuaError {
  const error = new LuaError(message)
  error.name = 'ReplyError'
  return error
}
