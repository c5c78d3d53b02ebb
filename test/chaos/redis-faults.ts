import { setTimeout as delay } from 'node:timers/promises'
import type { TestRedis } from '../support/redis-server.ts'
import type { TcpProxy } from '../support/tcp-proxy.ts'
import type { Fault, Faults, Scene } from './fault.ts'
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
  evict: {
    ...onOne(async ({ server, random }) => {
      const policy = pick(['volatile-ttl', 'allkeys-lru'], random)
      const used = /^used_memory:(\d+)/mu.exec(await server.command('INFO', 'memory'))?.[1]
      await server.command('CONFIG', 'SET', 'maxmemory-policy', policy)
      // Room for some keys, so that it chooses which.
      await server.command('CONFIG', 'SET', 'maxmemory', String(Number(used) - 2000))
      await delay(200 + random() * 800)
      await server.command('CONFIG', 'SET', 'maxmemory', '0')
      await server.command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction')
    }),
    apart: true,
  },
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
