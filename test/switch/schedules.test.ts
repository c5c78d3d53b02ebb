// @needs redis
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { deferred } from '../support/deferred.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'
import { until, World } from '../support/world.ts'

/**
 * The model checker's counter-examples, walked step by step on a real Redis and a real file store. Each
 * is the shortest schedule that returns something stale when one mechanism is left out;
 * `npm run test:mutations` leaves each out and sees its schedule fail.
 */
let world: World

beforeAll(async () => {
  world = await World.create()
})

afterAll(async () => {
  await world.close()
})

describe('a slow reader cannot resurrect an old value', () => {
  test('tombstone and conditional fill: a back-fill that read v1 lands after v2 was set', async () => {
    const { offUser, onUser, on } = world.actor()
    const key = world.key()
    await offUser.getOrSet(key, () => 'v1')

    const fill = on.hold('write', 'before')
    const reading = onUser.get(key)
    await fill.reached
    await offUser.set(key, 'v2')
    fill.open()

    // It began before the write was acknowledged, so either answer is right; what comes after is not free.
    expect(['v1', 'v2']).toContain(await reading)
    expect(await onUser.get(key)).toBe('v2')
  })

  test('conditional fill: a loader that read v1 returns after v2 was set', async () => {
    const { onUser } = world.actor()
    const key = world.key()
    const load = deferred<string>()
    const started = deferred<void>()
    const loading = onUser.getOrSet(key, () => {
      started.resolve()
      return load.promise
    })
    await started.promise
    await onUser.set(key, 'v2')
    load.resolve('v1')
    expect(await loading).toBe('v1')
    expect(await onUser.get(key)).toBe('v2')
  })

  test('back-fill is barred over a tombstone: a delete has marked one side, not yet the other', async () => {
    const { offUser, onUser, on } = world.actor()
    const key = world.key()
    await onUser.set(key, 'v1')

    const mark = on.hold('invalidate', 'before')
    const deleting = offUser.delete(key)
    await mark.reached
    // The file side is marked, Redis still has v1: this reader must not carry it over the mark.
    await offUser.get(key)
    mark.open()
    await deleting

    expect(await offUser.get(key)).toBeUndefined()
    expect(await onUser.get(key)).toBeUndefined()
  })

  test('a tombstone outlives the loader: a load slower than half of its life is not stored', async () => {
    const { onUser } = world.actor({ tombstoneTtl: 200 })
    const key = world.key()
    const value = await onUser.getOrSet(key, async () => {
      await onUser.set(key, 'v2', { ttl: 1 })
      // Both the value and its tombstone are forgotten before this load ends.
      await new Promise((resolve) => setTimeout(resolve, 450))
      return 'v1'
    })
    expect(value).toBe('v1')
    expect(await onUser.get(key)).toBeUndefined()
  })
})

describe('the two sides never differ for ever', () => {
  test('own then other: two sets on different sides cross', async () => {
    const { offUser, onUser, off } = world.actor()
    const key = world.key()
    const own = off.hold('write', 'before')
    const setting = offUser.set(key, 'v2')
    await own.reached
    await onUser.set(key, 'v3')
    own.open()
    await setting
    expect(await onUser.get(key)).toBe(await offUser.get(key))
  })

  test('the decision is pinned: each operation asks the flag once', async () => {
    const { offUser, onUser, decider } = world.actor()
    const key = world.key()
    for (const user of [offUser, onUser]) {
      for (const run of [
        () => user.get(key),
        () => user.set(key, 1),
        () => user.getOrSet(key, () => 2),
        () => user.delete(key),
        () => user.getOrSet(key, () => 3),
        () => user.has(key),
      ]) {
        const before = decider.asked
        await run()
        expect(decider.asked - before).toBe(1)
      }
    }
  })

  test('mirror: both sides get the value of the later of two crossing sets', async () => {
    const { offUser, onUser, on, off, cache } = world.actor({ standby: 'mirror' })
    const key = world.key()
    // The mirror leg of v1 is held at the other side's door while v2 is set over there.
    const leg = on.hold('write', 'before')
    await offUser.set(key, 'v1')
    await leg.reached
    await onUser.set(key, 'v2')
    leg.open()
    await until('the mirror has settled', async () => {
      const [file, redis] = [await off.inner.read(key), await on.inner.read(key)]
      return redis.payload === '"v2"' && (file.payload === '"v2"' || file.state === 'tombstone')
    })
    expect(await offUser.get(key)).toBe('v2')
    expect(await onUser.get(key)).toBe('v2')
    expect(cache.health().ok).toBe(true)
  })

  test('expiry is absolute: moving over does not renew it', async () => {
    const { offUser, onUser, off, on } = world.actor()
    const key = world.key()
    await offUser.getOrSet(key, () => 'v1', { ttl: '1h' })
    const { expiresAt } = await off.inner.read(key)
    expect(await onUser.get(key)).toBe('v1')
    expect((await on.inner.read(key)).expiresAt).toBe(expiresAt)
  })

  test('a value that was just set moves over, because its tombstone names it', async () => {
    const { offUser, onUser } = world.actor()
    const key = world.key()
    await offUser.set(key, 'v1')
    expect(await onUser.get(key)).toBe('v1')
    await onUser.set(key, 'v2')
    expect(await offUser.get(key)).toBe('v2')
    await offUser.delete(key)
    expect(await onUser.get(key)).toBeUndefined()
    expect(await offUser.get(key)).toBeUndefined()
  })
})

