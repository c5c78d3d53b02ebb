// @needs redis
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { type CacheBackend, fileCache, redisCache } from '../../src/cache/index.ts'
import { type CacheSwitch, createCacheSwitch, type SwitchEvent } from '../../src/switch/index.ts'
import { SmallDisk } from '../support/file-disk.ts'
import { FixedDecider } from '../support/fixed-decider.ts'
import { startRedis, type TestRedis } from '../support/redis-server.ts'
import { until } from '../support/world.ts'

const disk = SmallDisk.mount(16)
const closers: (() => Promise<void> | void)[] = []

afterAll(() => disk?.unmount())

afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

interface Machine {
  readonly redis: TestRedis
  readonly events: SwitchEvent[]
  process(): CacheSwitch
}

async function machine(directory: string): Promise<Machine> {
  const redis = await startRedis()
  closers.push(() => redis.stop())
  const events: SwitchEvent[] = []
  return {
    redis,
    events,
    process() {
      const cache = createCacheSwitch({
        flag: 'use-redis',
        decider: new FixedDecider({ 'on-user': 'on' }),
        off: fileCache({ directory }) as CacheBackend,
        on: redisCache({ url: redis.url }),
        deadlineMs: 2000,
        onEvent: (event) => events.push(event),
      })
      closers.push(() => cache.close())
      return cache
    },
  }
}

describe.skipIf(disk === undefined)('the file store out', () => {
  test('its disk is full: nobody fails, Redis users are unaffected, and it recovers by itself', async () => {
    const { process: start, events } = await machine(`${disk!.path}/store`)
    const cache = start()
    const onUser = cache.for({ targetingKey: 'on-user' })
    const offUser = cache.for({ targetingKey: 'off-user' })
    await onUser.set('mine', 'v1')
    await offUser.set('theirs', 'v1')

    disk!.fill()
    try {
      // Large enough to need room that is not there.
      const big = (version: string): string => version.padEnd(200_000, '.')
      await onUser.set('mine', big('v2'))
      expect(await onUser.get('mine')).toBe(big('v2'))
      await offUser.set('theirs', big('v2'))
      expect([undefined, big('v2')]).toContain(await offUser.get('theirs'))
      expect(await offUser.getOrSet('new', () => 'loaded')).toBe('loaded')
      expect(await offUser.get('mine')).not.toBe('v1')
      await onUser.delete('theirs')
      expect(await offUser.get('theirs')).toBeUndefined()
      expect(await onUser.get('theirs')).toBeUndefined()
    } finally {
      disk!.free()
    }
    await until('the file store takes writes again', async () => {
      await offUser.set('again', 'v3')
      const info: string[] = []
      const view = cache.for(
        { targetingKey: 'off-user' },
        { onOperation: ({ servedBy }) => info.push(servedBy) },
      )
      return (await view.get('again')) === 'v3' && info[0] === 'off'
    })
    expect(await offUser.get('theirs')).toBeUndefined()
    expect(await offUser.get('mine')).not.toBe('v1')
    expect(events.length).toBeLessThan(40)
  })

  test('a process that starts on the full disk cannot note what is pending, but all know that something is', async () => {
    const { process: start, redis } = await machine(`${disk!.path}/started-full`)
    const before = start()
    for (const key of ['set', 'deleted', 'untouched']) {
      await before.for({ targetingKey: 'off-user' }).set(key, 'v1')
    }
    disk!.fill()
    try {
      await redis.kill()
      const after = start()
      for (const user of ['on-user', 'off-user']) {
        const mine = after.for({ targetingKey: user })
        await mine.set('set', 'v2')
        await mine.delete('deleted')
        for (const reader of ['on-user', 'off-user']) {
          const theirs = before.for({ targetingKey: reader })
          expect(await theirs.get('set'), `${reader} after ${user}`).not.toBe('v1')
          expect(await theirs.get('deleted'), `${reader} after ${user}`).toBeUndefined()
        }
      }
    } finally {
      disk!.free()
    }
    await redis.restart()
    await until('the file side is trusted again', async () => {
      const mine = before.for({ targetingKey: 'off-user' })
      await mine.set('again', 'v3')
      let servedBy = ''
      const view = before.for(
        { targetingKey: 'off-user' },
        { onOperation: (operation) => (servedBy = operation.servedBy) },
      )
      return (await view.get('again')) === 'v3' && servedBy === 'off'
    })
    for (const reader of ['on-user', 'off-user']) {
      const theirs = before.for({ targetingKey: reader })
      expect(await theirs.get('set')).not.toBe('v1')
      expect(await theirs.get('deleted')).toBeUndefined()
    }
  })
})
