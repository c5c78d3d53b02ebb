// @needs redis
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { FENCE_UNKNOWN } from '../../src/cache/index.ts'
import { deferred } from '../support/deferred.ts'
import { type Actor, until, World } from '../support/world.ts'

let world: World

beforeAll(async () => {
  world = await World.create()
})

afterAll(() => world.close())

/** Not one byte of the file store can be written, for this process. */
function breakFiles({ off }: Actor): { end(): void } {
  const broken = new Error('broken')
  const spies = [
    vi.spyOn(off.inner, 'invalidate').mockRejectedValue(broken),
    vi.spyOn(off.inner, 'clear').mockRejectedValue(broken),
    vi.spyOn(off.ledger!, 'owe').mockRejectedValue(broken),
    vi.spyOn(off.ledger!, 'fence').mockRejectedValue(broken),
  ]
  return { end: () => spies.forEach((spy) => spy.mockRestore()) }
}

test('a set that a fence covers has reached Redis, not yet the file side: nothing moves over it', async () => {
  const writer = world.actor()
  const reader = world.actor()
  const key = world.key()
  await writer.offUser.set(key, 'v1')
  // A fence covers what may still be on its way to Redis, so for a moment it covers v2 too.
  const before = writer.on.now() + 200
  await reader.off.ledger!.fence('on', before)

  const mark = writer.off.hold('invalidate', 'before')
  const setting = writer.onUser.set(key, 'v2')
  await mark.reached
  await until('the fence covers no more', () => writer.on.now() > before)
  expect(await reader.onUser.get(key)).toBe('v1')
  mark.open()
  await setting

  for (const user of [reader.onUser, reader.offUser, writer.onUser, writer.offUser]) {
    expect(await user.get(key)).toBeUndefined()
  }
})

test.each(['set', 'delete', 'delete by a user of the old side'] as const)(
  'Redis takes a %s, loses it in a restart, and gets the old value back before the file side is told',
  async (act) => {
    const writer = world.actor()
    const reader = world.actor()
    const key = world.key()
    await writer.offUser.set(key, 'v1')

    const mark = writer.off.hold('invalidate', 'before')
    const sent = writer.on.hold(act === 'set' ? 'write' : 'invalidate', 'after')
    const deleter = act === 'delete' ? writer.onUser : writer.offUser
    const acting = act === 'set' ? writer.onUser.set(key, 'v2') : deleter.delete(key)
    await sent.reached
    sent.open()
    await mark.reached
    await world.redis.restart()
    await until('the old value is in Redis', async () => {
      expect(await reader.onUser.get(key)).toBe('v1')
      const cell = await Promise.resolve(reader.on.inner.read(key)).catch(() => undefined)
      return cell?.state === 'value'
    })
    mark.open()
    await acting

    for (const user of [reader.onUser, reader.offUser, writer.onUser, writer.offUser]) {
      expect(await user.get(key)).toBeUndefined()
    }
    await until('all is repaid', () => reader.cache.health().on.owed === 0)
    expect(await reader.onUser.get(key)).toBeUndefined()
  },
)

test.each(['set', 'delete'] as const)(
  'neither the file side nor the ledger takes a %s, and Redis, which took it, gets the old value back',
  async (act) => {
    const writer = world.actor()
    const reader = world.actor()
    const key = world.key()
    await writer.offUser.set(key, 'v1')
    const broken = breakFiles(writer)
    if (act === 'set') await writer.onUser.set(key, 'v2')
    else await writer.onUser.delete(key)
    expect(writer.cache.health()).toMatchObject({ off: { owed: 1 } })

    // Only the writer knows what the files owe: others move it to the Redis that has lost the write.
    await world.redis.command('FLUSHALL')
    await until('the old value is in Redis', async () => {
      await reader.onUser.get(key)
      return (await reader.on.inner.read(key)).state === 'value'
    })
    for (const user of [writer.onUser, writer.offUser]) expect(await user.get(key)).toBeUndefined()
    broken.end()
    await until('both sides were told', () => {
      const { off, on } = writer.cache.health()
      return off.owed === 0 && on.owed === 0
    })
    for (const user of [reader.onUser, reader.offUser, writer.onUser, writer.offUser]) {
      expect(await user.get(key)).toBeUndefined()
    }
  },
)

