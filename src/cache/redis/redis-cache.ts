import type {
  Board,
  CacheBackend,
  ChangeListener,
  Entry,
  Following,
  InvalidateOptions,
  InvalidateResult,
  Membership,
  NamesPage,
  WriteOptions,
  WriteResult,
} from '../backend.ts'
import { SwitchbackError } from '../../errors.ts'
import {
  ENVELOPE_VERSION,
  isWellFormed,
  timeDigits,
  tombstoneEnvelope,
  valueEnvelope,
} from '../envelope.ts'
import type { Cell } from '../cell.ts'
import { digestOf, type PlainCodec } from '../plain-value.ts'
import { type OnWarning, Warnings } from '../warn.ts'
import { BOARD_READ, RedisBoard } from './pair/board.ts'
import { ClusterBoard } from './pair/cluster-board.ts'
import { unsafeClient } from './connection/check-client.ts'
import { warnOfLosses } from './connection/client-events.ts'
import { givenClient } from './clients/given.ts'
import { createClient, isCluster, type RedisClient } from './connection/client.ts'
import { foreignData, foreignPlain, outOfMemory, redisError } from './errors.ts'
import { canFollow, Follower, FOLLOWER_ASK } from './pair/follower.ts'
import { checkOptions, checkRedisNames, type RedisCacheOptions } from './options.ts'
import { PlainCells } from './plain/plain-cells.ts'
import { COMPANIONS, PLAIN_SPACE, PlainNames } from './plain/plain-names.ts'
import {
  PLAIN_ASK,
  PLAIN_CLEAR,
  PLAIN_CLAIM,
  PLAIN_PUT,
  PLAIN_READ,
  PLAIN_TOMBSTONE,
} from './plain/plain-scripts.ts'
import { missingRights, rightsWarning, userOf } from './rights.ts'
import { Scripts } from './run-scripts.ts'
import { keyPrefixOf, scanKeys, scanPages } from './scan.ts'
import { evaluate, OUTCOME, PUT_SCRIPT, type Script, TOMBSTONE_SCRIPT } from './scripts.ts'
import type { EraListener } from './servers/servers.ts'
import { CellReads } from './cell-reads.ts'
import { parseRedisUrl } from './connection/url.ts'

const DEFAULT_PREFIX = 'switchback:cache:'
const DEFAULT_TOMBSTONE_TTL_MS = 120_000
/** Keys tombstoned at once by `clear`. */
const CLEAR_BATCH = 200

/**
 * A cache in Redis 6.2 to 8 or Valkey: standalone, Sentinel or Cluster. Each cell is one string with
 * an expiry; conditional writes and tombstones are one script each, which judges time by the server's
 * own clock, so that what timed out at the client and lands later is refused by Redis itself.
 *
 * Never rejects at creation because Redis is away: operations fail until it is back.
 *
 * @throws SwitchbackError `SB_REDIS_CLIENT`, `SB_REDIS_URL`, `SB_REDIS_OPTIONS`. Operations reject with
 * `SB_REDIS_UNREACHABLE`, `SB_REDIS_TIMEOUT`, `SB_REDIS_OUT_OF_MEMORY`, `SB_REDIS_REFUSED`.
 */
export function redisCache(options: RedisCacheOptions): CacheBackend {
  checkRedisNames(options)
  const plain = options.values === 'plain'
  const {
    name = 'redis',
    prefix = plain ? '' : DEFAULT_PREFIX,
    tombstoneTtl = DEFAULT_TOMBSTONE_TTL_MS,
  } = options
  checkOptions(options, prefix, tombstoneTtl)
  const warnings = new Warnings()
  const connection = connectionOf(options, warnings.tell)
  const names = plain ? new PlainNames(prefix, keyPrefixOf(connection.client)) : undefined
  const cells = names && new PlainCells(names, options.codec ?? AS_IT_IS)
  return new RedisCache(name, connection, prefix, tombstoneTtl, warnings, cells)
}

