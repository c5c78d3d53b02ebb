// @needs redis
import { createRequire } from 'node:module'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { deferred } from '../support/deferred.ts'
import { until, World } from '../support/world.ts'

/**
 * The kinds of fault that outside harnesses found in the first edition of the protocol, each by its
 * shortest schedule. All but the two that try what is new were seen to fail on dd24157.
 */
let world: World

beforeAll(async () => {
  world = await World.create()
})

afterAll(() => world.close())

test('a repayment does not undo a delete whose file leg is late', async () => {
  const deleter = world.actor({ machine: 'repay', deadlineMs: 60_000 })
  const other = world.actor({ machine: 'repay' })
  const key = world.key()
  // The first meeting distrusts what was there before.
  await other.onUser.get(world.key())
  await deleter.onUser.get(world.key())
  await other.offUser.getOrSet(key, () => 'v1')
  expect(await other.offUser.get(key)).toBe('v1')

  const late = deleter.off.hold('invalidate', 'before')
  const deleting = deleter.onUser.delete(key)
  await late.reached
  // Redis owes the key from an outage, and somebody repays it while the file still holds v1.
  await other.off.ledger!.owe('on', key, 0)
  await until('it is repaid', () => other.off.ledger!.count('on') === 0)
  // Legal: nothing is acknowledged yet. But v1 must not stay in Redis.
  await other.onUser.get(key)
  late.open()
  await deleting

  for (const user of [other.onUser, other.offUser, deleter.onUser]) {
    expect(await user.get(key)).toBeUndefined()
  }
})

test('what was noted as pending while the clocks were an hour ahead is repaid once they are right', async () => {
  const { off, onUser } = world.actor({ machine: 'clock put right' })
  const key = world.key()
  await onUser.set(key, 'v1')
  await off.ledger!.owe('on', key, Date.now() + 3_600_000)
  await until('it is repaid', () => off.ledger!.count('on') === 0)
  await onUser.set(key, 'v2')
  expect(await onUser.get(key)).toBe('v2')
})

describe('whoever began after a delete gets nothing from a load that began before it', () => {
  test('Redis restarted empty, so that the key looks as it did before', async () => {
    const loader = world.actor({ machine: 'join' })
    const deleter = world.actor({ machine: 'join' })
    const key = world.key()
    const [load, started] = [deferred<string>(), deferred<void>()]
    const early = loader.onUser.getOrSet(key, () => {
      started.resolve()
      return load.promise
    })
    await started.promise
    await deleter.onUser.delete(key)
    await world.redis.restart()
    await until('Redis serves the loader', async () => {
      const cell = await Promise.resolve(loader.on.inner.read(key)).catch(() => undefined)
      return cell?.state === 'absent' && loader.cache.health().on.ok
    })

    const late = loader.onUser.getOrSet(key, () => 'v2')
    await new Promise((resolve) => setTimeout(resolve, 20))
    load.resolve('v1')
    expect(await early).toBe('v1')
    expect(await late).toBe('v2')
  })

  test.each(['off', 'on'] as const)(
    'the delete left a fence on the %s side instead of a tombstone, and the fill from before it lands',
    async (side) => {
      const loader = world.actor({ machine: `fenced ${side}` })
      const deleter = world.actor({ machine: `fenced ${side}` })
      const key = world.key()
      const user = side === 'off' ? loader.offUser : loader.onUser
      await user.get(key)
      const missed = loader[side].calls.read
      const fill = loader[side].hold('write', 'before')
      const early = user.getOrSet(key, () => 'v1')
      await fill.reached
      // What a delete leaves that the side does not take.
      await deleter.off.ledger!.fence(side, deleter[side].now() + 1000)

      const late = user.getOrSet(key, () => 'v2')
      await until('it has missed', () => loader[side].calls.read === missed + 2)
      await new Promise((resolve) => setTimeout(resolve, 20))
      fill.open()
      expect(await early).toBe('v1')
      expect(await late).toBe('v2')
    },
  )

  test('the load outlived the tombstone', async () => {
    const loader = world.actor({ machine: 'outlived', tombstoneTtl: 100 })
    const deleter = world.actor({ machine: 'outlived', tombstoneTtl: 100 })
    const key = world.key()
    const [load, started] = [deferred<string>(), deferred<void>()]
    const early = loader.onUser.getOrSet(key, () => {
      started.resolve()
      return load.promise
    })
    await started.promise
    await deleter.onUser.delete(key)
    await until('nothing is left of it', async () => {
      return (await loader.on.inner.read(key)).token === ''
    })
    // Older than half a tombstone by now: nobody even waits for it. On a busy machine it may not be stored at once.
    await until('v2 is stored', async () => {
      expect(await loader.onUser.getOrSet(key, () => 'v2')).toBe('v2')
      return (await loader.on.inner.read(key)).payload === '"v2"'
    })
    load.resolve('v1')
    await early
    expect(await loader.onUser.get(key)).toBe('v2')
  })

  test('a value that could not be stored is read again, and loaded once for all who wait', async () => {
    const { onUser, on } = world.actor({ machine: 'unstored' })
    const key = world.key()
    const [load, started] = [deferred<string>(), deferred<void>()]
    const early = onUser.getOrSet(key, () => {
      started.resolve()
      return load.promise
    })
    await started.promise
    let loads = 0
    const late = Array.from({ length: 20 }, () =>
      onUser.getOrSet(key, async () => `v${(loads += 1)}`),
    )
    await until('all have missed', () => on.calls.read === 21)
    // Somebody else replaces and removes it: the token is another, the fill refused.
    await on.inner.invalidate(key, { within: 1000 })
    load.resolve('v0')
    expect(await early).toBe('v0')
    expect(new Set(await Promise.all(late))).toEqual(new Set(['v1']))
  })
})

