// @needs redis
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { CacheNamespace } from '../../src/cache/index.ts'
import type { Decision } from '../../src/flags/index.ts'
import { createTelemetry } from '../../src/telemetry/index.ts'
import { deferred } from '../support/deferred.ts'
import type { GatedBackend } from '../support/gated-backend.ts'
import { until, World } from '../support/world.ts'

let world: World

beforeAll(async () => {
  world = await World.create()
})

afterAll(async () => {
  await world.close()
})

describe('Redis out', () => {
  for (const [name, fail, mend] of [
    ['hung', () => world.redis.freeze(), () => world.redis.thaw()],
    ['killed', () => world.redis.kill(), () => world.redis.restart()],
  ] as const) {
    test(`${name}: every operation is answered, the breaker opens, and all is well afterwards`, async () => {
      const { onUser, offUser, cache, events } = world.actor({ machine: name, deadlineMs: 100 })
      const key = world.key()
      await onUser.set(key, 'v1')
      await fail()
      try {
        for (let i = 0; i < 8; i += 1) expect([undefined, 'v1']).toContain(await onUser.get(key))
        expect(events.map(({ type }) => type)).toContain('side-out')
        const { ok, on } = cache.health()
        expect({ ok, on }).toMatchObject({ ok: false, on: { ok: false, backend: 'redis' } })
        expect(on.outSince).toBeGreaterThan(0)

        await onUser.set(key, 'v2')
        expect(await onUser.get(key)).toBe('v2')
        expect(await onUser.getOrSet(world.key(), () => 'loaded')).toBe('loaded')
        expect(await offUser.get(key)).toBe('v2')
        expect(await onUser.delete(key)).toBe(true)
        expect(await offUser.get(key)).toBeUndefined()
        expect(cache.health().on.owed).toBeGreaterThan(0)
      } finally {
        await mend()
      }
      await until('nothing is owed and the side is back', () => cache.health().ok)
      // A server that was restarted is fenced, which settles what it owed.
      const settled = name === 'hung' ? 'repaid' : 'fenced'
      expect(events.map(({ type }) => type)).toEqual(
        expect.arrayContaining(['side-out', 'side-back', settled]),
      )
      expect(await onUser.get(key)).toBeUndefined()
      await onUser.set(key, 'v3')
      expect(await offUser.get(key)).toBe('v3')
    })
  }

  test('a namespace keeps what users of the other side have in it, when it begins and when it ends', async () => {
    const { onUser, offUser, off, on, cache } = world.actor({
      machine: 'namespace',
      deadlineMs: 100,
    })
    const parts = [offUser, onUser].map((user) => user.namespace('profiles'))
    const [files] = parts as [CacheNamespace]
    const keys = Array.from({ length: 10 }, () => world.key())
    let loads = 0
    const load = (): number => (loads += 1)
    const all = (): Promise<unknown> => Promise.all(keys.map((key) => files.getOrSet(key, load)))
    const generations = (): Promise<readonly string[]> =>
      Promise.all([on, off].map(async (side) => (await side.read('profiles:#generation')).payload))
    // On a busy machine the first may be out.
    await until('both have the generation', async () => {
      await all()
      const [one, other] = await generations()
      return one !== '' && one === other && cache.health().ok
    })
    loads = 0
    world.redis.freeze()
    try {
      await until('the side is out', async () => {
        await onUser.get('any')
        return !cache.health().on.ok
      })
      await all()
    } finally {
      world.redis.thaw()
    }
    await until('the side is back', () => cache.health().ok)
    await all()
    expect(loads).toBe(0)
    await parts[1]!.clear()
    for (const part of parts) expect(await part.get(keys[0]!)).toBeUndefined()
  })

  test('it is noticed while nobody uses it, and so is its return', async () => {
    const { cache, events } = world.actor({ machine: 'idle', deadlineMs: 100 })
    await world.redis.kill()
    await until('health says so', () => !cache.health().on.ok)
    expect(cache.health().on.detail).not.toBe('')
    expect(cache.health().off.ok).toBe(true)
    await world.redis.restart()
    await until('health says that it is back', () => cache.health().ok)
    expect(events.map(({ type }) => type)).toEqual(
      expect.arrayContaining(['side-out', 'side-back']),
    )
  })

  test('what is owed outlives the process that owes it', async () => {
    const first = world.actor({ machine: 'heir', deadlineMs: 100 })
    const key = world.key()
    await first.onUser.set(key, 'v1')
    await world.redis.kill()
    await first.onUser.delete(key)
    await first.cache.close()
    await world.redis.restart({ keepData: true })
    const second = world.actor({ machine: 'heir', deadlineMs: 100 })
    expect(await second.onUser.get(key)).toBeUndefined()
    await until('the heir has repaid', () => second.cache.health().on.owed === 0)
    expect(await second.onUser.get(key)).toBeUndefined()
  })

  test('when too much is pending, one fence distrusts everything older instead', async () => {
    const { onUser, cache, events } = world.actor({
      machine: 'overflow',
      maxOwed: 20,
      deadlineMs: 100,
    })
    const keys = Array.from({ length: 40 }, () => world.key())
    for (const key of keys) await onUser.set(key, 'v1')
    world.redis.freeze()
    try {
      for (const key of keys) await onUser.delete(key)
      expect(events.map(({ type }) => type)).toContain('fenced')
      expect(cache.health().on.owed).toBeLessThanOrEqual(21)
    } finally {
      world.redis.thaw()
    }
    await until('the side is back', () => cache.health().ok)
    for (const key of keys) expect(await onUser.get(key)).toBeUndefined()
    // The fence covers what might still have landed: for a moment after it, new values count as old.
    await until('the side is of use again', async () => {
      await onUser.set(keys[0]!, 'v2')
      return (await onUser.get(keys[0]!)) === 'v2'
    })
  })

  test('a restart with old data is distrusted before it serves', async () => {
    const { onUser, cache } = world.actor({ machine: 'snapshot' })
    const [deleted, changed] = [world.key(), world.key()]
    await onUser.set(deleted, 'v1')
    await onUser.set(changed, 'v1')
    await world.redis.snapshot()
    await onUser.delete(deleted)
    await onUser.set(changed, 'v2')
    await world.redis.kill()
    await world.redis.restart({ keepData: true })
    await until('the side is back', () => cache.health().ok)
    expect(await onUser.get(deleted)).toBeUndefined()
    expect(await onUser.get(changed)).toBeUndefined()
  })

  test('full memory: deletes hold although no tombstone finds room', async () => {
    const full = await World.create(['--maxmemory', '3mb', '--maxmemory-policy', 'noeviction'])
    try {
      const { onUser, offUser } = full.actor()
      const keys = Array.from({ length: 60 }, () => full.key())
      const big = 'x'.repeat(100_000)
      for (const key of keys) await onUser.set(key, big)
      for (const key of keys) await onUser.delete(key)
      for (const key of keys) {
        expect(await onUser.get(key)).toBeUndefined()
        expect(await offUser.get(key)).toBeUndefined()
      }
    } finally {
      await full.close()
    }
  })

  test('the origin is asked once a key and never by more than its cap at once', async () => {
    const { onUser } = world.actor({ machine: 'cap', originConcurrency: 4 })
    let running = 0
    let most = 0
    let loads = 0
    const load = async (): Promise<string> => {
      loads += 1
      running += 1
      most = Math.max(most, running)
      await new Promise((resolve) => setTimeout(resolve, 5))
      running -= 1
      return 'value'
    }
    const keys = Array.from({ length: 20 }, () => world.key())
    await Promise.all(
      keys.flatMap((key) => Array.from({ length: 10 }, () => onUser.getOrSet(key, load))),
    )
    expect(loads).toBe(keys.length)
    expect(most).toBeLessThanOrEqual(4)
  })
})

