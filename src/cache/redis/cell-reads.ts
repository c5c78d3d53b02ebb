import type { Stand } from '../backend.ts'
import { ABSENT, type Cell } from '../cell.ts'
import { isEnvelope, openEnvelope, TOKEN_AT, WRITTEN_AT } from '../envelope.ts'
import { storageKey } from '../storage-key.ts'
import { tombstoneTtlRaised, type Warnings } from '../warn.ts'
import { firstAttempt } from './client-events.ts'
import { isCluster, type RedisClient } from './client.ts'
import { isWrongType, redisError } from './errors.ts'
import { FOREIGN } from './scripts.ts'
import type { ServerState } from './server-state.ts'
import { Servers } from './servers.ts'
import { TurnReads } from './turn-reads.ts'

/** Under the prefix, and no key's name: a key that begins with `#` is always hashed, to 44 characters. */
export const STATE_NAME = '#state'

/** The cells of a prefix, as they are read. */
export class CellReads {
  /** The longest that any process on this prefix was given. */
  tombstoneTtl: number
  protected readonly client: RedisClient
  protected readonly prefix: string
  protected readonly warnings: Warnings
  protected readonly servers: Servers
  protected owner = (): string => ''
  protected others = (): boolean => false
  protected stand = (): Stand | undefined => undefined
  /** Until the first attempt to connect has ended: what is asked before waits for it. */
  protected starting: Promise<void> | undefined
  readonly #single: ServerState | undefined
  readonly #reads: TurnReads | undefined

  constructor(client: RedisClient, prefix: string, tombstoneTtl: number, warnings: Warnings) {
    this.client = client
    this.prefix = prefix
    this.tombstoneTtl = tombstoneTtl
    this.warnings = warnings
    this.#reads = isCluster(client) ? undefined : new TurnReads(client)
    this.servers = new Servers({
      client,
      stateName: prefix + STATE_NAME,
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
    const name = this.prefix + storageKey(key)
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
      if (!isWrongType(error)) throw redisError(error)
    }
    // Checked after the reply: a reply from a server that took over during the read counts too.
    const known = this.#single ?? this.servers.of(name)
    const server = known?.trusted === true ? known : await this.servers.trusted(name)
    const era = server.cellEra
    if (typeof text !== 'string') return { ...ABSENT, era }
    return this.open(text, server, era)
  }

  era(): number {
    const single = this.#single
    return single === undefined ? this.servers.era : (single.heard?.era ?? 0)
  }

  /** The cell that a text stands for. */
  protected open(text: string, server: ServerState, era: string): Cell {
    const now = server.clock.now()
    const cell = openEnvelope(text, now, this.tombstoneTtl, era)
    if (cell !== undefined) return cell
    // Of another version or damaged: it may be replaced. What another program keeps there may not.
    const token = isEnvelope(text) ? text.slice(TOKEN_AT, WRITTEN_AT) : FOREIGN
    return { ...ABSENT, era, token }
  }
}
