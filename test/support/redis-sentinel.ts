import { setTimeout as delay } from 'node:timers/promises'
import { startRedis, type TestRedis } from './redis-server.ts'
import { HUNG_MS } from './until.ts'

/** A real master, its replica and one Sentinel that fails over within about two seconds. */
export interface TestSentinel extends AsyncDisposable {
  readonly master: TestRedis
  readonly replica: TestRedis
  /** The name under which the Sentinel knows the master. */
  readonly name: string
  readonly sentinels: readonly { readonly host: string; readonly port: number }[]
  stop(): Promise<void>
}

export interface StartSentinelOptions {
  /** Added to the arguments of the two servers. */
  readonly args?: readonly string[]
  /** Added to their environment. */
  readonly env?: Readonly<Record<string, string>>
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
    const { args = [], env = {} } = options
    const server = { args: ['--repl-diskless-sync-delay', '0', ...args], env }
    const master = await startRedis(server)
    servers.push(master)
    const replica = await startRedis(server)
    servers.push(replica)
    // By a command, not an argument: after a promotion and a restart it must not come back as a replica
    // of what is its own replica by then.
    await replica.command('REPLICAOF', '127.0.0.1', String(master.port))
    const sentinel = await startRedis({
      sentinel: [
        `sentinel monitor ${NAME} 127.0.0.1 ${master.port} 1`,
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
    const sentinels = [{ host: '127.0.0.1', port: sentinel.port }]
    return { master, replica, name: NAME, sentinels, stop, [Symbol.asyncDispose]: stop }
  } catch (error) {
    await stop()
    throw error
  }
}