describe('the switch as its users see it', () => {
  test('values of every JSON shape, and each caller gets a copy of its own', async () => {
    const { offUser, onUser } = world.actor()
    for (const value of [null, 0, '', false, [], {}, { a: [1, { b: null }] }, 'ä\u0000😀']) {
      const key = world.key()
      await offUser.set(key, value)
      expect(await onUser.get(key)).toEqual(value)
      expect(await offUser.has(key)).toBe(true)
    }
    const key = world.key()
    const load = async (): Promise<{ n: number }> => ({ n: 1 })
    const [a, b] = await Promise.all([onUser.getOrSet(key, load), onUser.getOrSet(key, load)])
    a.n = 2
    expect(b.n).toBe(1)
  })

  test('bad arguments are named, whatever the state of the sides', async () => {
    const { cache } = world.actor()
    const code = (expected: string): object => expect.objectContaining({ code: expected })
    await expect(cache.get('')).rejects.toEqual(code('SB_KEY_INVALID'))
    await expect(cache.set('k', undefined)).rejects.toEqual(code('SB_VALUE_UNDEFINED'))
    await expect(cache.set('k', 1, { ttl: '10 minutes' as never })).rejects.toEqual(
      code('SB_TTL_INVALID'),
    )
    await expect(cache.set('k', 'x'.repeat(2 ** 20))).rejects.toEqual(code('SB_VALUE_TOO_LARGE'))
    await expect(cache.get('x'.repeat(70_000))).rejects.toEqual(code('SB_KEY_TOO_LONG'))
  })

  test('a loader may fail, and fails all who wait for it; the next one tries again', async () => {
    const { onUser } = world.actor()
    const key = world.key()
    const fail = (): Promise<never> => Promise.reject(new Error('origin down'))
    const both = await Promise.allSettled([onUser.getOrSet(key, fail), onUser.getOrSet(key, fail)])
    expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    expect(await onUser.getOrSet(key, () => 'fine')).toBe('fine')
  })

  test('a value that cannot be cached is still the answer', async () => {
    const { onUser, events } = world.actor()
    const key = world.key()
    const huge = 'x'.repeat(2 ** 20)
    expect(await onUser.getOrSet(key, () => huge)).toBe(huge)
    expect(await onUser.getOrSet(key, () => undefined)).toBeUndefined()
    expect(await onUser.get(key)).toBeUndefined()
    expect(events.map(({ type }) => type)).toContain('value-not-cached')
  })

  test('aborting stops the wait, not the load', async () => {
    const { onUser } = world.actor()
    const key = world.key()
    const abort = new AbortController()
    let finish = (): void => {}
    const load = new Promise<string>((resolve) => {
      finish = () => resolve('late')
    })
    const waiting = onUser.getOrSet(key, () => load, { signal: abort.signal })
    abort.abort(new Error('the client went away'))
    await expect(waiting).rejects.toThrow('the client went away')
    finish()
    await until('the load was stored', async () => (await onUser.get(key)) === 'late')
  })

  test('deleteMany counts what was there; clear empties both sides', async () => {
    const { offUser, onUser, cache } = world.actor({ machine: 'clear' })
    const keys = Array.from({ length: 300 }, () => world.key())
    for (const key of keys.slice(0, 150)) await offUser.set(key, 1)
    for (const key of keys.slice(150, 200)) await onUser.set(key, 1)
    expect(await onUser.deleteMany([...keys, ...keys])).toBe(200)
    await offUser.set(keys[0]!, 1)
    await onUser.set(keys[1]!, 1)
    const [slow, begun] = [deferred<string>(), deferred<void>()]
    const loading = onUser.getOrSet(keys[2]!, () => {
      begun.resolve()
      return slow.promise
    })
    await begun.promise
    await cache.clear()
    slow.resolve('from before')
    await loading
    expect(await onUser.has(keys[2]!)).toBe(false)
    expect(await onUser.has(keys[0]!)).toBe(false)
    expect(await offUser.has(keys[1]!)).toBe(false)
  })

  test('compare tells cold, drift and mismatch apart, and mirror fills the standby', async () => {
    const counts: Record<string, number> = {}
    const telemetry = createTelemetry()
    const recorder = new Proxy(telemetry, {
      get: (target, name) =>
        name === 'comparison'
          ? (result: string) => (counts[result] = (counts[result] ?? 0) + 1)
          : Reflect.get(target, name).bind?.(target),
    })
    const { offUser, on, off } = world.actor({
      machine: 'compare',
      standby: 'compare',
      compareShare: 1,
      telemetry: recorder,
    })
    const compared = (result: string): Promise<void> =>
      until(`a comparison says ${result}`, () => (counts[result] ?? 0) > 0)
    const key = world.key()
    await offUser.set(key, 'v1', { ttl: '1h' })
    await until('the mirror has it', async () => (await on.inner.read(key)).state === 'value')
    await offUser.get(key)
    await compared('same')

    const { expiresAt } = await off.inner.read(key)
    const forge = (payload: string, at: number): unknown =>
      on.inner.write(key, { payload, expiresAt: at }, { expect: '*', within: 1000 })
    await forge('"v1"', expiresAt + 60_000)
    await offUser.get(key)
    await compared('ttl_drift')
    await forge('"v0"', expiresAt)
    await offUser.get(key)
    await compared('mismatch')
    await on.inner.invalidate(key, { within: 1000 })
    await offUser.get(key)
    await compared('cold')
    telemetry.close()
  })

  test('what the new side does not do is told apart: served by the other side, or by nobody', async () => {
    const telemetry = createTelemetry({ meter: false })
    const { onUser, offUser, on, off } = world.actor({ telemetry, deadlineMs: 200 })
    const ended = (): { failed: number; fellBack: number } => {
      const { users } = telemetry.snapshot().arms.on
      const sum = (name: 'failed' | 'fellBack'): number =>
        users.reduce((total, user) => total + user[name], 0)
      return { failed: sum('failed'), fellBack: sum('fellBack') }
    }
    const refuse = (backend: GatedBackend): void => {
      const no = (): never => {
        throw new Error('refused')
      }
      Object.assign(backend, { read: no, write: no, invalidate: no })
    }
    const key = world.key()
    await offUser.set(key, 'v1')
    refuse(on)
    expect(await onUser.get(key)).toBe('v1')
    // The other side answers that it has nothing: the caller loads, as on any miss.
    expect(await onUser.getOrSet(world.key(), () => 'loaded')).toBe('loaded')
    await onUser.set(key, 'v2')
    await onUser.delete(key)
    expect(ended()).toEqual({ failed: 0, fellBack: 4 })
    refuse(off)
    await onUser.getOrSet(key, () => 'origin only')
    await onUser.set(key, 'v3')
    await onUser.delete(key)
    expect(ended()).toEqual({ failed: 3, fellBack: 4 })
    telemetry.close()
  })

  test('the caller is told what happened, without the key', async () => {
    const { cache } = world.actor()
    const seen: { operation: string; outcome: string; servedBy: string; decision: Decision }[] = []
    const view = cache.for({ targetingKey: 'on-user' }, { onOperation: (info) => seen.push(info) })
    const key = world.key()
    await view.getOrSet(key, () => 1)
    await view.get(key)
    await view.delete(key)
    expect(seen).toMatchObject([
      { operation: 'getOrSet', outcome: 'miss', servedBy: 'origin', side: 'on' },
      { operation: 'get', outcome: 'hit', servedBy: 'on', side: 'on' },
      { operation: 'delete', outcome: 'deleted', servedBy: 'on', side: 'on' },
    ])
    expect(JSON.stringify(seen)).not.toContain(key)
  })
})
