import type { TestRedis } from '../support/redis-server.ts'
import { until } from '../support/until.ts'
import type { Faults } from './fault.ts'
import { clusterMasters, moveSlot } from './cluster-slots.ts'
import { pick } from './random.ts'
import { onServer } from './on-server.ts'
import type { RedisStage } from './stage.ts'

const PROMOTION_MS = 10_000

/** A replica takes over, and a slot moves. */
export const FAILOVER_FAULTS: Faults = {
  failover: {
    lane: 'redis',
    topologies: ['cluster', 'sentinel'],
    async strike({ redis, random }) {
      const [draw, keepData] = [random(), random() < 0.5]
      const masters = await serversSaying(redis, 'role:master')
      // Without a replica that follows it would be `killEmpty`.
      const followed = await serversSaying(redis, 'state=online')
      const victims = masters.filter((server) => followed.includes(server))
      const victim = victims[Math.floor(draw * victims.length)]
      if (victim === undefined) return
      await victim.kill()
      // Sentinel refuses a second one within some seconds: then this was a long outage.
      await until(
        'a replica takes over',
        async () => (await serversSaying(redis, 'role:master')).length >= masters.length,
        PROMOTION_MS,
      ).catch(() => undefined)
      await victim.restart({ keepData })
    },
  },
  plannedFailover: {
    lane: 'redis',
    topologies: ['cluster'],
    async strike({ redis, random }) {
      const draw = random()
      const replicas = await serversSaying(redis, 'role:slave')
      await replicas[Math.floor(draw * replicas.length)]?.command('CLUSTER', 'FAILOVER')
    },
  },
  /** A planned failover: the master is demoted, and still answers. */
  demote: {
    lane: 'redis',
    topologies: ['sentinel'],
    async strike({ redis }) {
      const { connection, sentinel } = redis
      const [master] = await serversSaying(redis, 'role:master')
      if (connection.kind !== 'sentinel' || master === undefined) return
      const { name } = connection
      // It refuses while another failover is under way, and for some seconds after one.
      const agreed = await onServer(sentinel!, (asked) =>
        asked.call('SENTINEL', 'FAILOVER', name),
      ).catch(() => undefined)
      if (agreed === undefined) return
      await until(
        'it is demoted',
        async () => (await serversSaying(redis, 'role:slave')).includes(master),
        PROMOTION_MS,
      ).catch(() => undefined)
    },
  },
  moveSlot: {
    lane: 'redis',
    topologies: ['cluster'],
    async strike({ redis, keys, random }) {
      const [key, draw, pauseMs] = [pick(keys, random), random(), random() * 200]
      const asked = redis.servers.find((server) => server.alive)
      const slot = Number(await asked?.command('CLUSTER', 'KEYSLOT', `chaos:${key}`))
      const nodes = await clusterMasters(redis.servers)
      const from = nodes.find(({ slots }) => slots.some(([a, b]) => a <= slot && slot <= b))
      const others = nodes.filter((node) => node !== from)
      const to = others[Math.floor(draw * others.length)]
      // Nobody owns it, or nobody else is up: a failover is under way.
      if (from === undefined || to === undefined) return
      await moveSlot({ slot, from, to, nodes, pauseMs }).catch(() => undefined)
    },
  },
}

/** Of themselves, as to replication. */
export async function serversSaying(
  { servers }: RedisStage,
  words: string,
): Promise<readonly TestRedis[]> {
  const told = await Promise.all(
    servers.map((server) =>
      server.alive ? server.command('INFO', 'replication').catch(() => '') : '',
    ),
  )
  return servers.filter((_, i) => told[i]!.includes(words))
}
