import type { TestRedis } from '../support/redis-server.ts'

export interface ClusterNode {
  readonly id: string
  readonly port: number
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
    .map((line) => {
      const [id = '', address = '', , , , , , , ...ranges] = line.trim().split(' ')
      const port = Number(/:(\d+)@/u.exec(address)?.[1])
      const slots = ranges
        .filter((range) => !range.startsWith('['))
        .map((range) => range.split('-').map(Number))
        .map(([a = 0, b = a]) => [a, b] as const)
      return { id, port, slots }
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
  const heir = servers.find(({ port }) => port === masters[0]?.port)
  for (let slot = 0; slot < SLOTS; slot += 1) {
    if (owned.some(([from, to]) => from <= slot && slot <= to)) continue
    for (const server of servers) await server.command('CLUSTER', 'DELSLOTS', String(slot))
    await heir?.command('CLUSTER', 'ADDSLOTS', String(slot))
  }
}