test('Redis takes a set, and the files do not: before that is noted, Redis loses it and gets their old value', async () => {
  const writer = world.actor()
  const reader = world.actor()
  const key = world.key()
  await writer.offUser.set(key, 'v1')
  const ledger = writer.off.ledger!
  const [noting, noted] = [deferred<void>(), deferred<void>()]
  const refused = vi.spyOn(writer.off.inner, 'write').mockRejectedValue(new Error('broken'))
  const owe = ledger.owe.bind(ledger)
  const owing = vi.spyOn(ledger, 'owe').mockImplementationOnce(async (...debt) => {
    noting.resolve()
    await noted.promise
    await owe(...debt)
  })
  const setting = writer.offUser.set(key, 'v2')
  await noting.promise
  await world.redis.command('FLUSHALL')
  await until('the old value is in Redis', async () => {
    await reader.onUser.get(key)
    return (await reader.on.inner.read(key)).state === 'value'
  })
  noted.resolve()
  await setting
  refused.mockRestore()
  owing.mockRestore()
  for (const user of [reader.onUser, reader.offUser, writer.onUser, writer.offUser]) {
    expect(await user.get(key)).toBeUndefined()
  }
})

test('a clear reaches neither side nor the ledger, and the old value changes sides before that is over', async () => {
  // The files keep nothing new for a deadline after it.
  const writer = world.actor({ machine: 'cleared' })
  const reader = world.actor({ machine: 'cleared' })
  const key = world.key()
  for (const { onUser } of [writer, reader]) await onUser.get(world.key())
  await writer.onUser.set(key, 'v1')
  const broken = breakFiles(writer)
  const cleared = vi.spyOn(writer.on.inner, 'clear').mockRejectedValue(new Error('cut off'))
  await writer.cache.clear()
  cleared.mockRestore()
  const fence = reader.off.now() + 2200
  await until('what may land has landed', () => reader.off.now() > fence)
  await until('the old value has moved to the files', async () => {
    await reader.offUser.get(key)
    return (await reader.off.inner.read(key)).state === 'value'
  })
  expect(await writer.offUser.get(key)).toBeUndefined()
  broken.end()
  await until('all know', () => reader.off.ledger!.fencedBefore('off') > fence)
  await until('Redis is in another era', () => {
    return reader.off.ledger!.fencedBefore('on') < reader.on.now() + 60_000
  })
  for (const user of [reader.onUser, reader.offUser, writer.onUser, writer.offUser]) {
    expect(await user.get(key)).toBeUndefined()
  }
})

test('too much to note, which the ledger does not take: the other side is distrusted with it', async () => {
  const writer = world.actor({ maxOwed: 0, machine: 'too much' })
  const reader = world.actor({ machine: 'too much' })
  const key = world.key()
  // The first meeting distrusts what was there before.
  for (const { onUser } of [writer, reader]) await onUser.get(world.key())
  await writer.offUser.set(key, 'v1')
  const broken = breakFiles(writer)
  await writer.onUser.delete(key)
  await until('Redis was told', () => writer.cache.health().on.owed === 0)
  await world.redis.command('FLUSHALL')
  await until('the old value is in Redis', async () => {
    await reader.onUser.get(key)
    return (await reader.on.inner.read(key)).state === 'value'
  })
  for (const user of [writer.onUser, writer.offUser]) expect(await user.get(key)).toBeUndefined()
  broken.end()
  await until('all know', () => {
    const { off, on } = writer.cache.health()
    return off.ok && on.ok
  })
  await until('Redis is in another era', () => {
    return reader.off.ledger!.fencedBefore('on') < reader.on.now() + 60_000
  })
  for (const user of [reader.onUser, reader.offUser, writer.onUser, writer.offUser]) {
    expect(await user.get(key)).toBeUndefined()
  }
})

test('a value read before Redis lost its successor is not moved there after', async () => {
  const mover = world.actor()
  const writer = world.actor()
  const key = world.key()
  // Only the file side knows it: Redis looks as if it had never heard of the key.
  await writer.offUser.set(key, 'v1')
  await world.redis.command('FLUSHALL')

  const found = mover.off.hold('read', 'after')
  const moving = mover.onUser.get(key)
  await found.reached
  await writer.onUser.set(key, 'v2')
  await world.redis.restart()
  await until('somebody has met the new Redis', async () => {
    await writer.onUser.get('another')
    return (
      (await Promise.resolve(mover.on.inner.read('another')).catch(() => undefined)) !== undefined
    )
  })
  found.open()
  expect(await moving).toBe('v1')
  for (const user of [mover.onUser, mover.offUser, writer.onUser, writer.offUser]) {
    // On a busy machine the set may reach the new Redis as well.
    expect(await user.get(key)).not.toBe('v1')
  }
})

