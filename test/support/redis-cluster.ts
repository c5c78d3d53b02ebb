import { setTimeout as delay } from 'node:timers/promises'
import { type OtherNetwork, startRedis, type TestRedis } from './redis-server.ts'
import { HUNG_MS } from './until.ts'

export interface StartClusterOptions {
  /** @default 3 */
  readonly masters?: number
  /** For each master. @default 0 */
  readonly replicas?: number
  /** Added to every server's arguments. */
  readonly args?: readonly string[]
  /** Added to every server's environment. */
  readonly env?: Readonly<Record<string, string>>
  /** All run there. @default this machine's */
  readonly within?: OtherNetwork | undefined
}

/** A real Redis Cluster of local processes. */
export interface TestCluster extends AsyncDisposable {
  readonly masters: readonly TestRedis[]
  /** The replicas of `masters[i]` are at `i * replicas` and after. */
  readonly replicas: readonly TestRedis[]
  readonly nodes: readonly { readonly host: string; readonly port: number }[]
  stop(): Promise<void>
}

const SLOTS = 16_384
const NODE_TIMEOUT_MS = 1000

export async function startRedisCluster(options: StartClusterOptions = {}): Promise<TestCluster> {
  const {
    masters: masterCount = 3,
    replicas: replicasEach = 0,
    args = [],
    env = {},
    within,
  } = options
  const servers: TestRedis[] = []
  const stop = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.stop()))
  }
  try {
    for (let i = 0; i < masterCount * (1 + replicasEach); i++) {
      servers.push(await startRedis({ args: [...CLUSTER_ARGS, ...args], env, within }))
    }
    const masters = servers.slice(0, masterCount)
    const replicas = servers.slice(masterCount)
    await join(servers, masters)
    await until(() =>
      everyNode(
        servers,
        (info) => /cluster_known_nodes:(\d+)/u.exec(info)?.[1] === String(servers.length),
      ),
    )
    for (const [i, replica] of replicas.entries()) {
      const master = masters[Math.floor(i / replicasEach)]!
      await accept(replica, 'CLUSTER', 'REPLICATE', await master.command('CLUSTER', 'MYID'))
    }
    await until(() => everyNode(servers, (info) => info.includes('cluster_state:ok')))
    await until(() => allLinked(replicas))
    const nodes = servers.map(({ host, port }) => ({ host, port }))
    return { masters, replicas, nodes, stop, [Symbol.asyncDispose]: stop }
  } catch (error) {
    await stop()
    throw error
  }
}

const CLUSTER_ARGS = [
  '--cluster-enabled',
  'yes',
  '--cluster-config-file',
  'nodes.conf',
  '--cluster-node-timeout',
  String(NODE_TIMEOUT_MS),
]

async function join(servers: readonly TestRedis[], masters: readonly TestRedis[]): Promise<void> {
  for (const [i, master] of masters.entries()) {
    const from = Math.ceil((i * SLOTS) / masters.length)
    const to = Math.ceil(((i + 1) * SLOTS) / masters.length)
    const slots = Array.from({ length: to - from }, (_, offset) => String(from + offset))
    await accept(master, 'CLUSTER', 'ADDSLOTS', ...slots)
  }
  for (const [i, server] of servers.entries()) {
    await accept(server, 'CLUSTER', 'SET-CONFIG-EPOCH', String(i + 1))
    if (i > 0) await accept(server, 'CLUSTER', 'MEET', server.host, String(servers[0]!.port))
  }
}

async function accept(server: TestRedis, ...args: readonly string[]): Promise<void> {
  const reply = await server.command(...args)
  if (reply !== 'OK') throw new Error(`${args.slice(0, 2).join(' ')}: ${reply}`)
}

async function everyNode(
  servers: readonly TestRedis[],
  test: (info: string) => boolean,
): Promise<boolean> {
  const infos = await Promise.all(servers.map((server) => server.command('CLUSTER', 'INFO')))
  return infos.every(test)
}

async function allLinked(replicas: readonly TestRedis[]): Promise<boolean> {
  const infos = await Promise.all(replicas.map((server) => server.command('INFO', 'replication')))
  return infos.every((info) => info.includes('master_link_status:up'))
}

async function until(done: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + HUNG_MS
  while (!(await done())) {
    if (Date.now() > deadline) throw new Error('the cluster did not form')
    await delay(50)
  }
}
