import type {
  Board,
  CacheBackend,
  ChangeListener,
  Entry,
  Following,
  InvalidateOptions,
  InvalidateResult,
  ManyCells,
  Membership,
  NamesPage,
  WriteOptions,
  WriteResult,
} from '../backend.ts'
import type { SwitchbackError } from '../../errors.ts'
import { ENVELOPE_VERSION, timeDigits, tombstoneEnvelope, valueEnvelope } from '../envelope.ts'
import type { Cell } from '../cell.ts'
import { digestOf } from '../plain-value.ts'
import { type OnWarning, Warnings } from '../warn.ts'
import { RedisBoard } from './pair/board.ts'
import { ClusterBoard } from './pair/cluster-board.ts'
import { databaseName } from './connection/address.ts'
import { unsafeClient } from './connection/check-client.ts'
import { warnOfLosses } from './connection/client-events.ts'
import { givenClient } from './clients/given.ts'
import { createClient, isCluster, type RedisClient } from './connection/redis-client.ts'
import { isReadOnly, isWrongType, outOfMemory, redisError } from './redis-errors.ts'
import { canFollow, RedisFollowing } from './pair/redis-following.ts'
import { checkRedisOptions, checkRedisNames, type RedisCacheOptions } from './options.ts'
import type { CellLayout, CellPlace } from './layout.ts'
import { OwnLayout } from './own-layout.ts'
import { ClusterCells } from './many/cluster-cells.ts'
import { ServerCells } from './many/many-cells.ts'
import { prefixOf } from './state-name.ts'
import { PlainLayout } from './plain/plain-layout.ts'
import { isUseless, missingRights, type RightsQuestion, rightsWarning, userOf } from './rights.ts'
import { Scripts } from './run-scripts.ts'
import { keyPrefixOf, scanKeys, scanPages } from './scan.ts'
import { evaluate, OUTCOME, type Script } from './scripts.ts'
import type { EraListener } from './servers/servers.ts'
import { CellReads } from './cell-reads.ts'
import { parseRedisUrl } from './connection/url.ts'

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
  const { name = 'redis', tombstoneTtl = DEFAULT_TOMBSTONE_TTL_MS } = options
  const prefix = prefixOf(options)
  checkRedisOptions(options, prefix, tombstoneTtl)
  const warnings = new Warnings()
  const connection = connectionOf(options, warnings.tell)
  const layout = plain
    ? new PlainLayout(prefix, keyPrefixOf(connection.client), options.codec)
    : new OwnLayout(prefix)
  return new RedisCache(name, connection, layout, tombstoneTtl, warnings)
}

/** Of a command, and of one inside a script, which Redis 6 and 7 word differently. */
const REFUSED = /\bNOPERM\b|can't run this command|permissions/u

interface Connection {
  readonly client: RedisClient
  /** What the application passed, or the client itself. */
  readonly given: object
  readonly disconnect: () => void
}

/** The application's client, which it closes itself, or one of our own. */
function connectionOf(options: RedisCacheOptions, onWarning: OnWarning): Connection {
  if (options.url === undefined) {
    const { client, findings } = givenClient(options.client)
    const unsafe = unsafeClient(findings)
    if (unsafe !== undefined) onWarning(unsafe)
    return { client, given: options.client, disconnect: () => undefined }
  }
  const address = parseRedisUrl(options.url)
  const client = createClient(address)
  const stopWarning = warnOfLosses(client, address, onWarning)
  void client.connect().catch(() => undefined)
  const disconnect = (): void => {
    stopWarning()
    client.disconnect()
  }
  return { client, given: client, disconnect }
}

class RedisCache extends CellReads implements CacheBackend {
  readonly name: string
  readonly #given: object
  readonly #disconnect: () => void
  readonly #scripts: Scripts
  #asked: RightsQuestion
  /** A command was refused for want of a right, and what is missing was not looked at since. */
  #refused = false
  /** What was told last of missing rights. */
  #lacks = ''
  readonly shared: boolean = true
  readonly board: Board
  since?: (key: string) => number
  claim?: (key: string, cell: Cell) => Promise<number | undefined>
  readonly many: ManyCells
  readonly outsiders: boolean
  /** A cluster cannot be followed: each of its masters would have to be. */
  readonly follow?: (listener: ChangeListener) => Following
  /** How often a key was left alone because another program's data is under it. */
  foreign = 0

