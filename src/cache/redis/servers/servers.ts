import { SwitchbackError } from '../../../errors.ts'
import type { EraVerdict, Heard, MaybePromise, Stand } from '../../backend.ts'
import {
  isCluster,
  type RedisClient,
  type RedisCluster,
  type RedisNode,
} from '../connection/redis-client.ts'
import { isWrongType, redisError } from '../redis-errors.ts'
import { keySlot } from './key-slot.ts'
import { Server } from './server.ts'
import type { TickAnswer } from './tick.ts'

const TICK_MS = 1000

export type EraListener = (heard: Heard) => MaybePromise<EraVerdict>

export interface ServersOptions {
  readonly client: RedisClient
  /** The name of the state, which no key has. */
  readonly stateName: string
  readonly tombstoneTtl: () => number
  /** Another process has a longer one. */
  readonly onTombstoneTtl: (ms: number) => void
  readonly owner: () => string
  readonly others: () => boolean
  readonly stand: () => Stand | undefined
  readonly onWarning: (warning: SwitchbackError) => void
  /** The values of other programs are used too. @default false */
  readonly outsiders?: boolean
}

/** The servers behind a client: one, or the masters of a cluster, each with an era of its own. */
export class Servers {
  readonly #options: ServersOptions
  readonly #client: RedisClient
  readonly #listeners = new Set<EraListener>()
  readonly #unsubscribe: () => void
  #ticks: NodeJS.Timeout | undefined
  #single: Server | undefined
  /** Of a cluster: the state of its pair, in whichever slot that is. */
  readonly head: Server | undefined
  #paired = false
  /** By `host:port`; a single one by nothing. */
  readonly #servers = new Map<string, Server>()
  readonly #warned = new Set<string>()
  #closed = false

  constructor(options: ServersOptions) {
    this.#options = options
    const { client } = options
    this.#client = client
    this.#tickLater()
    if (isCluster(client)) {
      this.head = this.#headOf(client)
      const look = (): void => this.#look(client)
      client.on('ready', look)
      client.on('refresh', look)
      this.#unsubscribe = () => {
        client.off('ready', look)
        client.off('refresh', look)
      }
      if (client.status === 'ready') look()
      return
    }
    const single = this.#server(() => client, options.stateName)
    const ask = (): void => void single.ask().catch(this.#refused)
    this.#single = single
    this.#servers.set('', single)
    client.on('ready', ask)
    this.#unsubscribe = () => client.off('ready', ask)
    if (client.status === 'ready') ask()
  }

