// @needs redis
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { judgeBoot, formerBoots } from '../../src/cache/file/opening/machine.ts'
import { openSqlite, type Sqlite } from '../../src/cache/file/sqlite/sqlite.ts'
import type { CacheHealth } from '../../src/switch/index.ts'
import { type Actor, until, World } from '../support/world.ts'

let world: World

beforeAll(async () => {
  world = await World.create()
})
afterAll(() => world.close())
afterEach(() => vi.restoreAllMocks())

function databaseOf(machine: string): Sqlite {
  const directory = join(world.directory, machine)
  return openSqlite(
    join(
      directory,
      readdirSync(directory).find((name) => name.endsWith('.db'))!,
    ),
  )
}

/** Both sides take values and give them back. */
async function serves(
  { cache, onUser, offUser }: Actor,
  well: (health: CacheHealth) => boolean = ({ ok }) => ok,
): Promise<void> {
  await until('both sides serve', async () => {
    for (const user of [onUser, offUser]) {
      const key = world.key()
      await user.set(key, 1)
      if ((await user.get(key)) !== 1) return false
    }
    return well(cache.health())
  })
}

describe('one name, two caches', () => {
  test('two switches on one directory share nothing', async () => {
    const options = { machine: 'two names' }
    const profiles = world.actor({ ...options, name: 'profiles', prefix: 'profiles:' })
    const permissions = world.actor({ ...options, name: 'permissions', prefix: 'permissions:' })
    const key = world.key()
    await profiles.offUser.set(key, 'Ada')
    await profiles.onUser.set(key, 'Ada')
    expect(await permissions.offUser.get(key)).toBeUndefined()
    expect(await permissions.onUser.get(key)).toBeUndefined()
    // Nor do they where only the prefix differs.
    const other = world.actor({ ...options, name: 'profiles', prefix: 'other:' })
    expect(await other.offUser.get(key)).toBeUndefined()
  })

  test('one prefix with two file stores: each is told of the other, and follows what it writes', async () => {
    const prefix = 'two stores:'
    const key = world.key()
    const first = world.actor({ machine: 'store 1', prefix })
    await serves(first)
    await first.offUser.set(key, 'v1')
    const second = world.actor({ machine: 'store 2', prefix })
    await serves(second)
    for (const { cache, events } of [first, second]) {
      await until('it follows', () => cache.health().follower?.live === true)
      await until('it says so', () => events.some(({ type }) => type === 'others-met'))
    }
    await second.offUser.set(key, 'v2')
    const toldAt = performance.now()
    await until('the first was told', () => {
      const { live = false, lagMs = 0 } = first.cache.health().follower ?? {}
      return live && lagMs < performance.now() - toldAt - 1
    })
    expect(await first.offUser.get(key)).toBeUndefined()
  })
})

describe('the same server, other data', () => {
  test.each(['load', 'move'] as const)('FLUSHALL while a %s is under way', async (kind) => {
    const machine = `flushed ${kind}`
    const slow = world.actor({ machine })
    const other = world.actor({ machine })
    await serves(slow)
    await serves(other)
    const key = world.key()
    if (kind === 'move') {
      const entry = { payload: '"v1"', expiresAt: 9_000_000_000_000 }
      await other.off.inner.write(key, entry, { expect: '*', within: 500 })
    }
    const fill = slow.on.hold('write', 'before')
    const reading = kind === 'move' ? slow.onUser.get(key) : slow.onUser.getOrSet(key, () => 'v1')
    await fill.reached
    await other.onUser.delete(key)
    // The tombstone goes, and no connection breaks: the key looks as it did at the miss.
    await world.redis.command('FLUSHALL')
    fill.open()
    await reading
    for (const { onUser, offUser } of [other, slow]) {
      expect(await onUser.get(key)).toBeUndefined()
      expect(await offUser.get(key)).toBeUndefined()
    }
    await serves(slow)
    expect(await slow.onUser.get(key)).toBeUndefined()
  })

  test('FLUSHALL between the two legs of a set: the old value does not come back', async () => {
    const machine = 'flushed legs'
    const [writer, reader] = [world.actor({ machine }), world.actor({ machine })]
    await serves(writer)
    await serves(reader)
    const key = world.key()
    await writer.offUser.set(key, 'v1')
    const mark = writer.off.hold('invalidate', 'before')
    const setting = writer.onUser.set(key, 'v2')
    await mark.reached
    await world.redis.command('FLUSHALL')
    // Whoever misses in the new era may still find v1 in the file and move it.
    await until('somebody has heard of the new era', async () => {
      expect([undefined, 'v1']).toContain(await reader.onUser.get(key))
      return (await world.redis.command('EXISTS', `world ${machine}:#state`)) === '1'
    })
    await reader.onUser.get(key)
    mark.open()
    await setting
    for (const { onUser, offUser } of [writer, reader]) {
      expect(await onUser.get(key)).not.toBe('v1')
      expect(await offUser.get(key)).not.toBe('v1')
    }
  })
})

