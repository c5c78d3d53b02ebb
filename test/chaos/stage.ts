import { startRedisCluster } from '../support/redis-cluster.ts'
import { startRedisSentinel, type TestSentinel } from '../support/redis-sentinel.ts'
import { startRedis, type TestRedis } from '../support/redis-server.ts'
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts'
import { mendSlots } from './cluster-slots.ts'
import type { Host, Link } from './nets.ts'
import { onServer } from './on-server.ts'
import { until } from '../support/until.ts'

export const TOPOLOGIES = ['standalone', 'cluster', 'sentinel'] as const

export type Topology = (typeof TOPOLOGIES)[number]

interface Address {
  readonly host: string
  readonly port: number
}

/** How an application process reaches Redis: always through a proxy for each server. */
export type Connection =
  | { readonly kind: 'standalone'; readonly url: string }
  | {
      readonly kind: 'cluster'
      readonly nodes: readonly Address[]
      readonly natMap: Readonly<Record<string, Address>>
    }
  | {
      readonly kind: 'sentinel'
      readonly name: string
      readonly sentinels: readonly Address[]
      readonly natMap: Readonly<Record<string, Address>>
    }

/** How one process reaches a store by a way of its own. */
export interface LinkTo {
  readonly link: Link
  readonly connection: Connection
}

/** The Redis of a run. */
export interface RedisStage {
  readonly topology: Topology
  /** All that hold data, replicas too. */
  readonly servers: readonly TestRedis[]
  readonly sentinel?: TestRedis | undefined
  /** One before each server. */
  readonly proxies: readonly TcpProxy[]
  readonly connection: Connection
  /** How one process reaches it, through a link of its own; only of a standalone Redis. */
  link(): Promise<LinkTo>
  /** Where it runs, if not on this machine: its proxies do nothing then. */
  readonly host?: Host | undefined
  /** Resolves when every server is up and the topology is whole again. */
  healed(): Promise<void>
  stop(): Promise<void>
}

export interface StageOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly args?: readonly string[]
  /** False: the server itself is reached, and `proxies` do nothing. @default true */
  readonly proxied?: boolean
  /** All of it runs there. @default this machine */
  readonly host?: Host | undefined
}

const HEAL_MS = 20_000

export async function startStage(
  topology: Topology,
  options: StageOptions = {},
): Promise<RedisStage> {
  if (topology === 'cluster') return clusterStage(options)
  if (topology === 'sentinel') return sentinelStage(options)
  const { host } = options
  const redis = await startRedis({ ...options, within: host })
  const direct = host !== undefined || options.proxied === false
  return stage({
    topology,
    host,
    servers: [redis],
    connect: (_, [proxy]) => ({
      kind: 'standalone',
      url: direct ? redis.url : `redis://127.0.0.1:${proxy!.port}`,
    }),
    whole: async () => true,
    stop: () => redis.stop(),
  })
}

async function clusterStage(options: StageOptions): Promise<RedisStage> {
  const { env = {}, args = [], host } = options
  const cluster = await startRedisCluster({ masters: 3, replicas: 1, env, args, within: host })
  const servers = [...cluster.masters, ...cluster.replicas]
  return stage({
    topology: 'cluster',
    host,
    servers,
    connect: (natMap, proxies) =>
      host === undefined
        ? {
            kind: 'cluster',
            nodes: proxies.map(({ port }) => ({ host: '127.0.0.1', port })),
            natMap,
          }
        : { kind: 'cluster', nodes: cluster.nodes, natMap: {} },
    async whole() {
      const infos = await Promise.all(servers.map((server) => server.command('CLUSTER', 'INFO')))
      const nodes = await servers[0]!.command('CLUSTER', 'NODES')
      return (
        infos.every((info) => info.includes('cluster_state:ok')) &&
        !nodes.includes('fail') &&
        nodes.match(/slave /gu)?.length === 3
      )
    },
    mend: () => mendSlots(servers),
    stop: () => cluster.stop(),
  })
}