describe('what Redis did not acknowledge is honoured', () => {
  test('the ledger: a set that Redis did not answer is not undone by its old value', async () => {
    const { onUser, offUser, cache, on } = world.actor({ deadlineMs: 100 })
    const key = world.key()
    await onUser.set(key, 'v1')
    world.redis.freeze()
    try {
      await onUser.set(key, 'v2')
      expect(await onUser.get(key)).toBe('v2')
    } finally {
      world.redis.thaw()
    }
    await until('Redis answers', async () => {
      try {
        await on.inner.ping()
        return true
      } catch {
        return false
      }
    })
    expect(await onUser.get(key)).toBe('v2')
    expect(await offUser.get(key)).toBe('v2')
    await until('the debt is repaid', () => cache.health().ok)
    // A repayment names no successor, so the key is loaded once more.
    expect(await onUser.get(key)).toBeUndefined()
    expect(await offUser.get(key)).toBe('v2')
  })

  test('every process of the machine consults the ledger, not only the one that owes', async () => {
    const p0 = world.actor({ deadlineMs: { on: 50 } })
    const p1 = world.actor()
    const key = world.key()
    await p0.onUser.set(key, 'v1')
    expect(await p1.onUser.get(key)).toBe('v1')
    // Only p0 loses Redis: its delete never arrives, and no replay gets through either.
    const lost = p0.on.hold('invalidate', 'before')
    await p0.onUser.delete(key)
    expect(await p1.onUser.get(key)).toBeUndefined()
    expect(await p1.onUser.getOrSet(key, () => 'v2')).toBe('v2')
    lost.open()
  })

  test('a load that began before a delete of another process is not joined after it', async () => {
    const p0 = world.actor()
    const p1 = world.actor()
    const key = world.key()
    let origin = 'v1'
    let finish = (): void => {}
    let loads = 0
    const load = async (): Promise<string> => {
      loads += 1
      const seen = origin
      if (loads === 1) {
        await new Promise<void>((resolve) => {
          finish = resolve
        })
      }
      return seen
    }
    const early = p1.onUser.getOrSet(key, load)
    await until('the first load runs', () => loads === 1)
    origin = 'v2'
    await p0.onUser.delete(key)
    const late = await p1.onUser.getOrSet(key, load)
    finish()
    await early
    expect(late).toBe('v2')
    expect(loads).toBe(2)
    expect(await p1.onUser.get(key)).toBe('v2')
  })

  test('owed again: who repaid the older debt does not settle the newer one', async () => {
    const machine = 'again'
    // Nothing of p0's reaches Redis; p1 and p2 repay what it owes, when they are let.
    await using path = await startTcpProxy(world.redis.port)
    const url = `redis://127.0.0.1:${path.port}`
    const p0 = world.actor({ machine, redisUrl: url })
    const p1 = world.actor({ machine, deadlineMs: 60_000 })
    const p2 = world.actor({ machine, deadlineMs: 60_000 })
    const key = world.key()
    await p2.onUser.set(key, 'v1')
    path.refuse()
    // A side that is out is owed at once: nothing of the write can be on its way.
    await until('p0 has given Redis up', async () => {
      await p0.onUser.get(key)
      return p0.cache.health().on.outSince > 0
    })

    const slow = p1.on.hold('invalidate', 'after')
    const quick = p2.on.hold('invalidate', 'before')
    await p0.offUser.delete(key)
    await Promise.all([slow.reached, quick.reached])
    // p1 has delivered the delete and does not know it yet; p2 delivers it too, and settles it.
    quick.open()
    await until('p2 has repaid it', () => p2.cache.health().on.owed === 0)
    await p2.onUser.set(key, 'v2')
    const never = p2.on.hold('invalidate', 'before')
    await p0.offUser.delete(key)
    slow.open()
    await until('p1 has repaid the second one', () => p2.cache.health().on.owed === 0)
    expect(await p2.onUser.get(key)).toBeUndefined()
    expect(await p2.offUser.get(key)).toBeUndefined()
    never.open()
  })
})