/** The application keeps the same text as the switch. */
const AS_IT_IS: PlainCodec = { encode: (payload) => payload, decode: (stored) => stored }

interface Connection {
  readonly client: RedisClient
  readonly disconnect: () => void
}

/** The application's client, which it closes itself, or one of our own. */
function connectionOf(options: RedisCacheOptions, onWarning: OnWarning): Connection {
  if (options.url === undefined) {
    const { client, findings } = givenClient(options.client)
    const unsafe = unsafeClient(findings)
    if (unsafe !== undefined) onWarning(unsafe)
    return { client, disconnect: () => undefined }
  }
  const address = parseRedisUrl(options.url)
  const client = createClient(address)
  const stopWarning = warnOfLosses(client, address, onWarning)
  void client.connect().catch(() => undefined)
  const disconnect = (): void => {
    stopWarning()
    client.disconnect()
  }
  return { client, disconnect }
}

/** Where a cell is; with a key of its own for the value, that, and the value if it is written. */
interface Place {
  readonly name: string
  readonly beside?: { readonly name: string; readonly text: string }
}

class RedisCache extends CellReads implements CacheBackend {
  readonly name: string
  readonly #disconnect: () => void
  readonly #scripts: Scripts
  readonly shared: boolean = true
  readonly board: Board
  since?: (key: string) => number
  claim?: (key: string, cell: Cell) => Promise<number | undefined>
  readonly outsiders: boolean
  /** A cluster cannot be followed: each of its masters would have to be. */
  readonly follow?: (listener: ChangeListener) => Following
  /** How often a key was left alone because another program's data is under it. */
  foreign = 0

  constructor(
    name: string,
    { client, disconnect }: Connection,
    prefix: string,
    tombstoneTtl: number,
    warnings: Warnings,
    plain: PlainCells | undefined,
  ) {
    super(client, prefix, tombstoneTtl, warnings, plain)
    this.name = name
    this.#disconnect = disconnect
    this.#scripts = new Scripts(client, this.servers, () => Math.ceil(this.tombstoneTtl))
    const { single, head } = this.servers
    if (plain !== undefined) plain.onUnreadable = () => this.#sawForeign()
    const { stateName } = this
    const boardParts = { client, stateName }
    const namesOf = (key: string): readonly string[] => this.namesOf(key)
    this.board =
      single === undefined
        ? new ClusterBoard({ ...boardParts, server: head!, read: (key) => this.read(key) })
        : new RedisBoard({
            ...boardParts,
            server: single,
            namesOf,
            open: (texts, era) => this.openAll(texts, single, era),
            script: plain === undefined ? BOARD_READ : PLAIN_READ,
          })
    if (single !== undefined && canFollow(client)) {
      this.follow = (listener) =>
        new Follower({
          client,
          server: single,
          watched: plain?.names.watched ?? [prefix],
          toldAs: (changed) => this.#toldAs(changed),
          stateName,
          namesOf,
          open: (texts, era) => this.openAll(texts, single, era),
          script: plain === undefined ? FOLLOWER_ASK : PLAIN_ASK,
          listener,
        })
    }
    if (plain !== undefined) this.claim = (key, cell) => this.#claim(key, cell)
    this.outsiders = plain !== undefined
  }

  async write(key: string, entry: Entry, options: WriteOptions): Promise<WriteResult> {
    const { name, beside } = this.#placeOf(key, entry.payload)
    const payload = beside === undefined ? entry.payload : digestOf(beside.text)
    const envelope = valueEnvelope(payload, entry.expiresAt)
    if (this.starting !== undefined) await this.starting
    const { within, expect: condition, era } = options
    const script = beside === undefined ? PUT_SCRIPT : PLAIN_PUT
    const run = { script, name, beside, envelope, within, condition, era }
    const outcome = await this.#scripts.run(run)
    if (outcome === OUTCOME.foreign) {
      this.#sawForeign()
      return { written: false, token: '', foreign: true }
    }
    const written = outcome === OUTCOME.done
    return { written, token: written ? envelope.token : '' }
  }

