import type { RedisNode } from '../connection/redis-client.ts'
import { RawNode, replyError, type Send } from './raw-node.ts'
import { NodeRedisTracking } from './node-redis-tracking.ts'

/** A client of node-redis 5 or 6 (`redis`, `@redis/client`): what `createClient()` makes. */
export interface NodeRedisClient {
  readonly isOpen: boolean
  readonly isReady: boolean
  sendCommand(args: string[], options?: object): Promise<unknown>
  connect(): Promise<unknown>
  destroy(): void
  duplicate(overrides?: object): unknown
  on(event: string, listener: (error: Error) => void): unknown
  off(event: string, listener: (error: Error) => void): unknown
}

/** What its options are called there. */
export interface NodeRedisOptions {
  readonly username?: string
  readonly keyPrefix?: string
  readonly socket?: object
}

/** Replies as strings, whatever types the application has chosen for its own. */
const AS_STRINGS = { typeMapping: {} }
/**
 * And without the client's timeout, which ends what was not sent yet: an abort signal for each command costs more
 * than the rest of it. What is connected sends with the next turn, and each operation has a deadline of its own.
 */
const AT_ONCE = { ...AS_STRINGS, timeout: undefined }

/** How a message of the server begins, and none of the client. */
const CODE = /^[A-Z][A-Z0-9]+(?: |$)/u

/** The commands are sent as they are: neither the client's cache nor its other transformations touch them. */
export function sendOf(
  client: Pick<NodeRedisClient, 'sendCommand'> & { readonly isReady?: boolean },
): Send {
  return (args) =>
    client
      .sendCommand(args as string[], client.isReady === true ? AT_ONCE : AS_STRINGS)
      .catch(refuse)
}

export function refuse(error: unknown): never {
  if (!(error instanceof Error)) throw error
  if (CODE.test(error.message)) throw replyError(error.message, error)
  // A command that was not sent within `commandOptions.timeout` has an error without a message.
  if (error.message === '') throw new Error('the command was not sent', { cause: error })
  throw error
}

/** What ends a connection: a loss, or the application. */
const LOSSES = ['error', 'end'] as const

/** A standalone node-redis client, or that of one node of a cluster. */
export class NodeRedisNode extends RawNode implements RedisNode {
  readonly #client: NodeRedisClient
  readonly #events: NodeRedisClient

  /** @param options of the client, or instead of them */
  constructor(client: NodeRedisClient, options: object = optionsOf(client)) {
    super(sendOf(client), options)
    this.#client = client
    this.#events = emitterOf(client)
  }

  get status(): string {
    if (this.#client.isReady) return 'ready'
    return this.#client.isOpen ? 'connecting' : 'end'
  }

  /** Nothing else of its interface ends a connection. While it connects anyway, it is left alone. */
  disconnect(reconnect: boolean): void {
    if (!this.#client.isReady) return
    this.#client.destroy()
    if (reconnect) this.#client.connect().catch(() => undefined)
  }

  /** `close` is every loss, and told before what was under way fails. */
  on(event: string, listener: (error: Error) => void): unknown {
    for (const name of event === 'close' ? LOSSES : [event]) this.#events.on(name, listener)
    return this
  }

  off(event: string, listener: (error: Error) => void): unknown {
    for (const name of event === 'close' ? LOSSES : [event]) this.#events.off(name, listener)
    return this
  }

  /** A connection of its own, to follow changes with. */
  duplicate(): NodeRedisTracking {
    return new NodeRedisTracking(this.#client)
  }
}

export function optionsOf(client: object): NodeRedisOptions {
  return (client as { readonly options?: NodeRedisOptions }).options ?? {}
}

const ignore = (): void => undefined
const held = new WeakSet<object>()

/**
 * Where the events of a client are listened to. What `createClient` gives is an object derived from the client
 * proper. Both share their listeners, but each counts them itself, and an `EventEmitter` that counts to
 * nothing drops all of them. So it is the client proper that is listened to, and an event that nobody else
 * has keeps its count from nothing. The listener for `error` keeps a loss from ending the process of an
 * application that has none.
 */
export function emitterOf<T extends object>(client: T): T {
  const { _self: proper = client } = client as { readonly _self?: T }
  if (!held.has(proper)) {
    held.add(proper)
    const events = proper as unknown as NodeRedisClient
    events.on('switchback', ignore)
    events.on('error', ignore)
  }
  return proper
}