describe('late writes', () => {
  test('a set that lands late is not repaid before it can have landed', async () => {
    const machine = 'early'
    await using path = await startTcpProxy(world.redis.port)
    const url = `redis://127.0.0.1:${path.port}`
    const cut = world.actor({ redisUrl: url, machine, deadlineMs: { on: 40_000 } })
    const direct = world.actor({ machine })
    const key = world.key()
    await cut.onUser.set(key, 'v1')

    // The connection breaks long before the deadline: Redis may still get the set, and would take it.
    path.stall()
    await cut.onUser.set(key, 'v2')
    const looks = vi.spyOn(direct.off.ledger!, 'list')
    const rounds = (): number => looks.mock.calls.filter(([side]) => side === 'on').length
    await until('another process has looked twice for what it may repay, or has repaid it', () => {
      return rounds() > 2 || direct.cache.health().on.owed === 0
    })
    await direct.onUser.set(key, 'v3')
    path.resume()
    await until('it has landed', async () => (await direct.on.inner.read(key)).payload === '"v2"')
    expect(await direct.onUser.get(key)).toBe('v3')
    expect(await direct.offUser.get(key)).toBe('v3')
  })

  test('a set that lands late is refused: it was replaced, deleted and repaid meanwhile', async () => {
    await using path = await startTcpProxy(world.redis.port)
    const url = `redis://127.0.0.1:${path.port}`
    const slow = world.actor({ redisUrl: url, machine: 'late', deadlineMs: 100 })
    const direct = world.actor({ machine: 'late' })
    const key = world.key()
    await slow.onUser.set(key, 'v1')

    path.stall()
    await slow.onUser.set(key, 'v2')
    await until('another process has repaid it', () => direct.cache.health().on.owed === 0)
    await direct.onUser.set(key, 'v3')
    await direct.onUser.delete(key)
    path.resume()
    await until('the held bytes have landed', () => slow.cache.health().ok)
    expect(await direct.onUser.get(key)).toBeUndefined()
    expect(await slow.onUser.get(key)).toBeUndefined()
  })
})

describe('machines with file stores of their own', () => {
  test('fleet: an old file value does not move to the shared side', async () => {
    const [m1, m2] = [
      world.actor({ machine: 'a', prefix: 'fleet:', tombstoneTtl: 300 }),
      world.actor({ machine: 'b', prefix: 'fleet:', tombstoneTtl: 300 }),
    ]
    const key = world.key()
    await until('its file side has v1', async () => {
      await m2.offUser.getOrSet(key, () => 'v1')
      return (await m2.off.inner.read(key)).state === 'value'
    })
    await m1.onUser.set(key, 'v2', { ttl: 1 })
    // Until the trace of v2 is gone from Redis and v1 is older than any tombstone.
    await until('the trace of v2 is gone', async () => (await m1.on.inner.read(key)).token === '')
    // The machine that has v1, before it asks about it, and after.
    for (const user of [m2.onUser, m2.offUser, m2.onUser, m1.onUser]) {
      expect(await user.get(key)).toBeUndefined()
    }
  })

  test('fleet: a tombstone names the machine that holds the value, not another one', async () => {
    const m1 = world.actor({ machine: 'c', prefix: 'fleet:' })
    const m2 = world.actor({ machine: 'd', prefix: 'fleet:' })
    const key = world.key()
    await m2.offUser.getOrSet(key, () => 'v1')
    await m1.offUser.set(key, 'v2')
    expect(await m2.onUser.get(key)).toBeUndefined()
    expect(await m1.onUser.get(key)).toBe('v2')
    expect(await m2.onUser.get(key)).toBe('v2')
  })
})
