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
import { tombstoneEnvelope, valueEnvelope } from '../envelope.ts'
import { storageKey } from '../storage-key.ts'
import { type OnWarning, Warnings } from '../warn.ts'
import { RedisBoard } from './pair/board.ts'
import { ClusterBoard } from './pair/cluster-board.ts'
import { unsafeClient } from './connection/check-client.ts'
import { warnOfLosses } from './connection/client-events.ts'
import { givenClient } from './clients/given.ts'
import { createClient, isCluster, type RedisClient } from './connection/client.ts'
import { foreignData, outOfMemory, redisError } from './errors.ts'
import { canFollow, Follower } from './pair/follower.ts'
import { checkOptions, checkRedisNames, type RedisCacheOptions } from './options.ts'
import { missingRights, rightsWarning, userOf } from './rights.ts'
import { Scripts } from './run-scripts.ts'
import { keyPrefixOf, scanKeys, scanPages } from './scan.ts'
import { OUTCOME, PUT_SCRIPT, TOMBSTONE_SCRIPT } from './scripts.ts'
import type { EraListener } from './servers/servers.ts'
import { CellReads, STATE_NAME } from './cell-reads.ts'
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
  const {
    name = 'redis',
    prefix = DEFAULT_PREFIX,
    tombstoneTtl = DEFAULT_TOMBSTONE_TTL_MS,
  } = options
  checkOptions(options, prefix, tombstoneTtl)
  const warnings = new Warnings()
  const connection = connectionOf(options, warnings.tell)
  return new RedisCache(name, connection, prefix, tombstoneTtl, warnings)
}

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

class RedisCache extends CellReads implements CacheBackend {
  readonly name: string
  readonly #disconnect: () => void
  readonly #scripts: Scripts
  readonly shared: boolean = true
  readonly board: Board
  since?: (key: string) => number
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
  ) {
    super(client, prefix, tombstoneTtl, warnings)
    this.name = name
    this.#disconnect = disconnect
    this.#scripts = new Scripts(client, this.servers, () => Math.ceil(this.tombstoneTtl))
    const { single, head } = this.servers
    const boardParts = { client, stateName: prefix + STATE_NAME }
    this.board =
      single === undefined
        ? new ClusterBoard({ ...boardParts, server: head!, read: (key) => this.read(key) })
        : new RedisBoard({
            ...boardParts,
            server: single,
            nameOf: (key) => prefix + storageKey(key),
            open: (text, era) => this.open(text, single, era),
          })
    if (single !== undefined && canFollow(client)) {
      this.follow = (listener) =>
        new Follower({
          client,
          server: single,
          prefix,
          stateName: prefix + STATE_NAME,
          open: (text, era) => this.open(text, single, era),
          listener,
        })
    }
  }

  async write(key: string, entry: Entry, options: WriteOptions): Promise<WriteResult> {
    const envelope = valueEnvelope(entry.payload, entry.expiresAt)
    const name = this.prefix + storageKey(key)
    if (this.starting !== undefined) await this.starting
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
    const name = this.prefix + storageKey(key)
    if (this.starting !== undefined) await this.starting
    // Only a late tombstone that points at the other side can do harm.
    const limit = successor === '' ? Number.POSITIVE_INFINITY : within
    return this.#bury(name, successor, limit, notBefore)
  }

  async clear({ signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    if (this.starting !== undefined) await this.starting
    const nodes = isCluster(this.client) ? this.client.nodes('master') : [this.client]
    for (const node of nodes) {
      for await (const names of scanKeys(node, this.client, this.prefix, signal)) {
        for (let i = 0; i < names.length; i += CLEAR_BATCH) {
          signal?.throwIfAborted()
          const batch = names.slice(i, i + CLEAR_BATCH)
          const cells = batch.filter((name) => !name.startsWith(this.prefix + STATE_NAME))
          await Promise.all(cells.map((name) => this.#bury(name, '', Number.POSITIVE_INFINITY, 0)))
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
        const cells = page.names.filter((name) => !name.startsWith(this.prefix + STATE_NAME))
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
      await client.get(this.prefix)
      if (isCluster(client)) {
        await Promise.all(client.nodes('master').map((node) => node.ping()))
        await this.servers.meet()
      } else await this.servers.trusted(this.prefix)
    } catch (error) {
      throw redisError(error, !isCluster(client))
    }
  }

  get space(): string {
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

  join({ owner, others = () => false, stand = () => undefined, paired = false }: Membership): void {
    this.owner = owner
    this.others = others
    this.stand = stand
    this.#checkRights(paired)
    if (!paired || this.servers.single !== undefined) return
    this.servers.pair()
    this.since = (key) => this.servers.since(this.prefix + storageKey(key))
  }

  /** Once, on the first connection: what is refused only in an outage should be known before. */
  #checkRights(paired: boolean): void {
    const client = this.client
    const check = (): void => {
      client.off('ready', check)
      missingRights(client, { prefix: this.prefix, paired }).then(
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

  #sawForeign(): void {
    this.foreign += 1
    if (this.foreign === 1)
      this.warnings.tell(foreignData(`${keyPrefixOf(this.client)}${this.prefix}*`))
  }
}