  constructor(
    name: string,
    { client, given, disconnect }: Connection,
    layout: CellLayout,
    tombstoneTtl: number,
    warnings: Warnings,
  ) {
    super(client, layout, tombstoneTtl, warnings)
    this.name = name
    this.outsiders = layout.outsiders
    this.#asked = { prefix: layout.ownPrefix, paired: false, plain: layout.outsiders }
    this.#given = given
    this.#disconnect = disconnect
    const failure = (error: unknown): SwitchbackError => this.#writeFailure(error)
    this.#scripts = new Scripts(client, this.servers, () => Math.ceil(this.tombstoneTtl), failure)
    layout.onForeign = () => this.#sawForeign()
    const { single, head } = this.servers
    const { scripts, stateName, watched } = layout
    if (single === undefined) {
      const read = (key: string): Promise<Cell> => this.read(key)
      this.board = new ClusterBoard({ client, stateName, server: head!, read })
    } else {
      const open = (texts: readonly (string | null)[], era: string): Cell =>
        layout.open(texts, single, this.tombstoneTtl, era)
      const namesOf = (key: string): readonly string[] => layout.namesOf(key)
      const cells = { client, server: single, stateName, namesOf, open }
      this.board = new RedisBoard({ ...cells, script: scripts.read })
      if (canFollow(client)) {
        const toldAs = (changed: string): readonly string[] => layout.toldAs(changed)
        const asked = { ...cells, client, watched, toldAs, script: scripts.ask }
        this.follow = (listener) => new RedisFollowing({ ...asked, listener })
      }
    }
    const { claim } = scripts
    if (claim !== undefined) this.claim = (key, cell) => this.#claim(claim, key, cell)
    if (isCluster(client) || single === undefined) this.many = new ClusterCells(client, this)
    else {
      const tombstoneTtl = (): number => this.tombstoneTtl
      const onForeign = (): void => this.#sawForeign()
      const parts = { client, server: single, layout, tombstoneTtl, failure, onForeign }
      this.many = new ServerCells(parts)
    }
  }

  async write(key: string, entry: Entry, options: WriteOptions): Promise<WriteResult> {
    const { name, beside } = this.layout.placeOf(key, entry.payload)
    const payload = beside === undefined ? entry.payload : digestOf(beside.text)
    const envelope = valueEnvelope(payload, entry.expiresAt)
    const { expect: condition, era } = options
    const within = this.starting === undefined ? options.within : await this.#left(options.within)
    const run = { script: this.layout.scripts.put, name, beside, envelope, within, condition, era }
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
    const place = this.layout.placeOf(key)
    const left = this.starting === undefined ? within : await this.#left(within)
    // Only a late tombstone that points at the other side can do harm.
    const limit = successor === '' ? Number.POSITIVE_INFINITY : left
    return this.#bury(place, successor, limit, notBefore)
  }

