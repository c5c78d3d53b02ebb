import type {
  Board,
  CacheBackend,
  ChangeListener,
  Entry,
  Following,
  InvalidateOptions,
  InvalidateResult,
  Membership,
  Stand,
  WriteOptions,
  WriteResult,
} from '../backend.ts'
import { ABSENT, type Cell } from '../cell.ts'
import {
  isEnvelope,
  openEnvelope,
  TOKEN_AT,
  tombstoneEnvelope,
  valueEnvelope,
  WRITTEN_AT,
} from '../envelope.ts'
import { storageKey } from '../storage-key.ts'
import { type OnWarning, tombstoneTtlRaised, Warnings } from '../warn.ts'
import { RedisBoard } from './board.ts'
import { ClusterBoard } from './cluster-board.ts'
import { checkClient } from './check-client.ts'
import { firstAttempt, warnOfLosses } from './client-events.ts'
import { assertClient, createClient, isCluster, type RedisClient } from './client.ts'
import { foreignData, isWrongType, outOfMemory, redisError } from './errors.ts'
import { canFollow, Follower } from './follower.ts'
import { checkOptions, checkRedisNames, type RedisCacheOptions } from './options.ts'
import { missingRights, rightsWarning, userOf } from './rights.ts'
import { Scripts } from './run-scripts.ts'
import { keyPrefixOf, scanKeys } from './scan.ts'
import { TurnReads } from './turn-reads.ts'
import { FOREIGN, OUTCOME, PUT_SCRIPT, TOMBSTONE_SCRIPT } from './scripts.ts'
import type { Server } from './server.ts'
import { type EraListener, Servers } from './servers.ts'

const DEFAULT_PREFIX = 'switchback:cache:'
const DEFAULT_TOMBSTONE_TTL_MS = 120_000
/** Under the prefix, and no key's name: a key that begins with `#` is always hashed, to 44 characters. */
const STATE_NAME = '#state'
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
  return new RedisCache(options)
}

class RedisCache implements CacheBackend {
  readonly name: string
  /** The longest that any process on this prefix was given. */
  tombstoneTtl: number
  readonly #client: RedisClient
  readonly #disconnect: () => void
  readonly #prefix: string
  readonly #servers: Servers
  readonly #scripts: Scripts
  readonly #reads: TurnReads | undefined
  readonly #warnings = new Warnings()
  readonly shared: boolean = true
  readonly board: Board
  since?: (key: string) => number
  /** A cluster cannot be followed: each of its masters would have to be. */
  readonly follow?: (listener: ChangeListener) => Following
  /** How often a key was left alone because another program's data is under it. */
  foreign = 0
  #owner = (): string => ''
  #others = (): boolean => false
  #stand = (): Stand | undefined => undefined
  /** Until the first attempt to connect has ended: what is asked before waits for it. */
  #starting: Promise<void> | undefined

