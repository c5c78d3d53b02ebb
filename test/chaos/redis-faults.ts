import { setTimeout as delay } from 'node:timers/promises'
import type { TestRedis } from '../support/redis-server.ts'
import type { TcpProxy } from '../support/tcp-proxy.ts'
import type { Fault, Faults, Scene } from './fault.ts'
import { until } from '../support/until.ts'
import { pick } from './random.ts'

/** One server, replica or not, and the way to it. */
interface Target {
  readonly server: TestRedis
  readonly proxy: TcpProxy
  readonly random: () => number
}

function onOne(strike: (target: Target) => Promise<void>): Fault {
  return {
    lane: 'redis',
    async strike({ redis, random }: Scene) {
      const i = Math.floor(random() * redis.servers.length)
      await strike({ server: redis.servers[i]!, proxy: redis.proxies[i]!, random })
    },
  }
}

/** What befalls one Redis server or the way to it. */
export const REDIS_FAULTS: Faults = {
  freeze: {
    lane: 'redis',
    async strike({ redis, random }) {
      const server = pick(redis.servers, random)
      server.freeze()
      // Mostly short; now and then long enough for a replica of a cluster to take over meanwhile.
      // Behind Sentinel that would be `splitBrain`.
      await delay(redis.topology === 'sentinel' ? random() * 350 : random() ** 3 * 3000)
      server.thaw()
    },
  },
  /**
   * A master hangs until its replica is promoted, and comes back: it takes the Sentinel some ten seconds
   * to demote it, and who is still connected to it does not see what the others write.
   */
  splitBrain: {
    lane: 'redis',
    topologies: ['sentinel'],
    async strike({ redis, random }) {
      const server = pick(redis.servers, random)
      server.freeze()
      await delay(1500 + random() * 1500)
      server.thaw()
    },
  },
  killEmpty: onOne(async ({ server, random }) => {
    await server.kill()
    await delay(random() * 500)
    await server.restart()
  }),
  killWithOldData: onOne(async ({ server, random }) => {
    const [beforeKill, beforeStart] = [random() * 300, random() * 300]
    await snapshot(server)
    await delay(beforeKill)
    await server.kill()
    await delay(beforeStart)
    await server.restart({ keepData: true })
  }),
  clientKill: onOne(async ({ server }) => {
    await server.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
  }),
  clientPause: onOne(async ({ server, random }) => {
    await server.command('CLIENT', 'PAUSE', String(Math.floor(random() * 400)), 'ALL')
  }),
  fullMemory: onOne(async ({ server, random }) => {
    await server.command('CONFIG', 'SET', 'maxmemory', '1')
    await delay(random() * 500)
    await server.command('CONFIG', 'SET', 'maxmemory', '0')
  }),
  stall: onOne(async ({ proxy, random }) => {
    proxy.stall()
    await delay(random() * 600)
    proxy.resume()
  }),
  cut: onOne(async ({ proxy }) => proxy.cut()),
  slow: onOne(async ({ proxy, random }) => {
    proxy.delay(random() * 150)
    await delay(500)
    proxy.delay(0)
  }),
  refuse: onOne(async ({ proxy, random }) => {
    proxy.refuse()
    await delay(random() * 600)
    proxy.accept()
  }),
  narrow: onOne(async ({ proxy, random }) => {
    proxy.limit(20_000 + random() * 200_000)
    await delay(500)
    proxy.limit(Number.POSITIVE_INFINITY)
  }),
  /** Many short outages: what is owed is repaid and owed again. */
  flap: onOne(async ({ server, random }) => {
    for (let i = 0; i < 4; i += 1) {
      const [out, well] = [110 + random() * 150, random() * 400]
      server.freeze()
      await delay(out)
      server.thaw()
      await delay(well)
    }
  }),
  /** Outages in which a few operations fail, too few for a breaker: they are repaid soon after. */
  hiccups: onOne(async ({ server, random }) => {
    for (let i = 0; i < 10; i += 1) {
      const [out, well] = [102 + random() * 40, 150 + random() * 500]
      server.freeze()
      await delay(out)
      server.thaw()
      await delay(well)
    }
  }),
  flushAll: onOne(async ({ server }) => {
    await server.command('FLUSHALL')
  }),
  /** Another database, empty the first time; later the one of some time ago. */
  swapDb: onOne(async ({ server }) => {
    await server.command('SWAPDB', '0', '1')
  }),
  forgetScripts: onOne(async ({ server }) => {
    await server.command('SCRIPT', 'FLUSH')
  }),
  evict: onOne(async ({ server, random }) => {
    const policy = pick(['volatile-ttl', 'allkeys-lru'], random)
    const used = /^used_memory:(\d+)/mu.exec(await server.command('INFO', 'memory'))?.[1]
    await server.command('CONFIG', 'SET', 'maxmemory-policy', policy)
    // Room for some keys, so that it chooses which.
    await server.command('CONFIG', 'SET', 'maxmemory', String(Number(used) - 2000))
    await delay(200 + random() * 800)
    await server.command('CONFIG', 'SET', 'maxmemory', '0')
    await server.command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction')
  }),
  /** An operator makes the live master a copy of one that lags, and takes it back. */
  replicaOf: {
    lane: 'redis',
    topologies: ['standalone'],
    needs: 'spare',
    async strike({ redis, spare, random }) {
      const [master, copy] = [redis.servers[0]!, spare!]
      const [lagging, asReplica] = [random() * 600, random() * 600]
      if (!(await follow(copy, master))) return
      await copy.command('REPLICAOF', 'NO', 'ONE')
      await delay(lagging)
      await follow(master, copy)
      await delay(asReplica)
      await master.command('REPLICAOF', 'NO', 'ONE')
    },
  },
}

const FOLLOW_MS = 4000

/** False: it did not come to it in time. */
async function follow(server: TestRedis, master: TestRedis): Promise<boolean> {
  await server.command('CONFIG', 'SET', 'repl-diskless-sync-delay', '0')
  await master.command('CONFIG', 'SET', 'repl-diskless-sync-delay', '0')
  await server.command('REPLICAOF', '127.0.0.1', String(master.port))
  const linked = async (): Promise<boolean> =>
    (await server.command('INFO', 'replication')).includes('master_link_status:up')
  return until('the copy follows', linked, FOLLOW_MS).then(
    () => true,
    () => false,
  )
}

/** While a replica is fed, its master cannot save. */
async function snapshot(server: TestRedis): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await server.snapshot()
    } catch (error) {
      if (attempt === 20 || !String(error).includes('in progress')) throw error
      await delay(50)
    }
  }
}
