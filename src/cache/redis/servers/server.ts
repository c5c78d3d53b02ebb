import { quote, SwitchbackError } from '../../../errors.ts'
import type { EraVerdict, Stand, Word } from '../../backend.ts'
import type { RedisNode } from '../connection/redis-client.ts'
import { isReadOnly, nodeOfCluster, redisError } from '../redis-errors.ts'
import { ServerState } from './server-state.ts'
import { tick, type TickAnswer, type TickQuestion } from './tick.ts'

/** A server is not asked again sooner than this, whatever the reason. */
const RECHECK_MS = 50

export interface ServerParts {
  /** The connection to the server as it is now; `undefined` while there is none. */
  readonly node: () => RedisNode | undefined
  /** Has the client of a cluster look where its slots are. */
  readonly find?: (() => Promise<unknown>) | undefined
  /** Not one of a cluster, whose client finds the new master by itself. */
  readonly lone: boolean
  /** Of a cluster in a pair: keeps the pair's state, and an era that all cells of the cluster share. */
  readonly head?: () => Server | undefined
  readonly question: () => Pick<TickQuestion, 'key' | 'tombstoneTtl' | 'owner' | 'others'>
  /** The values of other programs are used too. */
  readonly outsiders: boolean
  /** Where the machine stands with the store. */
  readonly stand: () => Stand | undefined
  /** Awaited before the era counts. If it rejects, the connection is not used. */
  readonly onHeard: (heard: TickAnswer) => Promise<EraVerdict>
}

/**
 * One server: its clock, and its era. A server that restarted, or another that took its place, may
 * have cells whose invalidation was acknowledged and lost. It is asked for its era on each new
 * connection, before its answers count, and once a second, since `REPLICAOF` and `FLUSHALL` leave
 * connections open.
 */
export class Server extends ServerState {
  readonly #parts: ServerParts
  #asking: Promise<void> | undefined
  #askedAt = Number.NEGATIVE_INFINITY
  /** The era whose tombstones the clock may have outrun, until it has ended. */
  #outrun: string | undefined
  #detach: (() => void) | undefined

  constructor(parts: ServerParts) {
    super(parts.head)
    this.#parts = parts
  }

  /** Asks for era and time. Concurrent callers share one question, unless it ends an era or tells a word. */
  ask(end?: string, word?: Word): Promise<void> {
    if (end !== undefined || word !== undefined) return this.#ask(end, word)
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined
    })
    return this.#asking
  }

  /** A question that is sent now, whatever is under way. */
  askAnew(): Promise<void> {
    return this.#ask()
  }

  /**
   * The server's time in a reply. When its clock was set far ahead, or this machine was suspended, tombstones
   * have expired before the loads that they are to refuse have ended: its era ends before it counts again.
   */
  learn(serverTime: number, sentAt: number): void {
    const ahead = this.clock.learn(serverTime, sentAt)
    if (ahead <= 0 || this.heard === undefined) return
    if (ahead < this.#parts.question().tombstoneTtl / 4) return
    this.#outrun = this.heard.name
    this.connected = false
  }

  /** Another process has heard another era. */
  recheck(): void {
    if (performance.now() - this.#askedAt < RECHECK_MS) return
    this.ask().catch(() => undefined)
  }

  close(): void {
    this.#detach?.()
  }

  /** @param keep the era ends for the sake of a newcomer, who has lost nothing of what others wrote here */
  async #ask(
    end: string | undefined = this.#outrun,
    word?: Word,
    keep: boolean = false,
  ): Promise<void> {
    this.#askedAt = performance.now()
    const head = this.#parts.head?.()
    if (head?.trusted === false) await head.ask()
    const node = this.#parts.node() ?? (await this.#found())
    const newConnection = !this.connected
    const attached = this.#attach(node)
    let answered = false
    try {
      if (newConnection) await selected(node)
      const asked = this.#parts.stand()
      const sentAt = performance.now()
      const heard = await tick(node, {
        ...this.#parts.question(),
        newcomer: asked?.era === 0,
        end,
        newConnection,
        lone: this.#parts.lone,
        word,
        adopt: this.#adoption(keep, asked),
      })
      answered = true
      if (heard === 'cluster') throw nodeOfCluster()
      if (heard === 'foreign') throw foreignState(this.#parts.question().key)
      this.learn(heard.now, sentAt)
      if (heard.name === this.#outrun) return await this.#ask()
      this.#outrun = undefined
      const before = this.heard?.era
      const again = !newConnection && before === heard.era
      const changed = before !== undefined && before !== heard.era
      const verdict = await this.#parts.onHeard({ ...heard, again, changed, asked })
      if (verdict === 'again') return await this.#ask()
      if (verdict === 'renew') return await this.#ask(heard.name, undefined, true)
      if (verdict === 'leave') {
        this.heard = undefined
        this.connected = false
        node.disconnect(true)
        throw new Error('another process of this machine has met another server in its place')
      }
      if (this.#detach !== attached) throw new Error('the connection was lost')
      this.heard = heard
      this.connected = true
    } catch (error) {
      // A replica refuses, and so does a process that cannot record what it heard: neither counts
      // any longer.
      if (answered || isReadOnly(error)) this.connected = false
      if (isReadOnly(error) && this.#parts.lone) node.disconnect(true)
      if (!this.connected) attached()
      throw redisError(error, this.#parts.lone)
    }
  }

  /**
   * Whoever knew an era that is gone knows that something was lost, and what was distrusted before the store was
   * heard first was deleted from it.
   */
  #adoption(keep: boolean, asked: Stand | undefined): 'first' | 'keep' | '' {
    if (!this.#parts.outsiders || (asked?.era ?? 0) !== 0 || (asked?.fence ?? 0) > 0) return ''
    if (keep) return 'keep'
    return this.heard === undefined ? 'first' : ''
  }

  /** Until the connection is lost. */
  #attach(node: RedisNode): () => void {
    if (this.connected && this.#detach !== undefined) return this.#detach
    this.#detach?.()
    const lost = (): void => {
      this.connected = false
      detach()
    }
    const detach = (): void => {
      node.off('close', lost)
      if (this.#detach === detach) this.#detach = undefined
    }
    node.on('close', lost)
    this.#detach = detach
    return detach
  }

  /** The client hears that its slots are old by what it sends, and nothing else is sent to a node that it lacks. */
  async #found(): Promise<RedisNode> {
    await this.#parts.find?.().catch(() => undefined)
    const node = this.#parts.node()
    if (node !== undefined) return node
    throw new SwitchbackError('SB_REDIS_UNREACHABLE', 'The Redis node of this key is not known.', {
      hint: 'The cluster is changing or unreachable; the client asks for its nodes again by itself.',
    })
  }
}

function foreignState(name: string): SwitchbackError {
  return new SwitchbackError(
    'SB_REDIS_FOREIGN',
    `Redis has data of another program under ${quote(name)}, where this cache keeps its state; nothing of Redis is used.`,
    { hint: 'Give the cache a prefix of its own, or remove that key.' },
  )
}

/** When a server refuses its database, ioredis silently continues in database 0. */
async function selected(node: RedisNode): Promise<void> {
  const { db = 0 } = node.options as { readonly db?: number }
  if (db !== 0) await node.select(db)
}
