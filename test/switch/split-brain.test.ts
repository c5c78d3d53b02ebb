// @needs redis
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startRedis, type TestRedis } from '../support/redis-server.ts'
import { until, World } from '../support/world.ts'

let world: World
/** Has been made master in the place of the world's Redis, which does not know it. */
let promoted: TestRedis

beforeAll(async () => {
  world = await World.create()
  promoted = await startRedis()
})

afterAll(async () => {
  await world.close()
  await promoted.stop()
})

test('processes of one machine on different masters see nothing older than was acknowledged to any', async () => {
  const left = world.actor()
  const key = world.key()
  await left.onUser.set(key, 'before')
  expect(await left.onUser.get(key)).toBe('before')
  const moved = world.actor({ redisUrl: promoted.url })
  await until('the new master is met', async () => {
    await moved.onUser.get(key)
    return moved.events.some(({ type, side }) => type === 'fenced' && side === 'on')
  })
  for (let i = 0; i < 20; i += 1) {
    const [writer, reader] = i % 2 === 0 ? [left, moved] : [moved, left]
    await writer.onUser.set(key, `v${i}`)
    for (const user of [reader.onUser, reader.offUser, writer.onUser]) {
      expect([undefined, `v${i}`]).toContain(await user.get(key))
    }
  }
})

test('whoever was left behind is served by Redis again when it has reconnected', async () => {
  const left = world.actor({ machine: 'm2' })
  const key = world.key()
  await left.onUser.set(key, 'v1')
  // Met by a process that is gone: only the ledger knows of it.
  const gone = world.actor({ machine: 'm2', redisUrl: promoted.url })
  await until('the new master is met', async () => {
    await gone.onUser.get(key)
    return gone.events.some(({ type, side }) => type === 'fenced' && side === 'on')
  })
  await gone.cache.close()
  await until('it is served by Redis', async () => {
    await left.onUser.set(key, 'v2')
    const cell = await Promise.resolve(left.on.inner.read(key)).catch(() => undefined)
    return cell?.state === 'value' && left.cache.health().on.ok
  })
  expect(await left.onUser.get(key)).toBe('v2')
  expect(left.events.filter(({ type }) => type === 'fenced')).toMatchObject([{ side: 'on' }])
})

test('a machine whose files are gone has Redis begin another era: what was pending there is forgotten', async () => {
  const options = { prefix: 'emptied:' }
  const before = world.actor({
    ...options,
    machine: 'emptied 1',
    deadlineMs: { off: 2000, on: 50 },
  })
  const key = world.key()
  await before.onUser.set(key, 'v1')
  const held = before.on.hold('invalidate', 'before')
  await before.onUser.delete(key)
  expect(before.cache.health().on.owed).toBe(1)

  const after = world.actor({ ...options, machine: 'emptied 2' })
  expect(await after.onUser.get(key)).toBeUndefined()
  held.open()
})
