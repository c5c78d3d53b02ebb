import type { SwitchbackError } from '../../errors.ts'
import type { Stand } from '../backend.ts'
import { ABSENT, type Cell } from '../cell.ts'
import { isEnvelope, openEnvelope, TOKEN_AT, WRITTEN_AT } from '../envelope.ts'
import { storageKey } from '../storage-key.ts'
import { tombstoneTtlRaised, type Warnings } from '../warn.ts'
import { firstAttempt } from './connection/client-events.ts'
import { isCluster, type RedisClient, type RedisNode } from './connection/redis-client.ts'
import { isWrongType, redisError } from './redis-errors.ts'
import type { CellLayout } from './layout.ts'
import { FOREIGN } from './scripts.ts'
import type { ServerState } from './servers/server-state.ts'
import { Servers } from './servers/servers.ts'

/** The server does nothing else while it answers one command: this bounds it to some microseconds. */
const MAX_NAMES = 100

/** No answer is used before all have arrived: larger ones are requested with fewer at once. */
const MAX_UNITS = 131_072

/** The names requested in one turn. */
export interface Batch {
  readonly names: readonly string[]
  /** In the order of the names; `null` where there is no string. */
  readonly texts: Promise<Texts>
}

type Texts = readonly (string | null)[]

interface OpenBatch extends Batch {
  readonly names: string[]
  readonly send: () => void
}

/**
 * Reads everything requested in one turn of the event loop with one MGET, since the client's cost
 * per command is more than the rest of a hit. Nothing waits longer than its own turn, since
 * `nextTick` comes after the microtasks and before any input or output.
 *
 * A Cluster refuses names of several slots in one command: there each read is a command of its own.
 */
export class TurnReads {
  readonly #node: RedisNode
  #open: OpenBatch | undefined
  #maxNames: number = MAX_NAMES

  constructor(node: RedisNode) {
    this.#node = node
  }

  /** The batch whose last name is now this one. */
  add(name: string): Batch {
    const batch = (this.#open ??= this.#begin())
    batch.names.push(name)
    if (batch.names.length >= this.#maxNames) {
      this.#open = undefined
      batch.send()
    }
    return batch
  }

  #begin(): OpenBatch {
    const names: string[] = []
    let send = (): void => undefined
    const texts = new Promise<Texts>((resolve, reject) => {
      send = () =>
        void this.#node
          .mget(names)
          .then((found) => this.#learn(found))
          .then(resolve, reject)
    })
    const batch: OpenBatch = { names, texts, send }
    process.nextTick(() => {
      // A full batch has been sent already.
      if (this.#open !== batch) return
      this.#open = undefined
      send()
    })
    return batch
  }

  #learn(texts: Texts): Texts {
    if (!Array.isArray(texts)) throw new TypeError('MGET was not answered with a list')
    let units = 0
    for (const text of texts) units += text?.length ?? 0
    const fitting = Math.floor((MAX_UNITS * texts.length) / Math.max(1, units))
    this.#maxNames = Math.max(1, Math.min(MAX_NAMES, fitting))
    return texts
  }
}

/** The cells of a prefix, as they are read. */
export class CellReads {
  /** The longest that any process on this prefix was given. */
  tombstoneTtl: number
  protected readonly client: RedisClient
  protected readonly layout: CellLayout
  protected readonly warnings: Warnings
  protected readonly servers: Servers
  protected owner = (): string => ''
  protected others = (): boolean => false
  protected stand = (): Stand | undefined => undefined
  /** Until the first attempt to connect has ended: what is asked before waits for it. */
  protected starting: Promise<void> | undefined
  readonly #prefix: string
  readonly #single: ServerState | undefined
  readonly #reads: TurnReads | undefined

  constructor(client: RedisClient, layout: CellLayout, tombstoneTtl: number, warnings: Warnings) {
    this.client = client
    this.layout = layout
    this.#prefix = layout.prefix
    this.tombstoneTtl = tombstoneTtl
    this.warnings = warnings
    this.#reads = isCluster(client) ? undefined : new TurnReads(client)
    this.servers = new Servers({
      client,
      stateName: layout.stateName,
      outsiders: layout.outsiders,
      tombstoneTtl: () => this.tombstoneTtl,
      onTombstoneTtl: (ms) => {
        warnings.tell(tombstoneTtlRaised(this.tombstoneTtl, ms, 'this Redis prefix'))
        this.tombstoneTtl = ms
      },
      owner: () => this.owner(),
      others: () => this.others(),
      stand: () => this.stand(),
      onWarning: warnings.tell,
    })
    this.#single = this.servers.single
    this.starting = firstAttempt(client)?.then(() => {
      this.starting = undefined
    })
  }

  async read(key: string): Promise<Cell> {
    if (this.layout.outsiders) return this.#readAll(this.layout.namesOf(key))
    const name = this.#prefix + storageKey(key)
    if (this.starting !== undefined) await this.starting
    let text: string | null | undefined
    try {
      const batch = this.#reads?.add(name)
      if (batch === undefined) {
        text = await this.client.get(name)
      } else {
        const at = batch.names.length - 1
        text = (await batch.texts)[at]
      }
    } catch (error) {
      if (!isWrongType(error)) throw this.failure(error)
    }
    // Checked after the reply: a reply from a server that took over during the read counts too.
    const known = this.#single ?? this.servers.of(name)
    const server = known?.trusted === true ? known : await this.servers.trusted(name)
    const era = server.cellEra
    if (typeof text !== 'string') return { ...ABSENT, era }
    return openText(text, server, this.tombstoneTtl, era)
  }

  era(): number {
    const single = this.#single
    return single === undefined ? this.servers.era : (single.heard?.era ?? 0)
  }

  /** The companion first: a value read later is at least as new. One command where both fit into it. */
  async #readAll(names: readonly string[]): Promise<Cell> {
    if (this.starting !== undefined) await this.starting
    const texts = await Promise.all(names.map((name) => this.#text(name)))
    const [first] = names
    const known = this.#single ?? this.servers.of(first!)
    const server = known?.trusted === true ? known : await this.servers.trusted(first!)
    return this.layout.open(texts, server, this.tombstoneTtl, server.cellEra)
  }

  async #text(name: string): Promise<string | null> {
    try {
      const batch = this.#reads?.add(name)
      if (batch === undefined) return await this.client.get(name)
      const at = batch.names.length - 1
      return (await batch.texts)[at] ?? null
    } catch (error) {
      if (isWrongType(error)) return null
      throw this.failure(error)
    }
  }

  /** What a refused command is told as. */
  protected failure(error: unknown): SwitchbackError {
    return redisError(error, this.#reads !== undefined)
  }
}

/** The cell that a text stands for. */
export function openText(
  text: string,
  server: ServerState,
  tombstoneTtl: number,
  era: string,
): Cell {
  const cell = openEnvelope(text, server.clock.now(), tombstoneTtl, era)
  if (cell !== undefined) return cell
  // Of another version or damaged: it may be replaced. What another program keeps there may not.
  const token = isEnvelope(text) ? text.slice(TOKEN_AT, WRITTEN_AT) : FOREIGN
  return { ...ABSENT, era, token }
}