  async invalidate(key: string, options: InvalidateOptions): Promise<InvalidateResult> {
    const { within, successor = '', notBefore = 0 } = options
    const place = this.#placeOf(key)
    if (this.starting !== undefined) await this.starting
    // Only a late tombstone that points at the other side can do harm.
    const limit = successor === '' ? Number.POSITIVE_INFINITY : within
    return this.#bury(place, successor, limit, notBefore)
  }

  async clear({ signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    if (this.starting !== undefined) await this.starting
    const nodes = isCluster(this.client) ? this.client.nodes('master') : [this.client]
    const begin = this.plain === undefined ? this.prefix : COMPANIONS
    const clear = (place: Place): Promise<InvalidateResult> =>
      this.#bury(place, '', Number.POSITIVE_INFINITY, 0, PLAIN_CLEAR)
    for (const node of nodes) {
      for await (const names of scanKeys(node, this.client, begin, signal)) {
        for (let i = 0; i < names.length; i += CLEAR_BATCH) {
          signal?.throwIfAborted()
          const batch = names.slice(i, i + CLEAR_BATCH)
          const cells = batch.flatMap((name) => this.#cellOf(name) ?? [])
          await Promise.all(cells.map(clear))
        }
      }
    }
  }

  async *names(after: string, signal?: AbortSignal): AsyncGenerator<NamesPage> {
    if (this.starting !== undefined) await this.starting
    const whole = isCluster(this.client)
    const nodes = whole ? this.client.nodes('master') : [this.client]
    for (const node of nodes) {
      const from = whole || after === '' ? '0' : after
      for await (const page of scanPages(node, this.client, this.prefix, signal, from)) {
        const cells = page.names.filter((name) => !this.#isOwnName(name))
        const names = cells.map((name) => name.slice(this.prefix.length))
        yield { names, cursor: whole || page.cursor === '0' ? '' : page.cursor }
      }
    }
  }

  now(): number {
    return this.servers.now()
  }

  onWarning(listener: OnWarning): void {
    this.warnings.to(listener)
  }

  async ping(): Promise<void> {
    if (this.starting !== undefined) await this.starting
    const client = this.client
    try {
      // No key is empty, so nothing is ever there. Unlike PING it needs a cluster that serves.
      await client.get(this.plain === undefined ? this.prefix : PLAIN_SPACE)
      if (isCluster(client)) {
        await Promise.all(client.nodes('master').map((node) => node.ping()))
        await this.servers.meet()
      } else await this.servers.trusted(this.prefix)
    } catch (error) {
      throw redisError(error, !isCluster(client))
    }
  }

  get space(): string {
    if (this.plain !== undefined) return `${PLAIN_SPACE}${this.prefix}`
    return this.prefix === DEFAULT_PREFIX ? '' : this.prefix
  }

  onEra(listener: EraListener): () => void {
    return this.servers.onEra(listener)
  }

  recheck(): void {
    this.servers.recheck()
  }

  renew(): Promise<void> {
    return this.servers.renew()
  }

  join({ owner, others, stand, paired = false, readable }: Membership): void {
    this.owner = owner
    if (others !== undefined) this.others = others
    if (stand !== undefined) this.stand = stand
    if (this.plain !== undefined && readable !== undefined) this.plain.readable = readable
    this.#checkRights(paired)
    if (!paired || this.servers.single !== undefined) return
    this.servers.pair()
    this.since = (key) => this.servers.since(this.namesOf(key)[0]!)
  }

  /** Once, on the first connection: what is refused only in an outage should be known before. */
  #checkRights(paired: boolean): void {
    const client = this.client
    const check = (): void => {
      client.off('ready', check)
      const prefix = this.plain === undefined ? this.prefix : PLAIN_SPACE
      missingRights(client, { prefix, paired, plain: this.plain !== undefined }).then(
        (words) => {
          const warning = rightsWarning(userOf(client), words)
          if (warning !== undefined) this.warnings.tell(warning)
        },
        // The connection was lost again, which its next use tells.
        () => undefined,
      )
    }
    if (client.status === 'ready') check()
    else client.on('ready', check)
  }

  async close(): Promise<void> {
    this.servers.close()
    this.#disconnect()
  }

  /** @param ofPlain the script for a value under the application's own key */
  async #bury(
    { name, beside }: Place,
    successor: string,
    within: number,
    notBefore: number,
    ofPlain: Script = PLAIN_TOMBSTONE,
  ): Promise<InvalidateResult> {
    const envelope = tombstoneEnvelope(successor)
    const condition = String(Math.ceil(notBefore))
    const script = beside === undefined ? TOMBSTONE_SCRIPT : ofPlain
    const outcome = await this.#scripts.run({ script, name, beside, envelope, within, condition })
    if (outcome === OUTCOME.deleted) throw outOfMemory()
    if (outcome === OUTCOME.foreign) {
      this.#sawForeign()
      return { done: false, existed: false, token: '', foreign: true }
    }
    const done = outcome === OUTCOME.done || outcome === OUTCOME.existed
    return { done, existed: outcome === OUTCOME.existed, token: done ? envelope.token : '' }
  }

  #placeOf(key: string, payload?: string): Place {
    const [name, value] = this.namesOf(key)
    if (value === undefined) return { name: name! }
    const text = payload === undefined ? '' : this.plain!.codec.encode(payload)
    if (isWellFormed(text)) return { name: name!, beside: { name: value, text } }
    const what = 'A text with half of a surrogate pair cannot be stored as it is'
    const hint = 'encode it as JSON, which escapes it, or give redisCache a `codec` that does'
    throw new SwitchbackError('SB_VALUE_NOT_SERIALIZABLE', what, { hint })
  }