test('what was owed before the clock of Redis stepped back is not settled by a fence made after', async () => {
  const { onUser, offUser, off, on } = world.actor()
  const key = world.key()
  await onUser.set(key, 'v1')
  // Redis was out when another process deleted the key.
  await off.ledger!.owe('on', key, on.now() + 60_000)
  await off.invalidate(key, { within: 1000 })
  // Then its clock stepped back by 5 s, and a failover raised a fence by that clock.
  await off.ledger!.fence('on', on.now() - 5000)
  expect(await onUser.get(key)).toBeUndefined()
  expect(await offUser.get(key)).toBeUndefined()
})

// A mirror leg is conditional on the standby's token alone. Where a later delete left no tombstone there
// but a fence (too much was owed, or the ledger could not be written), nothing refuses the leg.
test('a mirror that was held up does not put a deleted value over a fence', async () => {
  const key = world.key()
  const slow = world.actor({ standby: 'mirror' })
  // What the file side does not take in time is written off at once.
  const other = world.actor({ standby: 'mirror', deadlineMs: 50, maxOwed: 0 })
  await other.onUser.get(key)

  const own = slow.on.hold('read', 'after')
  await slow.onUser.set(key, 'old', { ttl: '10m' })
  await own.reached

  // Stands for a file store that takes no write now, e.g. a full disk: the side is fenced instead.
  const hung = other.off.hold('invalidate', 'before')
  await other.onUser.delete(key)
  expect(other.events.map(({ type }) => type)).toContain('fenced')
  const fence = slow.off.ledger!.fencedBefore('off')
  await until('the fence has passed', () => slow.off.now() > fence)

  own.open()
  await slow.cache.close()
  const reader = world.actor()
  expect(await reader.offUser.get(key)).toBeUndefined()
  hung.open()
})

test('a load that was held up does not put a deleted value over a fence', async () => {
  const [loader, other] = [world.actor(), world.actor({ deadlineMs: 50, maxOwed: 0 })]
  const key = world.key()
  await other.onUser.get(key)
  const [load, started] = [deferred<string>(), deferred<void>()]
  const loading = loader.offUser.getOrSet(key, () => {
    started.resolve(undefined)
    return load.promise
  })
  await started.promise
  // The file side does not take the delete, and a fence is all that tells of it.
  const hung = other.off.hold('invalidate', 'before')
  await other.onUser.delete(key)
  const fence = loader.off.ledger!.fencedBefore('off')
  await until('the fence has passed', () => loader.off.now() > fence)
  load.resolve('v1')
  expect(await loading).toBe('v1')
  expect(await loader.offUser.get(key)).toBeUndefined()
  hung.open()
})

// A fence covers what may land within the deadline of the process that raised it.
test.each(['load', 'move', 'mirror'] as const)(
  'a %s that waits for its turn in the file store is not stored when a fence has passed meanwhile',
  async (act) => {
    const slow = world.actor({ standby: act === 'mirror' ? 'mirror' : 'invalidate' })
    const other = world.actor({ deadlineMs: { off: 50, on: 2000 }, maxOwed: 0 })
    const key = world.key()
    if (act === 'move') await slow.onUser.set(key, 'v1')
    else await other.onUser.get(key)
    const turn = slow.off.hold('write', 'before')
    let acting: Promise<unknown>
    if (act === 'mirror') acting = slow.onUser.set(key, 'v1')
    else if (act === 'move') acting = slow.offUser.get(key)
    else acting = slow.offUser.getOrSet(key, () => 'v1')
    await turn.reached
    const hung = other.off.hold('invalidate', 'before')
    await other.onUser.delete(key)
    const fence = other.off.ledger!.fencedBefore('off')
    await until('the fence has passed', () => slow.off.now() > fence)
    turn.open()
    await acting
    await slow.cache.close()
    expect(await world.actor().offUser.get(key)).toBeUndefined()
    hung.open()
  },
)

