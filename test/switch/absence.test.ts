// @needs redis
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Actor, type ActorOptions, until, World } from '../support/world.ts'

let world: World

beforeAll(async () => {
  world = await World.create()
})
afterAll(() => world.close())

/** A process that has met Redis: it has read from it, which comes after asking who it is. */
async function begin(options: ActorOptions): Promise<Actor> {
  const actor = world.actor(options)
  await until('Redis serves', async () => {
    await actor.onUser.get(world.key())
    return actor.cache.health().on.ok && actor.on.calls.read > 0
  })
  return actor
}

/** The value is in a snapshot of Redis, and deleted since; no process runs any more. */
async function deletedBehindASnapshot(key: string, machine: string): Promise<void> {
  const actor = await begin({ machine })
  await actor.onUser.set(key, 'v1')
  await world.redis.snapshot()
  await actor.onUser.delete(key)
  await actor.cache.close()
}

describe('while no process of the machine runs', () => {
  test('Redis comes back with what was deleted: it is not believed', async () => {
    const key = world.key()
    await deletedBehindASnapshot(key, 'snapshot')
    await world.redis.kill()
    await world.redis.restart({ keepData: true })
    const later = await begin({ machine: 'snapshot' })
    expect(await later.onUser.get(key)).toBeUndefined()
    expect(later.events).toMatchObject([{ type: 'fenced', side: 'on' }])
    await later.onUser.set(key, 'v2')
    expect(await later.onUser.get(key)).toBe('v2')
    await later.cache.close()
    // It is known by now.
    const last = await begin({ machine: 'snapshot' })
    expect(await last.onUser.get(key)).toBe('v2')
    expect(last.events).toEqual([])
  })

  test('Redis stays as it is: what it holds is still good', async () => {
    const key = world.key()
    const actor = await begin({ machine: 'same' })
    await actor.onUser.set(key, 'v1')
    await actor.cache.close()
    const later = await begin({ machine: 'same' })
    expect(await later.onUser.get(key)).toBe('v1')
    expect(later.events).toEqual([])
  })

  test('a machine that never met Redis does not believe what it holds', async () => {
    const key = world.key()
    const actor = await begin({ machine: 'one' })
    await actor.onUser.set(key, 'v1')
    await actor.cache.close()
    // Its file store is deleted, and with it what Redis was never told.
    rmSync(join(world.directory, 'one'), { recursive: true })
    const later = await begin({ machine: 'one' })
    expect(await later.onUser.get(key)).toBeUndefined()
    expect(await later.onUser.getOrSet(key, () => 'v2')).toBe('v2')
    expect(await later.onUser.get(key)).toBe('v2')
  })

  test('nor does one whose files are deleted time and again: it is not taken for others', async () => {
    const key = world.key()
    for (const round of [1, 2, 3]) {
      const actor = await begin({ machine: 'again', deadlineMs: { off: 2000, on: 200 } })
      expect(await actor.onUser.get(key)).toBeUndefined()
      await actor.onUser.set(key, `v${round}`)
      world.redis.freeze()
      await actor.offUser.set(key, 'newer')
      expect(actor.cache.health().on.owed).toBe(1)
      await actor.cache.close()
      rmSync(join(world.directory, 'again'), { recursive: true })
      world.redis.thaw()
      expect(actor.events.map(({ type }) => type)).not.toContain('others-met')
    }
  })

  test('in a fleet it does: others would have to load all anew whenever a machine is added', async () => {
    const key = world.key()
    const options = { prefix: 'fleet of files:' }
    const first = await begin({ ...options, machine: 'two' })
    const second = await begin({ ...options, machine: 'three' })
    for (const { events } of [first, second]) {
      await until('they have met', () => events.some(({ type }) => type === 'others-met'))
    }
    await second.onUser.set(key, 'v1')
    const third = await begin({ ...options, machine: 'four' })
    expect(await third.onUser.get(key)).toBe('v1')
    expect(third.events.map(({ type }) => type)).toEqual(['others-met'])
  })
})
