import { SwitchbackError } from '../../errors.ts'
import type { MaybePromise } from '../backend.ts'
import { isCluster, type RedisClient, type RedisCluster, type RedisNode } from './client.ts'
import { keySlot } from './key-slot.ts'
import { Server } from './server.ts'

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
    const single = this.#server(() => client, true)
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
    return this.#masters.get(address) ?? this.#add(client, address, !this.#sawMasters)
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

  onReset(listener: ResetListener): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  close(): void {
    this.#unsubscribe()
    this.#single?.close()
    for (const server of this.#masters.values()) server.close()
    this.#listeners.clear()
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
      const server = this.#add(client, address, !this.#sawMasters)
      server.verify().catch(() => undefined)
    }
    this.#sawMasters = true
  }

  #add(client: RedisCluster, address: string, known: boolean): Server {
    const server = this.#server(
      () => client.nodes('master').find((node) => addressOf(node) === address),
      known,
    )
    this.#masters.set(address, server)
    return server
  }

  #server(node: () => RedisNode | undefined, known: boolean): Server {
    return new Server({
      node,
      known,
      onChange: async (serverTime) => {
        const before = Math.ceil(Math.max(this.now(), serverTime)) + 1
        for (const listener of this.#listeners) await listener(before)
      },
      onAnonymous: () => this.#warnAnonymous(),
    })
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
