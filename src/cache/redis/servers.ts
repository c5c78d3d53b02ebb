import { SwitchbackError } from '../../errors.ts'
import type { KnownServers, MaybePromise } from '../backend.ts'
import { isStranger, ServerBooks } from './server-books.ts'
import { isWrongType, redisError } from './errors.ts'
import { isCluster, type RedisClient, type RedisCluster, type RedisNode } from './client.ts'
import { keySlot } from './key-slot.ts'
import { Server } from './server.ts'

/** Until its clock has caught up, nothing is kept in a store that was fenced: for hours, that would be worse. */
const LONGEST_STEP_MS = 10_000

/** Stands for the address of a client's only server, which Sentinel may move. */
const SINGLE = ''

export type ResetListener = (before: number) => MaybePromise<void>

export interface ServersOptions {
  readonly client: RedisClient
  readonly onWarning: (warning: SwitchbackError) => void
}

/** The servers behind a client: one, or the masters of a cluster. */
export class Servers {
  readonly #client: RedisClient
  readonly #onWarning: (warning: SwitchbackError) => void
  readonly #listeners = new Set<ResetListener>()
  readonly #books = new ServerBooks()
  readonly #unsubscribe: () => void
  #single: Server | undefined
  /** By `host:port`. */
  readonly #masters = new Map<string, Server>()
  #sawMasters = false
  #warned = false

  constructor({ client, onWarning }: ServersOptions) {
    this.#client = client
    this.#onWarning = onWarning
    if (isCluster(client)) {
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
    const single = this.#server(SINGLE, () => client, false)
    const verify = (): void => void single.verify().catch(() => undefined)
    this.#single = single
    client.on('ready', verify)
    this.#unsubscribe = () => client.off('ready', verify)
    if (client.status === 'ready') verify()
  }

  /** The server that holds the key; `undefined` while a cluster has not said which. */
  of(name: string): Server | undefined {
    if (this.#single !== undefined) return this.#single
    const client = this.#client as RedisCluster
    const address = client.slots[keySlot(name)]?.[0]
    if (address === undefined) return undefined
    return this.#masters.get(address) ?? this.#add(client, address)
  }

  /** Epoch milliseconds; of a cluster, the latest of its masters' clocks: deadlines must hold on each. */
  now(): number {
    if (this.#single !== undefined) return Math.floor(this.#single.clock.now())
    let latest = 0
    for (const { clock } of this.#masters.values()) {
      if (clock.known) latest = Math.max(latest, clock.now())
    }
    return latest === 0 ? Date.now() : Math.floor(latest)
  }

  /** The server that holds the key, once it is known to be the one that acknowledged. */
  async trusted(name: string): Promise<Server> {
    try {
      // A cluster that is still connecting queues this, or refuses it; either way it then knows more.
      if (this.of(name) === undefined) await this.#client.get(name)
    } catch (error) {
      if (!isWrongType(error)) throw redisError(error)
    }
    const server = this.of(name)
    if (server === undefined) throw redisError(new Error('no node of the cluster holds this key'))
    if (!server.trusted) await server.verify()
    return server
  }

  onReset(listener: ResetListener, book?: KnownServers): () => void {
    this.#listeners.add(listener)
    if (book !== undefined) {
      const knew = this.#books.add(book)
      // Some may have said who they are before anybody listened.
      const strange = [...this.#all()].some(
        ([address, { runId }]) => runId !== undefined && isStranger(knew, address, runId),
      )
      if (strange) void this.#tell([listener], 0).catch(() => undefined)
      void this.#remember()
    }
    return () => {
      this.#listeners.delete(listener)
      if (book !== undefined) this.#books.delete(book)
    }
  }

  /** Cluster nodes demote themselves once they hear of each other; nothing else tells a lone server. */
  recheck(): void {
    this.#single?.doubt()
  }

  close(): void {
    this.#unsubscribe()
    this.#single?.close()
    for (const server of this.#masters.values()) server.close()
    this.#listeners.clear()
    this.#books.clear()
  }

  /** Meets new masters at once, and forgets those replaced: should they return, they are strangers. */
  #look(client: RedisCluster): void {
    const owners = new Set(client.slots.map((nodes) => nodes?.[0]))
    owners.delete(undefined)
    if (owners.size === 0) return
    for (const [address, server] of this.#masters) {
      if (owners.has(address)) continue
      server.close()
      this.#masters.delete(address)
    }
    for (const address of owners) {
      if (address === undefined || this.#masters.has(address)) continue
      const server = this.#add(client, address)
      server.verify().catch(() => undefined)
    }
    this.#sawMasters = true
    void this.#remember()
  }

  #add(client: RedisCluster, address: string): Server {
    const node = (): RedisNode | undefined =>
      client.nodes('master').find((one) => addressOf(one) === address)
    const server = this.#server(address, node, this.#sawMasters)
    this.#masters.set(address, server)
    return server
  }

  #server(address: string, node: () => RedisNode | undefined, late: boolean): Server {
    return new Server({
      node,
      isStranger: (runId) => late || this.#books.findStrange(address, runId),
      isReplaced: (runId) => address === SINGLE && this.#books.nameOther(SINGLE, runId),
      onMet: (runId) => (address === SINGLE ? this.#books.meet(SINGLE, runId) : Promise.resolve()),
      onChange: (serverTime) => this.#tell(this.#listeners, serverTime),
      onIdentified: () => this.#remember(),
      onAnonymous: () => this.#warnAnonymous(),
    })
  }

  async #tell(listeners: Iterable<ResetListener>, serverTime: number): Promise<void> {
    const now = Math.max(this.now(), serverTime)
    // A clock that was set back since may have stamped cells with later times than it shows.
    const latest = Math.max(...[...this.#all()].map(([, { clock }]) => clock.latest))
    const before = Math.ceil(Math.min(Math.max(now, latest), now + LONGEST_STEP_MS)) + 1
    for (const listener of listeners) await listener(before)
  }

  /** Once all have said who they are. */
  async #remember(): Promise<void> {
    const servers = new Map<string, string>()
    for (const [address, { runId }] of this.#all()) {
      if (runId === undefined) return
      servers.set(address, runId)
    }
    await this.#books.remember(servers)
  }

  *#all(): Iterable<readonly [string, Server]> {
    if (this.#single !== undefined) yield [SINGLE, this.#single]
    yield* this.#masters
  }

  #warnAnonymous(): void {
    if (this.#warned) return
    this.#warned = true
    this.#onWarning(
      new SwitchbackError(
        'SB_REDIS_ANONYMOUS',
        'Redis does not tell its run_id, so every new connection counts as a restart that may have lost deletes.',
        { hint: 'Allow the ACL user the command: +info.' },
      ),
    )
  }
}

function addressOf(node: RedisNode): string {
  const { host, port } = node.options as { readonly host?: string; readonly port?: number }
  return `${host}:${port}`
}
