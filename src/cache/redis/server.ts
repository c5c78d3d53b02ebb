import { SwitchbackError } from '../../errors.ts'
import type { RedisNode } from './client.ts'
import { redisError } from './errors.ts'
import { ServerClock } from './server-clock.ts'

const CLOCK_REFRESH_MS = 30_000
const UNKNOWN = 'unknown'

export interface ServerParts {
  /** The connection to the server as it is now; `undefined` while there is none. */
  readonly node: () => RedisNode | undefined
  /** Whether the first identity seen counts as a change too. `undefined`: it does not say. */
  readonly isStranger: (runId: string | undefined) => boolean
  /** Whether another process of this machine has met another server in its place. */
  readonly isReplaced: (runId: string) => boolean
  /** Before {@link ServerParts.onChange}. */
  readonly onMet: (runId: string) => Promise<void>
  /** The server is not the one that acknowledged; `serverTime` is its clock. */
  readonly onChange: (serverTime: number) => Promise<void>
  /** It has said who it is, and {@link ServerParts.onChange} is done. Awaited before it is trusted. */
  readonly onIdentified: () => Promise<void>
  /** The server does not say who it is. */
  readonly onAnonymous: () => void
}

/**
 * One server: its clock, and whether it is still the one that acknowledged. A server that restarted,
 * or another that took its place, may hold cells whose invalidation was acknowledged and lost. Since
 * no server restarts without dropping its connections, its identity (`run_id`) is asked again after
 * every loss of the connection, before anything it says is believed.
 */
export class Server {
  readonly clock: ServerClock = new ServerClock()
  /** False from the loss of a connection until its identity was asked on the next. */
  trusted = false
  /** It must say again who it is before it takes anything. */
  doubted = false
  readonly #parts: ServerParts
  /** Who it said it was when it was last asked. */
  runId: string | undefined
  #verifying: Promise<void> | undefined
  #detach: (() => void) | undefined
  #asking = false
  #doubts = 0
  /** Whoever the next connection meets counts as another. */
  #anotherNext = false

  constructor(parts: ServerParts) {
    this.#parts = parts
  }

  /** Asks for identity and time. Concurrent callers share one question. */
  verify(): Promise<void> {
    this.#verifying ??= this.#verifyUntilTrusted().finally(() => {
      this.#verifying = undefined
    })
    return this.#verifying
  }

  /** Somebody may have met another server in its place: it must say again who it is. */
  doubt(): void {
    this.#doubts += 1
    this.trusted = false
    this.doubted = true
  }

  /** The server's clock, asked again in the background now and then. */
  now(): number {
    if (performance.now() - this.clock.learntAt > CLOCK_REFRESH_MS) this.#askTime()
    return this.clock.now()
  }

  close(): void {
    this.#detach?.()
  }

  async #verifyUntilTrusted(): Promise<void> {
    do await this.#verify()
    while (!this.trusted)
  }

  async #verify(): Promise<void> {
    const doubts = this.#doubts
    const node = this.#node()
    this.#detach?.()
    const lost = (): void => {
      this.trusted = false
      this.#detach?.()
    }
    node.on('close', lost)
    const detach = (): void => {
      node.off('close', lost)
      if (this.#detach === detach) this.#detach = undefined
    }
    this.#detach = detach
    try {
      const sentAt = performance.now()
      const [time, info] = await Promise.all([
        node.time(),
        node.info('server').catch(ifDenied),
        selected(node),
      ])
      const serverTime = millisecondsOf(time)
      const runId = /^run_id:(\w+)/mu.exec(info)?.[1]
      if (runId === undefined) this.#parts.onAnonymous()
      if (runId !== undefined && runId === this.runId && this.#parts.isReplaced(runId)) {
        this.runId = undefined
        this.#anotherNext = true
        node.disconnect(true)
        throw new Error('another process of this machine has met another server in its place')
      }
      const differs =
        this.runId === undefined ? this.#parts.isStranger(runId) : this.runId !== runId
      if (differs || this.#anotherNext) {
        if (runId !== undefined) await this.#parts.onMet(runId)
        await this.#parts.onChange(serverTime)
        this.#anotherNext = false
      }
      this.clock.learn(serverTime, sentAt)
      // An unknown identity never equals itself: without one, every new connection is suspect.
      this.runId = runId ?? UNKNOWN
      await this.#parts.onIdentified()
      if (this.#detach !== detach) throw new Error('the connection was lost')
      if (doubts !== this.#doubts) return
      this.trusted = true
      this.doubted = false
    } catch (error) {
      detach()
      throw redisError(error)
    }
  }

  #askTime(): void {
    const node = this.#parts.node()
    if (this.#asking || node === undefined) return
    this.#asking = true
    const sentAt = performance.now()
    node
      .time()
      .then((time) => this.clock.learn(millisecondsOf(time), sentAt))
      .catch(() => undefined)
      .finally(() => {
        this.#asking = false
      })
  }

  #node(): RedisNode {
    const node = this.#parts.node()
    if (node !== undefined) return node
    throw new SwitchbackError('SB_REDIS_UNREACHABLE', 'The Redis node of this key is not known.', {
      hint: 'The cluster is changing or unreachable; the client asks for its nodes again by itself.',
    })
  }
}

/** When a server refuses its database, ioredis goes on in database 0 without a word. */
async function selected(node: RedisNode): Promise<void> {
  const { db = 0 } = node.options as { readonly db?: number }
  if (db !== 0) await node.select(db)
}

function ifDenied(error: unknown): string {
  if (error instanceof Error && error.message.startsWith('NOPERM')) return ''
  throw error
}

function millisecondsOf(time: unknown): number {
  const [seconds, microseconds] = time as readonly (string | number)[]
  return Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000)
}