  async clear({ signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    if (this.starting !== undefined) await this.starting
    const nodes = isCluster(this.client) ? this.client.nodes('master') : [this.client]
    const { cleared, scripts } = this.layout
    const clear = (place: CellPlace): Promise<InvalidateResult> =>
      this.#bury(place, '', Number.POSITIVE_INFINITY, 0, scripts.clear)
    for (const node of nodes) {
      for await (const names of scanKeys(node, this.client, cleared, signal)) {
        for (let i = 0; i < names.length; i += CLEAR_BATCH) {
          signal?.throwIfAborted()
          const batch = names.slice(i, i + CLEAR_BATCH)
          const cells = batch.flatMap((name) => this.layout.cellOf(name) ?? [])
          await Promise.all(cells.map(clear))
        }
      }
    }
  }

  async *names(after: string, signal?: AbortSignal): AsyncGenerator<NamesPage> {
    if (this.starting !== undefined) await this.starting
    const { layout } = this
    const whole = isCluster(this.client)
    const nodes = whole ? this.client.nodes('master') : [this.client]
    for (const node of nodes) {
      const from = whole || after === '' ? '0' : after
      for await (const page of scanPages(node, this.client, layout.prefix, signal, from)) {
        const names = page.names.flatMap((name) => layout.keyOf(name) ?? [])
        yield { names, cursor: whole || page.cursor === '0' ? '' : page.cursor }
      }
    }
  }

  async hides(key: string): Promise<boolean> {
    try {
      // MGET, which reads share, answers with nothing for another type.
      await this.client.get(this.layout.namesOf(key).at(-1)!)
      return false
    } catch (error) {
      if (isWrongType(error)) return true
      throw this.failure(error)
    }
  }

  now(): number {
    return this.servers.now()
  }

  skew(): number {
    return this.now() - Date.now()
  }

  onWarning(listener: OnWarning): void {
    this.warnings.to(listener)
  }

  async ping(): Promise<void> {
    if (this.starting !== undefined) await this.starting
    const client = this.client
    try {
      // No key is empty, so nothing is ever there. Unlike PING it needs a cluster that serves.
      await client.get(this.layout.ownPrefix)
      if (isCluster(client)) {
        await Promise.all(client.nodes('master').map((node) => node.ping()))
        await this.servers.meet()
      } else await this.servers.trusted(this.layout.prefix)
    } catch (error) {
      throw redisError(error, !isCluster(client))
    }
    if (this.#refused) await this.#requireRights()
  }

  protected override failure(error: unknown): SwitchbackError {
    const told = super.failure(error)
    if (REFUSED.test(told.message)) this.#refused = true
    return told
  }

  /** A master that was demoted by hand keeps its connections, although the address names another by now. */
  #writeFailure(error: unknown): SwitchbackError {
    const { client } = this
    if (isReadOnly(error) && !isCluster(client)) client.disconnect(true)
    return this.failure(error)
  }

  /** A right was taken away while in use. What is asked to see whether Redis serves may still be allowed. */
  async #requireRights(): Promise<void> {
    const words = await missingRights(this.client, this.#asked)
    const warning = this.#tellRights(words)
    this.#refused = warning !== undefined && isUseless(words)
    if (this.#refused) throw warning
  }

  /** Says what is missing, unless it was said last. */
  #tellRights(words: readonly string[]): SwitchbackError | undefined {
    const warning = rightsWarning(userOf(this.client), words)
    if (warning !== undefined && warning.message !== this.#lacks) this.warnings.tell(warning)
    this.#lacks = warning?.message ?? ''
    return warning
  }

  get space(): string {
    return this.layout.space
  }

  /** Plain values have the application's own keys, which do not meet however many caches use them. */
  get place(): string {
    if (this.outsiders) return ''
    const prefix = keyPrefixOf(this.client) + this.layout.prefix
    return `${databaseName(this.client, this.#given)} ${prefix}`
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
    if (readable !== undefined) this.layout.readable = readable
    this.#checkRights(paired)
    if (!paired || this.servers.single !== undefined) return
    this.servers.pair()
    this.since = (key) => this.servers.since(this.layout.namesOf(key)[0]!)
  }

  /** Once, on the first connection: what is refused only in an outage should be known before. */
  #checkRights(paired: boolean): void {
    const client = this.client
    const { ownPrefix: prefix, outsiders: plain } = this.layout
    this.#asked = { prefix, paired, plain }
    const check = (): void => {
      client.off('ready', check)
      missingRights(client, this.#asked).then(
        (words) => void this.#tellRights(words),
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

  /** What is left of the time after the first attempt to connect, which is part of it. */
  async #left(within: number): Promise<number> {
    const startedAt = performance.now()
    await this.starting
    return within - (performance.now() - startedAt)
  }

  async #bury(
    { name, beside }: CellPlace,
    successor: string,
    within: number,
    notBefore: number,
    script: Script = this.layout.scripts.tombstone,
  ): Promise<InvalidateResult> {
    const envelope = tombstoneEnvelope(successor)
    const condition = String(Math.ceil(notBefore))
    const outcome = await this.#scripts.run({ script, name, beside, envelope, within, condition })
    if (outcome === OUTCOME.deleted) throw outOfMemory()
    if (outcome === OUTCOME.foreign || outcome === OUTCOME.beside) {
      this.#sawForeign()
      const done = outcome === OUTCOME.beside
      return { done, existed: false, token: done ? envelope.token : '', foreign: true }
    }
    const done = outcome === OUTCOME.done || outcome === OUTCOME.existed
    return { done, existed: outcome === OUTCOME.existed, token: done ? envelope.token : '' }
  }

  async #claim(
    script: Script,
    key: string,
    { token, writtenAt, era = '' }: Cell,
  ): Promise<number | undefined> {
    const keys = [...this.layout.namesOf(key), ...this.servers.stateKeys]
    const head = `${ENVELOPE_VERSION}v${token}`
    const args = [token, '', head, timeDigits(writtenAt), String(Math.ceil(this.tombstoneTtl)), era]
    try {
      const reply = await evaluate(this.client, script, keys, args)
      return reply === '' ? undefined : Number(reply)
    } catch (error) {
      throw this.failure(error)
    }
  }

  #sawForeign(): void {
    this.foreign += 1
    if (this.foreign > 1) return
    const pattern = `${keyPrefixOf(this.client)}${this.layout.prefix}*`
    this.warnings.tell(this.layout.foreignData(pattern))
  }
}
