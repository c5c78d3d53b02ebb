import type { NodeRedisClient, NodeRedisOptions } from './node-redis.ts'

const SILENCE_MS = 1000

interface Subscriber extends NodeRedisClient {
  subscribe(channel: string, listener: (names: unknown) => void, buffers: true): Promise<unknown>
}

/** A second connection of a node-redis client, as `Follower` uses one. */
export class NodeRedisTracking {
  readonly #client: Subscriber
  #listener: (channel: Buffer, names: unknown) => void = () => undefined

  constructor(client: NodeRedisClient) {
    const { options = {} } = client as { readonly options?: NodeRedisOptions }
    this.#client = client.duplicate({
      // In RESP2 a connection may redirect to itself, so that `subscribe` gets the changes.
      RESP: 2,
      clientSideCache: undefined,
      emitInvalidate: undefined,
      maintNotifications: 'disabled',
      keyPrefix: undefined,
      pingInterval: undefined,
      commandsQueueMaxLength: undefined,
      commandOptions: undefined,
      readonly: false,
      disableOfflineQueue: true,
      socket: {
        ...options.socket,
        reconnectStrategy: false,
        connectTimeout: SILENCE_MS,
        socketTimeout: SILENCE_MS,
      },
    }) as Subscriber
  }

  async connect(): Promise<void> {
    await this.#client.connect()
  }

  disconnect(): void {
    // Version 5 throws where nothing is open.
    if (this.#client.isOpen) this.#client.destroy()
  }

  call(command: string, ...args: string[]): Promise<unknown> {
    return this.#client.sendCommand([command, ...args])
  }

  subscribe(channel: string): Promise<unknown> {
    const name = Buffer.from(channel)
    return this.#client.subscribe(channel, (names) => this.#listener(name, names), true)
  }

  ping(): Promise<unknown> {
    return this.#client.sendCommand(['PING'])
  }

  on(event: string, listener: ((channel: Buffer, names: unknown) => void) | (() => void)): unknown {
    if (event === 'messageBuffer') this.#listener = listener
    else if (event === 'error') this.#client.on('error', listener as () => void)
    else for (const name of ['error', 'end']) this.#client.on(name, listener as () => void)
    return this
  }
}
