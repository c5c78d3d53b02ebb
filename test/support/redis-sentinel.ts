import { setTimeout as delay } from 'node:timers/promises'
import { type OtherNetwork, startRedis, type TestRedis } from './redis-server.ts'
import { HUNG_MS } from './until.ts'

/** A real master, its replica and one Sentinel that fails over within about two seconds. */
export interface TestSentinel extends AsyncDisposable {
  readonly master: TestRedis
  readonly replica: TestRedis
  /** The name under which the Sentinel knows the master. */
  readonly name: string
  readonly sentinels: readonly { readonly host: string; readonly port: number }[]
  readonly sentinel: TestRedis
  stop(): Promise<void>
}

export interface StartSentinelOptions {
  /** Added to the arguments of the two servers. */
  readonly args?: readonly string[]
  /** Added to their environment. */
  readonly env?: Readonly<Record<string, string>>
  /** All three run there. @default this machine's */
  readonly within?: OtherNetwork | undefined
}

const NAME = 'switchback-test'

export async function startRedisSentinel(
  options: StartSentinelOptions = {},
): Promise<TestSentinel> {
  const servers: TestRedis[] = []
  const stop = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.stop()))
  }
  try {
    const { args = [], env = {}, within } = options
    const server = { args: ['--repl-diskless-sync-delay', '0', ...args], env, within }
    const master = await startRedis(server)
    servers.push(master)
    const replica = await startRedis(server)
    servers.push(replica)
    // By a command, not an argument: after a promotion and a restart it must not come back as a replica
    // of what is its own replica by then.
    await replica.command('REPLICAOF', master.host, String(master.port))
    const sentinel = await startRedis({
      within,
      sentinel: [
        `sentinel monitor ${NAME} ${master.host} ${master.port} 1`,
        `sentinel down-after-milliseconds ${NAME} 500`,
        `sentinel failover-timeout ${NAME} 3000`,
      ],
    })
    servers.push(sentinel)
    const deadline = Date.now() + HUNG_MS
    for (;;) {
      const linked = (await replica.command('INFO', 'replication')).includes('link_status:up')
      const seen = (await sentinel.command('INFO', 'sentinel')).includes('slaves=1')
      if (linked && seen) break
      if (Date.now() > deadline) throw new Error('the Sentinel did not find its replica')
      await delay(50)
    }
    const sentinels = [sentinel].map(({ host, port }) => ({ host, port }))
    return { master, replica, name: NAME, sentinels, sentinel, stop, [Symbol.asyncDispose]: stop }
  } catch (error) {
    await stop()
    throw error
  }
}
