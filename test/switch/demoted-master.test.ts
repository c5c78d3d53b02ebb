// @needs redis
import { createServer, connect, type AddressInfo, type Socket } from 'node:net'
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { startRedis } from '../support/redis-server.ts'
import { until, World } from '../support/world.ts'

// A managed failover (ElastiCache, a virtual address, a manual REPLICAOF): the address names the new
// master, and the connections to the demoted one stay open. It answers reads, and writes with READONLY.
test('a connection to a demoted master is given up', async () => {
  const world = await World.create()
  const heir = await startRedis()
  let port = world.redis.port
  const sockets = new Set<Socket>()
  const address = createServer((socket) => {
    const to = connect(port, '127.0.0.1')
    for (const one of [socket, to]) sockets.add(one.on('error', () => {}))
    socket.pipe(to).pipe(socket)
    socket.on('close', () => to.destroy())
    to.on('close', () => socket.destroy())
  }).listen(0, '127.0.0.1')
  await once(address, 'listening')
  try {
    const redisUrl = `redis://127.0.0.1:${(address.address() as AddressInfo).port}`
    const { onUser, cache } = world.actor({ redisUrl, deadlineMs: 500 })
    await onUser.set('k', 'one', { ttl: '10m' })
    port = heir.port
    await world.redis.command('REPLICAOF', '127.0.0.1', String(heir.port))
    let count = 0
    await until(
      'writes reach the new master',
      async () => {
        await onUser.set('k', `two ${(count += 1)}`, { ttl: '10m' })
        await new Promise((done) => setTimeout(done, 50))
        // Its state alone is one key: the cell must be there too, and be read.
        if (!cache.health().on.ok || Number(await heir.command('DBSIZE')) < 2) return false
        return (await onUser.get('k')) === `two ${count}`
      },
      20_000,
    )
    // Redis serves it, not the file side in its place.
    expect(cache.health().on).toMatchObject({ ok: true, owed: 0 })
    expect(await onUser.get('k')).toBe(`two ${count}`)
  } finally {
    for (const socket of sockets) socket.destroy()
    await world.close()
    await heir.stop()
    address.close()
  }
}, 60_000)
