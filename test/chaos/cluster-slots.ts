import { setTimeout as delay } from 'node:timers/promises'
import type { TestRedis } from '../support/redis-server.ts'
import { onServer } from './on-server.ts'

export interface ClusterNode {
  readonly id: string
  readonly server: TestRedis
  readonly slots: readonly (readonly [number, number])[]
}

/** The masters that are well, as one of the servers sees them. */
export async function clusterMasters(
  servers: readonly TestRedis[],
): Promise<readonly ClusterNode[]> {
  const asked = servers.find((server) => server.alive)
  const lines = (await asked?.command('CLUSTER', 'NODES').catch(() => ''))?.split('\n') ?? []
  return lines
    .filter((line) => line.includes('master') && !line.includes('fail'))
    .flatMap((line) => {
      const [id = '', address = '', , , , , , , ...ranges] = line.trim().split(' ')
      const port = Number(/:(\d+)@/u.exec(address)?.[1])
      const server = servers.find((one) => one.port === port)
      const slots = ranges
        .filter((range) => !range.startsWith('['))
        .map((range) => range.split('-').map(Number))
        .map(([a = 0, b = a]) => [a, b] as const)
      return server === undefined ? [] : [{ id, server, slots }]
    })
}

const SLOTS = 16_384

/**
 * Ends moves that a failover has crossed and gives away what nobody owns, as `redis-cli --cluster fix`
 * does: who imports a slot does not believe others about its owner.
 */
export async function mendSlots(servers: readonly TestRedis[]): Promise<void> {
  for (const server of servers) {
    const nodes = await server.command('CLUSTER', 'NODES')
    for (const [, slot = ''] of nodes.matchAll(/\[(\d+)-[<>]-/gu)) {
      await server.command('CLUSTER', 'SETSLOT', slot, 'STABLE')
    }
  }
  const masters = await clusterMasters(servers)
  const owned = masters.flatMap(({ slots }) => slots)
  const heir = masters[0]?.server
  for (let slot = 0; slot < SLOTS; slot += 1) {
    if (owned.some(([from, to]) => from <= slot && slot <= to)) continue
    for (const server of servers) await server.command('CLUSTER', 'DELSLOTS', String(slot))
    await heir?.command('CLUSTER', 'ADDSLOTS', String(slot))
  }
}

export interface Move {
  readonly slot: number
  readonly from: ClusterNode
  readonly to: ClusterNode
  readonly nodes: readonly ClusterNode[]
  readonly pauseMs: number
}

/** As `redis-cli --cluster reshard` does it. */
export async function moveSlot({ slot, from, to, nodes, pauseMs }: Move): Promise<void> {
  await onServer(to.server, (redis) => redis.cluster('SETSLOT', slot, 'IMPORTING', from.id))
  await onServer(from.server, async (redis) => {
    await redis.cluster('SETSLOT', slot, 'MIGRATING', to.id)
    await delay(pauseMs)
    for (;;) {
      const keys = (await redis.cluster('GETKEYSINSLOT', slot, 10)) as string[]
      if (keys.length === 0) break
      await redis.migrate(to.server.host, to.server.port, '', 0, 1000, 'REPLACE', 'KEYS', ...keys)
    }
  })
  for (const { server } of [to, from, ...nodes.filter((node) => node !== to && node !== from)]) {
    await onServer(server, (redis) => redis.cluster('SETSLOT', slot, 'NODE', to.id))
  }
}