async function sentinelStage(options: StageOptions): Promise<RedisStage> {
  const { host } = options
  const sentinel = await startRedisSentinel({ ...options, within: host })
  const servers = [sentinel.master, sentinel.replica]
  return stage({
    topology: 'sentinel',
    host,
    servers,
    sentinel: sentinel.sentinel,
    connect: (natMap) => ({
      kind: 'sentinel',
      name: sentinel.name,
      sentinels: sentinel.sentinels,
      natMap: host === undefined ? natMap : {},
    }),
    async whole() {
      await demoteOld(sentinel)
      const infos = await Promise.all(servers.map((one) => one.command('INFO', 'replication')))
      return infos.some((info) => info.includes('role:master')) && infos.some(isLinked)
    },
    stop: () => sentinel.stop(),
  })
}

/** The Sentinel does it too, some ten seconds later: at the end of a run nothing is learnt from them. */
async function demoteOld({ name, sentinel, master, replica }: TestSentinel): Promise<void> {
  const state = await onServer(sentinel, (redis) => redis.call('SENTINEL', 'MASTER', name))
  const told = state as readonly string[]
  // Else a failover is under way, and it is not clear yet who will be the old one.
  if (told[told.indexOf('flags') + 1] !== 'master') return
  const current = told[told.indexOf('port') + 1]!
  for (const server of [master, replica]) {
    if (String(server.port) === current) continue
    const info = await server.command('INFO', 'replication')
    if (!info.includes('role:master')) continue
    await server.command('REPLICAOF', server.host, current)
    await server.command('CLIENT', 'KILL', 'TYPE', 'normal')
  }
}

function isLinked(info: string): boolean {
  return info.includes('role:slave') && info.includes('master_link_status:up')
}

interface Parts {
  readonly topology: Topology
  readonly host?: Host | undefined
  readonly servers: readonly TestRedis[]
  readonly sentinel?: TestRedis
  readonly connect: (
    natMap: Readonly<Record<string, Address>>,
    proxies: readonly TcpProxy[],
  ) => Connection
  readonly whole: () => Promise<boolean>
  /** What an operator does when it does not become whole by itself. */
  readonly mend?: () => Promise<void>
  readonly stop: () => Promise<void>
}

async function stage(parts: Parts): Promise<RedisStage> {
  const { topology, host, servers, sentinel, connect, whole, mend, stop } = parts
  const proxies = await Promise.all(servers.map(({ port }) => startTcpProxy(port)))
  const links: TcpProxy[] = []
  const natMap = Object.fromEntries(
    servers.map(({ port }, i) => [
      `127.0.0.1:${port}`,
      { host: '127.0.0.1', port: proxies[i]!.port },
    ]),
  )
  const complain = async (): Promise<never> => {
    const told = await Promise.all(servers.map((server) => describe(server, topology)))
    throw new Error(`the ${topology} is not whole again:\n${told.join('\n')}`)
  }
  return {
    topology,
    host,
    servers,
    sentinel,
    proxies,
    connection: connect(natMap, proxies),
    async link() {
      if (topology !== 'standalone') throw new Error(`no link of one process to a ${topology}`)
      const proxy = await startTcpProxy(proxies[0]!.port)
      links.push(proxy)
      return { link: proxy, connection: connect(natMap, [proxy]) }
    },
    async healed() {
      for (const server of servers) {
        server.thaw()
        if (!server.alive) await server.restart()
        if (topology === 'standalone') await server.command('REPLICAOF', 'NO', 'ONE')
      }
      for (const proxy of [...links, ...proxies]) {
        proxy.resume()
        proxy.accept()
        proxy.delay(0)
        proxy.limit(Number.POSITIVE_INFINITY)
      }
      const healing = (): Promise<void> => until('', () => whole().catch(() => false), HEAL_MS)
      await healing().catch(async () => {
        await mend?.()
        await healing().catch(complain)
      })
    },
    async stop() {
      await Promise.all([...links, ...proxies].map((proxy) => proxy.close()))
      await stop()
    },
  }
}

async function describe(server: TestRedis, topology: Topology): Promise<string> {
  const question = topology === 'cluster' ? ['CLUSTER', 'NODES'] : ['INFO', 'replication']
  const answer = await server.command(...question).catch(String)
  return `${server.port} (${server.alive ? 'alive' : 'dead'}):\n${answer}`
}