  /** Of a name that a scan has found; `undefined`: it is not a cell's. */
  #cellOf(name: string): Place | undefined {
    if (this.plain === undefined) return name.startsWith(this.stateName) ? undefined : { name }
    const value = this.plain.names.ofChanged(name)
    return value === undefined ? undefined : { name, beside: { name: value, text: '' } }
  }

  /** What a scan finds beside the cells. Of plain values also what another key may be hashed to. */
  #isOwnName(name: string): boolean {
    if (this.plain === undefined) return name.startsWith(this.stateName)
    return name.startsWith(PLAIN_SPACE) || name.startsWith('#', this.prefix.length)
  }

  #toldAs(name: string): readonly string[] {
    if (this.plain === undefined) return [name.slice(this.prefix.length)]
    const value = this.plain.names.ofChanged(name)
    return value === undefined ? [] : this.plain.names.toldAs(value)
  }

  async #claim(key: string, { token, writtenAt, era = '' }: Cell): Promise<number | undefined> {
    const keys = [...this.namesOf(key), ...this.servers.stateKeys]
    const head = `${ENVELOPE_VERSION}v${token}`
    const args = [token, '', head, timeDigits(writtenAt), String(Math.ceil(this.tombstoneTtl)), era]
    try {
      const reply = await evaluate(this.client, PLAIN_CLAIM, keys, args)
      return reply === '' ? undefined : Number(reply)
    } catch (error) {
      throw redisError(error, !isCluster(this.client))
    }
  }

  #sawForeign(): void {
    this.foreign += 1
    if (this.foreign > 1) return
    const pattern = `${keyPrefixOf(this.client)}${this.prefix}*`
    this.warnings.tell(this.plain === undefined ? foreignData(pattern) : foreignPlain(pattern))
  }
}