  constructor(options: RedisCacheOptions) {
    const { prefix = DEFAULT_PREFIX, tombstoneTtl = DEFAULT_TOMBSTONE_TTL_MS } = options
    const onWarning = this.#warnings.tell
    checkOptions(options, prefix, tombstoneTtl)
    this.name = options.name ?? 'redis'
    this.tombstoneTtl = tombstoneTtl
    this.#prefix = prefix
    if (options.url === undefined) {
      assertClient(options.client)
      this.#client = options.client
      this.#disconnect = () => undefined
      checkClient(options.client, onWarning)
    } else {
      const client = createClient(options.url)
      this.#client = client
      const stopWarning = warnOfLosses(client, onWarning)
      this.#disconnect = () => {
        stopWarning()
        client.disconnect()
      }
      void client.connect().catch(() => undefined)
    }
    this.#reads = isCluster(this.#client) ? undefined : new TurnReads(this.#client)
    this.#servers = new Servers({
      client: this.#client,
      stateName: prefix + STATE_NAME,
      tombstoneTtl: () => this.tombstoneTtl,
      onTombstoneTtl: (ms) => {
        onWarning(tombstoneTtlRaised(this.tombstoneTtl, ms, 'this Redis prefix'))
        this.tombstoneTtl = ms
      },
      owner: () => this.#owner(),
      others: () => this.#others(),
      stand: () => this.#stand(),
      onWarning,
    })
    this.#scripts = new Scripts(this.#client, this.#servers, () => Math.ceil(this.tombstoneTtl))
    const { single, head } = this.#servers
    const boardParts = { client: this.#client, stateName: prefix + STATE_NAME }
    this.board =
      single === undefined
        ? new ClusterBoard({ ...boardParts, server: head!, read: (key) => this.read(key) })
        : new RedisBoard({
            ...boardParts,
            server: single,
            nameOf: (key) => prefix + storageKey(key),
            open: (text, era) => this.#open(text, single, era),
          })
    const client = this.#client
    if (single !== undefined && canFollow(client)) {
      this.follow = (listener) =>
        new Follower({
          client,
          server: single,
          prefix,
          stateName: prefix + STATE_NAME,
          open: (text, era) => this.#open(text, single, era),
          listener,
        })
    }
    this.#starting = firstAttempt(this.#client)?.then(() => {
      this.#starting = undefined
    })
  }

  async read(key: string): Promise<Cell> {
    const name = this.#prefix + storageKey(key)
    if (this.#starting !== undefined) await this.#starting
    let text: string | null | undefined
    try {
      const batch = this.#reads?.add(name)
      if (batch === undefined) {
        text = await this.#client.get(name)
      } else {
        const at = batch.names.length - 1
        text = (await batch.texts)[at]
      }
    } catch (error) {
      if (!isWrongType(error)) throw redisError(error)
    }
    // Checked after the reply: a reply from a server that took over during the read counts too.
    const known = this.#servers.of(name)
    const server = known?.trusted === true ? known : await this.#servers.trusted(name)
    const era = server.cellEra
    if (typeof text !== 'string') return { ...ABSENT, era }
    return this.#open(text, server, era)
  }

  async write(key: string, entry: Entry, options: WriteOptions): Promise<WriteResult> {
    const envelope = valueEnvelope(entry.payload, entry.expiresAt)
    const name = this.#prefix + storageKey(key)
    if (this.#starting !== undefined) await this.#starting
    const { within, expect: condition, era } = options
    const script = PUT_SCRIPT
    const outcome = await this.#scripts.run({ script, name, envelope, within, condition, era })
    if (outcome === OUTCOME.foreign) {
      this.#sawForeign()
      return { written: false, token: '', foreign: true }
    }
    const written = outcome === OUTCOME.done
    return { written, token: written ? envelope.token : '' }
  }

  async invalidate(key: string, options: InvalidateOptions): Promise<InvalidateResult> {
    const { within, successor = '', notBefore = 0 } = options
    const name = this.#prefix + storageKey(key)
    if (this.#starting !== undefined) await this.#starting
    // Only a late tombstone that points at the other side can do harm.
    const limit = successor === '' ? Number.POSITIVE_INFINITY : within
    return this.#bury(name, successor, limit, notBefore)
  }

  async clear({ signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    if (this.#starting !== undefined) await this.#starting
    const nodes = isCluster(this.#client) ? this.#client.nodes('master') : [this.#client]
    for (const node of nodes) {
      for await (const names of scanKeys(node, this.#client, this.#prefix, signal)) {
        for (let i = 0; i < names.length; i += CLEAR_BATCH) {
          signal?.throwIfAborted()
          const batch = names.slice(i, i + CLEAR_BATCH)
          const cells = batch.filter((name) => !name.startsWith(this.#prefix + STATE_NAME))
          await Promise.all(cells.map((name) => this.#bury(name, '', Number.POSITIVE_INFINITY, 0)))
        }
      }
    }
  }

  now(): number {
    return this.#servers.now()
  }

  onWarning(listener: OnWarning): void {
    this.#warnings.to(listener)
  }

  async ping(): Promise<void> {
    if (this.#starting !== undefined) await this.#starting
    const client = this.#client
    try {
      // No key is empty, so nothing is ever there. Unlike PING it needs a cluster that serves.
      await client.get(this.#prefix)
      if (isCluster(client)) await Promise.all(client.nodes('master').map((node) => node.ping()))
      else await this.#servers.trusted(this.#prefix)
    } catch (error) {
      throw redisError(error)
    }
  }

  get space(): string {
    return this.#prefix === DEFAULT_PREFIX ? '' : this.#prefix
  }

  era(): number {
    return this.#servers.era
  }

  onEra(listener: EraListener): () => void {
    return this.#servers.onEra(listener)
  }

  recheck(): void {
    this.#servers.recheck()
  }

  renew(): Promise<void> {
    return this.#servers.renew()
  }

  join({ owner, others = () => false, stand = () => undefined, paired = false }: Membership): void {
    this.#owner = owner
    this.#others = others
    this.#stand = stand
    this.#checkRights(paired)
    if (!paired || this.#servers.single !== undefined) return
    this.#servers.pair()
    this.since = (key) => this.#servers.since(this.#prefix + storageKey(key))
  }

  /** Once, on the first connection: what is refused only in an outage should be known before. */
  #checkRights(paired: boolean): void {
    const client = this.#client
    const check = (): void => {
      client.off('ready', check)
      missingRights(client, { prefix: this.#prefix, paired }).then(
        (words) => {
          const warning = rightsWarning(userOf(client), words)
          if (warning !== undefined) this.#warnings.tell(warning)
        },
        // The connection was lost again, which its next use tells.
        () => undefined,
      )
    }
    if (client.status === 'ready') check()
    else client.on('ready', check)
  }

  async close(): Promise<void> {
    this.#servers.close()
    this.#disconnect()
  }

  async #bury(
    name: string,
    successor: string,
    within: number,
    notBefore: number,
  ): Promise<InvalidateResult> {
    const envelope = tombstoneEnvelope(successor)
    const condition = String(Math.ceil(notBefore))
    const script = TOMBSTONE_SCRIPT
    const outcome = await this.#scripts.run({ script, name, envelope, within, condition })
    if (outcome === OUTCOME.deleted) throw outOfMemory()
    if (outcome === OUTCOME.foreign) {
      this.#sawForeign()
      return { done: false, existed: false, token: '', foreign: true }
    }
    const done = outcome === OUTCOME.done || outcome === OUTCOME.existed
    return { done, existed: outcome === OUTCOME.existed, token: done ? envelope.token : '' }
  }

  #open(text: string, server: Server, era: string): Cell {
    const now = server.clock.now()
    const cell = openEnvelope(text, now, this.tombstoneTtl, era)
    if (cell !== undefined) return cell
    // Of another version or damaged: it may be replaced. What another program keeps there may not.
    const token = isEnvelope(text) ? text.slice(TOKEN_AT, WRITTEN_AT) : FOREIGN
    return { ...ABSENT, era, token }
  }

  #sawForeign(): void {
    this.foreign += 1
    if (this.foreign === 1)
      this.#warnings.tell(foreignData(`${keyPrefixOf(this.#client)}${this.#prefix}*`))
  }
}
