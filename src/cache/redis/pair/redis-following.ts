import type { ChangeListener, Following } from '../../backend.ts'
import type { Cell } from '../../cell.ts'
import { isCluster, type RedisClient, type RedisNode } from '../connection/redis-client.ts'
import { redisError } from '../redis-errors.ts'
import { evaluate, FOREIGN, script, type Script } from '../scripts.ts'
import type { Server } from '../servers/server.ts'

const CHANNEL = '__redis__:invalidate'
/** So often the connection is asked for proof, and the server for its era. */
const PROOF_MS = 250
/** A connection that is lost is made again after so long, and one that was refused. */
const RETRY_MS = 100
const REFUSED_RETRY_MS = 10_000
const SILENCE_MS = 1000
const MOST_ENDED = 5

// KEYS: cell, state
export const FOLLOWER_ASK: Script = script(`
local text = redis.pcall('GET', KEYS[1])
if type(text) == 'table' then text = '${FOREIGN}' end
return { redis.call('HMGET', KEYS[2], 'era')[1] or '', text }
`)

/** A connection of its own: ioredis' `Redis`, as far as it is used here. */
interface Connection {
  connect(): Promise<void>
  disconnect(): void
  call(command: string, ...args: string[]): Promise<unknown>
  subscribe(channel: string): Promise<unknown>
  ping(): Promise<unknown>
  on(event: 'messageBuffer', listener: (channel: Buffer, names: unknown) => void): unknown
  on(event: string, listener: () => void): unknown
}

interface Duplicable extends RedisNode {
  duplicate(options: object): Connection
}

export interface RedisFollowingParts {
  readonly client: RedisNode
  readonly server: Server
  /** What the names of all that belongs to cells begin with. */
  readonly watched: readonly string[]
  /** The cells (`storageKey`) that a change of this name may be of. */
  readonly toldAs: (name: string) => readonly string[]
  readonly stateName: string
  /** Where a cell is: one name, or several. */
  readonly namesOf: (key: string) => readonly string[]
  /** The cell that the texts under its names stand for. */
  readonly open: (texts: readonly (string | null)[], era: string) => Cell
  /** Answers with the era and the texts. */
  readonly script: Script
  readonly listener: ChangeListener
}

/** Whether a client can be followed with: the application's may be something else than ioredis. */
export function canFollow(client: RedisClient): client is Duplicable {
  return !isCluster(client) && typeof (client as Partial<Duplicable>).duplicate === 'function'
}

/**
 * Hears of every change under the prefix, by whomever: CLIENT TRACKING in broadcast mode. Redis sends the
 * changes and the answers to PING on one connection and in order, so an answer proves that everything
 * acknowledged before the PING has been told. In RESP2 a connection may redirect to itself, and ioredis 6
 * drops what RESP3 would push.
 *
 * The proof counts only while the server takes a tick and is in the era in which the connection was made:
 * a replica, and a master that was replaced, prove nothing.
 */
export class RedisFollowing implements Following {
  provenAt: number = Number.NEGATIVE_INFINITY
  readonly #parts: RedisFollowingParts
  readonly #timer: NodeJS.Timeout
  #connection: Connection | undefined
  /** The server's era when the present connection was made; `''` while there is none. */
  #era = ''
  #retryAt = 0
  /** How often in a row a connection ended before it was told anything, though the server answers others. */
  #ended = 0
  #refused = false
  #closed = false

  constructor(parts: RedisFollowingParts) {
    this.#parts = parts
    this.#timer = setInterval(() => this.#round(), PROOF_MS).unref()
    this.#round()
  }

  get follows(): boolean {
    return this.#era !== '' && this.#era === this.#parts.server.heard?.name
  }

  get eraBeganAt(): number {
    const { heard } = this.#parts.server
    return heard === undefined
      ? Number.POSITIVE_INFINITY
      : performance.now() - (heard.now - heard.since)
  }

  async ask(key: string): Promise<Cell | undefined> {
    const { client, server, namesOf, stateName, open, script: ask } = this.#parts
    const names = namesOf(key)
    try {
      if (!server.trusted) await server.ask()
      const reply = await evaluate(client, ask, [...names, stateName], [])
      const [era, ...texts] = reply as [string, ...(string | null)[]]
      if (era !== server.heard?.name) {
        await server.ask()
        return undefined
      }
      return open(texts, era)
    } catch (error) {
      throw redisError(error)
    }
  }