  /** The era of the only server as this process last heard it; 0 before that, and for a cluster. */
  get era(): number {
    return (this.#single ?? this.#pairHead)?.heard?.era ?? 0
  }

  /** The other store of the pair keeps what this one owes. */
  pair(): void {
    this.#paired = true
  }

  /** Has every server of a pair report its era, so that the first write finds it heard. */
  async meet(): Promise<void> {
    if (!this.#paired) return
    await Promise.all(
      [...this.#servers.values()].map((one) => (one.trusted ? undefined : one.ask())),
    )
  }

  /** When the era of the server that has the key began; 0 before it was heard. */
  since(name: string): number {
    return this.of(name)?.since ?? 0
  }

  /** The only server; `undefined` for a cluster. */
  get single(): Server | undefined {
    return this.#single
  }

  /** The state that the scripts check; a cluster's need not be where the cell is. */
  get stateKeys(): readonly string[] {
    return this.#single === undefined ? [] : [this.#options.stateName]
  }

  /** The server that has the key; `undefined` while a cluster has not reported which. */
  of(name: string): Server | undefined {
    if (this.#single !== undefined) return this.#single
    const client = this.#client as RedisCluster
    const address = client.slots[keySlot(name)]?.[0]
    if (address === undefined) return undefined
    return this.#servers.get(address) ?? this.#add(client, address)
  }

  /** Epoch milliseconds; of a cluster, the latest of its masters' clocks: deadlines must hold on each. */
  now(): number {
    const times = [...this.#servers.values()].map(({ clock }) => (clock.known ? clock.now() : 0))
    return Math.floor(Math.max(0, ...times) || Date.now())
  }

  /** The server that has the key, once it has reported its era. */
  async trusted(name: string): Promise<Server> {
    try {
      // A cluster that is still connecting queues this, or refuses it; either way it then knows more.
      if (this.of(name) === undefined) await this.#client.get(name)
    } catch (error) {
      if (!isWrongType(error)) throw redisError(error)
    }
    const server = this.of(name)
    if (server === undefined) throw redisError(new Error('no node of the cluster holds this key'))
    if (!server.trusted) await server.ask()
    return server
  }

  onEra(listener: EraListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  recheck(): void {
    this.#single?.recheck()
  }

  /** Begins a new era on every server. */
  async renew(): Promise<void> {
    const head = this.#pairHead
    await Promise.all(
      (head === undefined ? [...this.#servers.values()] : [head]).map(async (server) => {
        if (!server.trusted) await server.ask()
        await server.ask(server.heard?.name)
      }),
    )
  }

  close(): void {
    clearTimeout(this.#ticks)
    this.#closed = true
    this.#unsubscribe()
    for (const server of this.#servers.values()) server.close()
    this.head?.close()
    this.#listeners.clear()
  }

  get #pairHead(): Server | undefined {
    return this.#paired ? this.head : undefined
  }

  /** Asked through the client of the whole cluster, which follows its slot from node to node. */
  #headOf(client: RedisCluster): Server {
    const { stateName, tombstoneTtl, stand } = this.#options
    return new Server({
      node: () => client as unknown as RedisNode,
      lone: false,
      outsiders: this.#options.outsiders === true,
      question: () => ({ key: stateName, tombstoneTtl: tombstoneTtl(), owner: '', others: false }),
      stand,
      onHeard: (heard) => this.#tell(heard),
    })
  }

  #tickLater(): void {
    this.#ticks = setTimeout(() => {
      if (this.#client.status === 'ready') {
        // What fails here, the next operation meets.
        for (const server of this.#servers.values()) server.ask().catch(this.#refused)
      }
      if (!this.#closed) this.#tickLater()
    }, TICK_MS).unref()
  }

  /** Connects to new masters at once, and forgets those replaced. */
  #look(client: RedisCluster): void {
    const owners = new Set(client.slots.map((nodes) => nodes?.[0]))
    owners.delete(undefined)
    if (owners.size === 0) return
    for (const [address, server] of this.#servers) {
      if (owners.has(address)) continue
      server.close()
      this.#servers.delete(address)
    }
    for (const address of owners) {
      if (address === undefined || this.#servers.has(address)) continue
      const server = this.#add(client, address)
      server.ask().catch(() => undefined)
    }
  }

  #add(client: RedisCluster, address: string): Server {
    const node = (): RedisNode | undefined =>
      client.nodes('master').find((one) => addressOf(one) === address)
    const name = (): string => stateNameOn(client, address, this.#options.stateName)
    const server = this.#server(node, name, () => client.get(name()))
    this.#servers.set(address, server)
    return server
  }

  #server(
    node: () => RedisNode | undefined,
    key: string | (() => string),
    find?: () => Promise<unknown>,
  ): Server {
    const { tombstoneTtl, owner, others } = this.#options
    return new Server({
      node,
      find,
      lone: typeof key === 'string',
      ...(typeof key === 'string' ? {} : { head: () => this.#pairHead }),
      question: () => ({
        key: typeof key === 'string' ? key : key(),
        tombstoneTtl: tombstoneTtl(),
        owner: owner(),
        others: others(),
      }),
      outsiders: this.#options.outsiders === true,
      stand: this.#options.stand,
      onHeard: (heard) => this.#heard(heard),
    })
  }

  async #heard(heard: TickAnswer): Promise<EraVerdict> {
    if (heard.anonymous) this.#warnAnonymous()
    if (heard.tombstoneTtl > this.#options.tombstoneTtl()) {
      this.#options.onTombstoneTtl(heard.tombstoneTtl)
    }
    return this.#tell(this.#single === undefined ? { ...heard, server: 0 } : heard)
  }

  async #tell(told: TickAnswer): Promise<EraVerdict> {
    for (const listener of this.#listeners) {
      const verdict = await listener(told)
      if (verdict !== undefined) return verdict
    }
    return undefined
  }

  /** What does not mend itself is told, once. */
  readonly #refused = (error: SwitchbackError): void => {
    if (error.code === 'SB_REDIS_CLUSTER' || error.code === 'SB_REDIS_FOREIGN') this.#warn(error)
  }

  #warn(warning: SwitchbackError): void {
    if (this.#warned.has(warning.code)) return
    this.#warned.add(warning.code)
    this.#options.onWarning(warning)
  }

  #warnAnonymous(): void {
    this.#warn(
      new SwitchbackError(
        'SB_REDIS_ANONYMOUS',
        'Redis does not tell its run_id, so every new connection counts as a restart that may have lost deletes.',
        { hint: 'Allow the ACL user the command: +info.' },
      ),
    )
  }
}

/** A name for the state of one master: in the lowest slot-finding number that it owns. */
function stateNameOn(client: RedisCluster, address: string, stateName: string): string {
  for (let i = 0; ; i += 1) {
    const name = `${stateName}{${i}}`
    if (client.slots[keySlot(name)]?.[0] === address || i > 200_000) return name
  }
}

function addressOf(node: RedisNode): string {
  const { host, port } = node.options as { readonly host?: string; readonly port?: number }
  return `${host}:${port}`
}