describe('clocks', () => {
  test('a clock that is set back by an hour: both sides go on, and nothing old comes back', async () => {
    const { onUser, offUser, off, cache } = world.actor({ machine: 'clock' })
    const actor = { onUser, offUser, off, cache } as Actor
    await serves(actor)
    const key = world.key()
    await offUser.set(key, 'v1')
    const now = Date.now.bind(Date)
    vi.spyOn(Date, 'now').mockImplementation(() => now() - 3_600_000)
    // As when the ledger takes no row: a fence by the present time must cover what was stamped before.
    await off.ledger!.fence('off', off.now() + 1)
    expect(await offUser.get(key)).toBeUndefined()
    await serves(
      actor,
      ({ on }) => on.owed === 0 && on.detail.startsWith('its clock is 3600 s ahead'),
    )
  })

  test('with a clock an hour behind Redis nothing lives there, and health does not say ok', async () => {
    const { onUser, offUser, cache } = world.actor({ machine: 'behind' })
    await serves({ onUser, offUser, cache } as Actor)
    expect(cache.health().on.detail).toBe('')
    const now = Date.now.bind(Date)
    vi.spyOn(Date, 'now').mockImplementation(() => now() - 3_600_000)
    const key = world.key()
    await onUser.set(key, 'v1', { ttl: '10m' })
    expect(await onUser.get(key)).toBeUndefined()
    expect(cache.health()).toMatchObject({
      ok: false,
      off: { ok: true },
      on: {
        ok: false,
        outSince: 0,
        detail: expect.stringMatching(/its clock is 3600 s ahead of .* too early/),
      },
    })
    vi.mocked(Date.now).mockImplementation(() => now() + 3_600_000)
    expect(cache.health().on.detail).toMatch(/its clock is 3600 s behind .* too late/)
    vi.mocked(Date.now).mockImplementation(now)
    expect(cache.health().ok).toBe(true)
  })

  test('a process that has not met Redis yet does not distrust it by the clock of the host', async () => {
    const now = Date.now.bind(Date)
    vi.spyOn(Date, 'now').mockImplementation(() => now() - 10_000)
    const machine = 'not met'
    const first = world.actor({ machine })
    await serves(first)
    const key = world.key()
    await first.onUser.set(key, 'v1')
    // Redis is out, and somebody holds the file store: what is pending cannot be written down.
    const database = databaseOf(machine)
    world.redis.freeze()
    const second = world.actor({ machine })
    await second.offUser.get(world.key())
    database.exec('BEGIN IMMEDIATE')
    const lost = second.on.hold('invalidate', 'before')
    await second.onUser.delete(key)
    database.exec('ROLLBACK')
    database.close()
    world.redis.thaw()
    await serves(first)
    expect(await first.onUser.get(key)).toBeUndefined()
    lost.open()
  })

  test('a fence far ahead of its clock is replaced, and health says so until then', async () => {
    for (const side of ['off', 'on'] as const) {
      const actor = world.actor({ machine: `ahead ${side}` })
      await serves(actor)
      const key = world.key()
      const user = side === 'off' ? actor.offUser : actor.onUser
      await user.set(key, 'v1')
      await actor.off.ledger!.fence(side, Date.now() + 3_600_000)
      expect(actor.cache.health()[side]).toMatchObject({ ok: false, detail: /ahead of its clock/ })
      await serves(actor)
      expect(await user.get(key)).toBeUndefined()
    }
  })
})

describe('which machine is this', () => {
  test('an id that cannot be read equals any, and one that comes back is another machine', () => {
    expect(judgeBoot('', 'b', 'a')).toBe('same')
    expect(judgeBoot('a', '', '')).toBe('same')
    expect(judgeBoot('b', 'b', 'a')).toBe('same')
    expect(judgeBoot('c', 'b', 'a')).toBe('restarted')
    expect(judgeBoot('a', 'b', 'a')).toBe('shared')
    expect(formerBoots('b', 'a')).toBe('b a')
    expect(formerBoots('', '')).toBe('')
    expect(formerBoots('j', 'i h g f e d c b a').split(' ')).toHaveLength(8)
  })

  test('two machines on one directory: the file side is out, Redis is left alone, health says it', async () => {
    const machine = 'shared directory'
    const first = world.actor({ machine })
    await serves(first)
    const key = world.key()
    await first.onUser.set(key, 'v1')
    await first.cache.close()
    // Another machine was here since, which began a store of its own.
    const database = databaseOf(machine)
    database.exec("UPDATE meta SET former_boots = boot_id, boot_id = 'another'")
    database.close()
    const second = world.actor({ machine })
    await until('health says it', async () => {
      expect(await second.onUser.get(key)).toBeUndefined()
      expect(await second.offUser.getOrSet(key, () => 'loaded')).toBe('loaded')
      const { off, on } = second.cache.health()
      return off.detail.includes('SB_DIRECTORY_SHARED') && on.detail.includes('SB_DIRECTORY_SHARED')
    })
    const cell = await world.redis.command('GET', `world ${machine}:${key}`)
    expect(cell).toContain('"v1"')
  })
})