describe('clear()', () => {
  test.each(['load', 'move'] as const)(
    'a %s on its way to Redis is not served after',
    async (kind) => {
      const machine = `clear ${kind}`
      const [slow, other] = [world.actor({ machine }), world.actor({ machine, deadlineMs: 1000 })]
      // Both have met the stores, whose first meeting distrusts what was there before.
      for (const { onUser, offUser } of [slow, other]) {
        await onUser.get(world.key())
        await offUser.get(world.key())
      }
      if (kind === 'move') {
        await until(
          'the file side is believed again',
          () => other.off.now() > other.off.ledger!.fencedBefore('off'),
        )
      }
      const fill = slow.on.hold('write', 'before')
      let key = ''
      let reading: Promise<unknown> = Promise.resolve()
      await until('something is on its way to Redis', async () => {
        key = world.key()
        if (kind === 'move') {
          await other.off.inner.write(
            key,
            { payload: '"v1"', expiresAt: 9e12 },
            { expect: '*', within: 500 },
          )
        }
        reading = kind === 'move' ? slow.onUser.get(key) : slow.onUser.getOrSet(key, () => 'v1')
        // On a busy machine Redis may be out just now: then nothing is stored there, and the next key is.
        return Promise.race([fill.reached.then(() => true), reading.then(() => false)])
      })
      await other.onUser.clear()
      fill.open()
      await reading
      const { ledger } = other.off
      await until(
        'both sides take values again',
        () =>
          other.on.now() > ledger!.fencedBefore('on') && Date.now() > ledger!.fencedBefore('off'),
      )
      expect(await other.onUser.get(key)).toBeUndefined()
      expect(await other.offUser.get(key)).toBeUndefined()
    },
  )

  test.each([
    ['a value of files that are emptied late', false],
    ['a value that the files took in that very millisecond', true],
  ] as const)('%s does not move to Redis, which was cleared before', async (_, still) => {
    const machine = `clear late ${still}`
    const [slow, other] = [world.actor({ machine }), world.actor({ machine })]
    const key = world.key()
    for (const { onUser } of [slow, other]) await onUser.get(world.key())
    const clock = still ? vi.spyOn(Date, 'now').mockReturnValue(Date.now()) : undefined
    await slow.offUser.getOrSet(key, () => 'v1')
    expect(await slow.offUser.get(key)).toBe('v1')

    const goesOn = deferred<void>()
    const empty = other.off.inner.clear.bind(other.off.inner)
    vi.spyOn(other.off.inner, 'clear').mockImplementationOnce(async () => {
      await goesOn.promise
      return empty()
    })
    const era = other.on.era()
    const clearing = other.cache.clear()
    // The first fences stand.
    clock?.mockRestore()
    await until('Redis has been cleared, and both know', async () => {
      await slow.onUser.get(world.key())
      return other.on.era() !== era && slow.on.era() === other.on.era()
    })
    const fill = slow.on.hold('write', 'before')
    const reading = slow.onUser.get(key)
    await Promise.race([fill.reached, reading])
    goesOn.resolve(undefined)
    await clearing
    fill.open()
    await reading
    expect(await slow.onUser.get(key)).toBeUndefined()
  })
})