  close(): void {
    this.#closed = true
    clearInterval(this.#timer)
    this.#lose(this.#connection)
  }

  #round(): void {
    if (this.#connection === undefined) {
      if (performance.now() >= this.#retryAt) void this.#begin()
    } else void this.#prove(this.#connection)
  }

  async #begin(): Promise<void> {
    const { client, server, watched, stateName, listener } = this.#parts
    const { keyPrefix = '' } = client.options as { readonly keyPrefix?: string }
    const connection = (client as Duplicable).duplicate({
      protocol: 2,
      keyPrefix: '',
      lazyConnect: true,
      autoResubscribe: false,
      autoResendUnfulfilledCommands: false,
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      retryStrategy: () => null,
      socketTimeout: SILENCE_MS,
      connectTimeout: SILENCE_MS,
    })
    const lost = (): void => this.#lose(connection)
    connection.on('error', () => undefined)
    connection.on('close', lost)
    connection.on('messageBuffer', (_, names) => {
      if (Array.isArray(names)) for (const name of names) this.#changed(String(name), keyPrefix)
      // FLUSHALL: another era begins, and nobody knows what was there.
      else this.#lose(connection)
    })
    this.#connection = connection
    let connected = false
    try {
      await connection.connect()
      connected = true
      if (!server.trusted) await server.ask()
      const id = await connection.call('CLIENT', 'ID')
      const [era] = (await connection.call('HMGET', keyPrefix + stateName, 'era')) as unknown[]
      const on = ['TRACKING', 'ON', 'REDIRECT', String(id), 'BCAST']
      const prefixes = watched.flatMap((prefix) => ['PREFIX', keyPrefix + prefix])
      await connection.call('CLIENT', ...on, ...prefixes)
      await connection.subscribe(CHANNEL)
      if (this.#connection !== connection) return
      this.#ended = 0
      // Another era has begun, by a clear() say, of which this process has not heard: that is no refusal.
      if (typeof era !== 'string' || era !== server.heard?.name) {
        await server.ask()
        return this.#lose(connection)
      }
      this.#refused = false
      listener.began()
      this.#era = era
      void this.#prove(connection)
    } catch (error) {
      this.#lose(connection)
      // A proxy that does not know a command may just close.
      this.#ended = connected && server.trusted ? this.#ended + 1 : 0
      if (isRefusal(error) || this.#ended >= MOST_ENDED) this.#tellRefused(String(error))
    }
  }

  async #prove(connection: Connection): Promise<void> {
    if (this.#era === '') return
    const { server } = this.#parts
    const sentAt = performance.now()
    try {
      await Promise.all([connection.ping(), server.ask()])
      if (this.#connection !== connection) return
      if (this.follows) this.provenAt = Math.max(this.provenAt, sentAt)
      // Cells of before are in doubt, whichever server has them now.
      else this.#lose(connection)
    } catch (error) {
      // Without proof it is not believed; a connection that is silent ends by itself.
      if (this.#connection !== connection || !isRefusal(error)) return
      this.#lose(connection)
      this.#tellRefused(String(error))
    }
  }

  #changed(name: string, keyPrefix: string): void {
    const { toldAs, listener } = this.#parts
    for (const cell of toldAs(name.slice(keyPrefix.length))) listener.changed(cell)
  }

  #lose(connection: Connection | undefined): void {
    if (connection === undefined || this.#connection !== connection) return
    this.#connection = undefined
    this.#era = ''
    this.#retryAt = performance.now() + RETRY_MS
    connection.disconnect()
    if (!this.#closed) setTimeout(() => this.#round(), RETRY_MS + 1).unref()
  }

  #tellRefused(reason: string): void {
    this.#retryAt = performance.now() + REFUSED_RETRY_MS
    if (this.#refused) return
    this.#refused = true
    this.#parts.listener.refused(reason)
  }
}

/** The server has answered, and does not want to. */
function isRefusal(error: unknown): boolean {
  const message = error instanceof Error ? error.message : ''
  return /^(?:ERR|NOPERM)\b(?! max number of clients)/u.test(message)
}
