import type { RedisCluster, RedisNode } from '../connection/redis-client.ts'
import { emitterOf, type NodeRedisClient, NodeRedisNode, refuse } from './node-redis.ts'
import { RawNode } from './raw-node.ts'

/** A client of node-redis 5 or 6 for a whole cluster: what `createCluster()` makes. */
export interface NodeRedisCluster {
  readonly isOpen: boolean
  readonly slots: readonly ({ readonly master: NodeRedisMaster } | undefined)[]
  readonly masters: readonly NodeRedisMaster[]
  nodeClient(node: never): unknown
  sendCommand(
    firstKey: string | undefined,
    isReadonly: boolean | undefined,
    args: string[],
    options?: never,
  ): Promise<unknown>
  connect(): Promise<unknown>
  destroy(): void
  on(event: string, listener: (error: Error) => void): unknown
  off(event: string, listener: (error: Error) => void): unknown
}

export interface NodeRedisMaster {
  readonly address: string
  readonly host: string
  readonly port: number
  readonly client?: object | undefined
}

const AS_STRINGS = { typeMapping: {} } as never
/** Slots that move without a redirection are seen after so long. */
const SLOTS_MS = 1000

const EVENTS: Readonly<Record<string, readonly string[]>> = {
  ready: ['connect'],
  refresh: ['node-ready'],
  close: ['node-error', 'node-disconnect', 'disconnect'],
}

/** Reads and writes go to the masters, also where the application reads from replicas. */
export class NodeRedisClusterClient extends RawNode implements RedisCluster {
  readonly isCluster: boolean = true
  readonly #cluster: NodeRedisCluster
  readonly #events: NodeRedisCluster
  readonly #nodes = new WeakMap<object, NodeRedisNode>()
  #slots: readonly (readonly string[])[] = []
  #slotsOf: unknown
  #slotsAt = 0

  constructor(cluster: NodeRedisCluster, options: object) {
    super((args) => {
      const key = args[0] === 'EVAL' || args[0] === 'EVALSHA' ? args[3] : args[1]
      return cluster.sendCommand(key, false, args as string[], AS_STRINGS).catch(refuse)
    }, options)
    this.#cluster = cluster
    this.#events = emitterOf(cluster)
  }

  get status(): string {
    const { isOpen, masters } = this.#cluster
    return isOpen && masters.length > 0 ? 'ready' : isOpen ? 'connecting' : 'end'
  }

  get slots(): readonly (readonly string[])[] {
    const { slots } = this.#cluster
    if (this.#slotsOf !== slots || performance.now() - this.#slotsAt > SLOTS_MS) {
      const one = new Map<string, readonly string[]>()
      for (const { address } of this.#cluster.masters) one.set(address, [address])
      this.#slots = Array.from(slots, (shard) => one.get(shard?.master.address ?? '') ?? [])
      this.#slotsOf = slots
      this.#slotsAt = performance.now()
    }
    return this.#slots
  }

  /** Those that are connected to. One that is not is connected to now, and told by `refresh`. */
  nodes(): RedisNode[] {
    return this.#cluster.masters.flatMap((master) => {
      const { client, host, port } = master
      if (client === undefined) {
        Promise.resolve(this.#cluster.nodeClient(master as never)).catch(() => undefined)
        return []
      }
      let node = this.#nodes.get(client)
      if (node === undefined) {
        node = new NodeRedisNode(client as NodeRedisClient, { host, port })
        this.#nodes.set(client, node)
      }
      return [node]
    })
  }

  disconnect(): void {
    // Each of its nodes is a connection of its own.
  }

  on(event: string, listener: (error: Error) => void): unknown {
    for (const name of EVENTS[event] ?? [event]) this.#events.on(name, listener)
    return this
  }

  off(event: string, listener: (error: Error) => void): unknown {
    for (const name of EVENTS[event] ?? [event]) this.#events.off(name, listener)
    return this
  }
}