test('a fence in place of what is owed covers what lands after it, however long others take', async () => {
  const machine = 'written off'
  const loader = world.actor({ machine })
  const deleter = world.actor({ machine, deadlineMs: { off: 2000, on: 300 }, maxOwed: 0 })
  const [key, met] = [world.key(), world.key()]
  // Who has not met Redis does not know its clock, and leaves no time there.
  await until('the deleter has met Redis', async () => {
    await deleter.onUser.set(met, 'yes')
    return (await loader.onUser.get(met)) === 'yes'
  })
  const fill = loader.on.hold('write', 'before')
  const loading = loader.onUser.getOrSet(key, () => 'v1')
  await fill.reached
  const lost = deleter.on.hold('invalidate', 'before')
  await deleter.onUser.delete(key)
  const acknowledged = loader.on.now()
  await until('the deleter can have nothing under way any more', () => {
    return loader.on.now() > acknowledged + 450
  })
  fill.open()
  expect(await loading).toBe('v1')

  expect(await loader.onUser.get(key)).toBeUndefined()
  lost.open()
})

test('what is noted behind a fence, in the era that another process began there, is not written off', async () => {
  const machine = 'noted behind a fence'
  const deleter = world.actor({ machine, deadlineMs: { off: 2000, on: 300 }, maxOwed: 2 })
  const other = world.actor({ machine })
  const { on } = other
  const ledger = other.off.ledger!
  const [key, before] = [world.key(), world.key()]
  for (const { onUser } of [deleter, other]) await onUser.get(key)
  for (const one of [world.key(), world.key()]) await ledger.owe('on', one, on.now() + 60_000)
  const own = deleter.off.ledger!
  const raise = own.fence.bind(own)
  const [raised, goOn] = [deferred<void>(), deferred<void>()]
  let times = 0
  own.fence = async (...args) => {
    await raise(...args)
    times += 1
    if (times > 1) return
    raised.resolve()
    await goOn.promise
  }
  const lost = deleter.on.hold('invalidate', 'before')
  const deleting = deleter.onUser.delete(before)
  await raised.promise
  await until('its upkeep has seen to it that all know of the fence', () => times > 1)
  await until('an era has begun behind it', async () => {
    await other.onUser.set(key, 'v1')
    const isTrusted = ledger.fencedBefore('on') < FENCE_UNKNOWN
    return isTrusted && (await other.onUser.get(key)) === 'v1'
  })
  // Another process deletes it and does not reach Redis.
  await other.off.invalidate(key, { within: 1000 })
  await ledger.owe('on', key, on.now() + 60_000)
  goOn.resolve()
  await deleting

  expect(ledger.owes('on', key)).toBe(true)
  for (const { onUser } of [other, deleter]) expect(await onUser.get(key)).toBeUndefined()
  lost.open()
})

test('a load that missed before a distrust, which is over when it comes, is not stored beneath a later fence', async () => {
  const { offUser, off } = world.actor({ machine: 'came and went' })
  const ledger = off.ledger!
  const key = world.key()
  // A fence reaches as far as the deadline of who raised it.
  const before = off.now() + 300
  await ledger.fence('off', before)
  const [load, started] = [deferred<string>(), deferred<void>()]
  const loading = offUser.getOrSet(key, () => {
    started.resolve(undefined)
    return load.promise
  })
  await started.promise
  // Stands for a clear on a broken disk, and for another process that has a shorter one.
  await ledger.fence('off', FENCE_UNKNOWN)
  await ledger.replaceFence('off', ledger.fencedBefore('off'), off.now() + 1)
  await until('the fence has passed', () => off.now() > ledger.fencedBefore('off') + 1)
  load.resolve('v1')
  expect(await loading).toBe('v1')
  expect(await offUser.get(key)).toBeUndefined()
})

test('a distrust beneath the last fence is another fence all the same: a load that missed before it is not stored', async () => {
  const [reader, writer] = [world.actor(), world.actor()]
  const key = world.key()
  // Of a process that waits for longer.
  const fence = reader.off.inner.now() + 4000
  await writer.off.ledger!.fence('off', fence)
  const origin = deferred<string>()
  const load = vi.fn(() => origin.promise)
  const loading = reader.offUser.getOrSet(key, load)
  await until('it loads', () => load.mock.calls.length === 1)
  const broken = new Error('the disk is full')
  const spies = [
    vi.spyOn(writer.off.inner, 'invalidate').mockRejectedValue(broken),
    vi.spyOn(writer.off.ledger!, 'owe').mockRejectedValue(broken),
  ]
  await writer.onUser.delete(key)
  spies.forEach((spy) => spy.mockRestore())
  await until('the fence is past', () => reader.off.inner.now() > fence + 1)
  origin.resolve('old')
  await loading
  expect(await reader.offUser.get(key)).not.toBe('old')
})