describe('retire', () => {
  test('a process that no longer reads the old side still tells it', async () => {
    const machine = 'retire'
    const before = world.actor({ machine, deadlineMs: 500 })
    await before.onUser.get(world.key())
    const key = world.key()
    await before.offUser.set(key, 'v1')
    expect(await before.onUser.get(key)).toBe('v1')
    const retired = world.actor({ machine, retire: 'off', deadlineMs: 500 })
    await retired.onUser.get(world.key())
    await retired.offUser.set(key, 'v2')
    expect(await before.onUser.get(key)).toBe('v2')
    expect(await before.offUser.get(key)).toBe('v2')

    world.redis.freeze()
    try {
      await retired.offUser.set(key, 'v3')
      await retired.offUser.delete(`${key} too`)
      expect([undefined, 'v3']).toContain(await before.onUser.get(key))
      expect([undefined, 'v3']).toContain(await before.offUser.get(key))
    } finally {
      world.redis.thaw()
    }
    await until('all is well again', () => before.cache.health().ok && retired.cache.health().ok)
    expect([undefined, 'v3']).toContain(await retired.offUser.get(key))
  })

  test('the flag is not asked, and the retired side is never read', async () => {
    const { offUser, decider, on, off } = world.actor({ machine: 'retired', retire: 'off' })
    const key = world.key()
    await off.inner.write(key, { payload: '"old"', expiresAt: 9e12 }, { expect: '*', within: 500 })
    expect(await offUser.get(key)).toBeUndefined()
    expect(await offUser.getOrSet(key, () => 'v1')).toBe('v1')
    expect(await offUser.get(key)).toBe('v1')
    expect(decider.asked).toBe(0)
    expect(off.calls.read).toBe(0)
    expect(on.calls.read).toBeGreaterThan(0)
    expect(() => world.actor({ retire: 'neither' as 'off' })).toThrow(
      expect.objectContaining({ code: 'SB_OPTION_INVALID' }),
    )
    expect(() => world.actor({ standby: 'only-on' as 'mirror' })).toThrow(
      expect.objectContaining({ code: 'SB_OPTION_INVALID' }),
    )
  })
})

test('another process is frozen in a transaction of the file store: writes do not wait for it', async () => {
  const machine = 'frozen'
  // The store's own patience would outlast this test.
  const options = { machine, busyTimeout: 60_000, deadlineMs: { off: 100, on: 2000 } }
  const writer = world.actor(options)
  const reader = world.actor(options)
  const keys = Array.from({ length: 20 }, () => world.key())
  for (const key of keys) await writer.offUser.set(key, 'v1')
  await writer.onUser.get(world.key())
  const Sqlite = createRequire(import.meta.url)('libsql') as new (path: string) => {
    exec(sql: string): void
    close(): void
  }
  const frozen = new Sqlite(
    join(world.directory, machine, databaseIn(join(world.directory, machine))),
  )
  frozen.exec('BEGIN IMMEDIATE')
  try {
    for (const [i, key] of keys.entries()) {
      const user = i % 3 === 0 ? writer.offUser : writer.onUser
      await (i % 2 === 0 ? user.set(key, 'v2') : user.delete(key))
    }
    for (const key of keys) {
      for (const user of [reader.offUser, reader.onUser, writer.offUser, writer.onUser]) {
        expect([undefined, 'v2']).toContain(await user.get(key))
      }
    }
  } finally {
    frozen.exec('ROLLBACK')
    frozen.close()
  }
  await until('all is well again', () => writer.cache.health().ok && reader.cache.health().ok)
  for (const key of keys) {
    for (const user of [reader.offUser, reader.onUser]) {
      expect([undefined, 'v2']).toContain(await user.get(key))
    }
  }
})

/** The database of the machine's file store. */
function databaseIn(directory: string): string {
  return readdirSync(directory).find((file) => file.endsWith('.db'))!
}
