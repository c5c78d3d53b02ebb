import { connect, createServer, type Server, type Socket } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { memoryCache } from '../../src/cache/index.ts'
import { readinessOf } from '../../src/app/index.ts'
import { createTelemetry } from '../../src/telemetry/index.ts'
import { deferred } from '../support/deferred.ts'
import { Fleet, type OldSide, type Pod } from '../support/fleet.ts'
import { GatedBackend } from '../support/gated-backend.ts'
import { until } from '../support/until.ts'

let fleet: Fleet

beforeAll(async () => {
  fleet = await Fleet.create()
})

afterAll(() => fleet.close())

const KINDS: readonly OldSide[] = ['memory', 'file', 'adapted']

describe.each(KINDS)('machines with a %s side of their own, and one Redis', (kind) => {
  let pods: Pod[]

  beforeAll(async () => {
    pods = [1, 2, 3].map((n) => fleet.start({ kind, directory: `${kind} ${n}` }))
    await follow(pods)
  })

  test.each(['offUser', 'onUser'] as const)(
    'what one machine sets as %s, the users of the old side of the others see',
    async (writer) => {
      const [first, ...others] = pods as [Pod, Pod, Pod]
      const key = fleet.key()
      for (const pod of pods) await pod.offUser.getOrSet(key, () => 'v1')
      await first[writer].set(key, 'v2')
      for (const pod of others) {
        await pod.told()
        expect(await pod.offUser.get(key)).not.toBe('v1')
        expect(await pod.offUser.getOrSet(key, () => 'v2')).toBe('v2')
      }
    },
  )
  test('what one machine deletes, they load anew', async () => {
    const [first, ...others] = pods as [Pod, Pod, Pod]
    const key = fleet.key()
    for (const pod of pods) await pod.offUser.getOrSet(key, () => 'v1')
    await first.offUser.delete(key)
    for (const pod of others) {
      await pod.told()
      expect(await pod.offUser.get(key)).toBeUndefined()
    }
  })
})

describe('what a machine has to itself is not taken for the latest', () => {
  test.each(KINDS)('%s: what another machine has replaced never moves to Redis', async (kind) => {
    // A tombstone's life, short enough to see its end. The longest of a prefix counts.
    const options = { kind, prefix: `${kind} moves:`, tombstoneTtl: 300 }
    const [m1, m2] = [1, 2].map((n) =>
      fleet.start({ ...options, directory: `${kind} moves ${n}` }),
    ) as [Pod, Pod]
    const key = fleet.key()
    for (const { onUser } of [m1, m2]) await onUser.get(fleet.key())
    await m1.offUser.set(key, 'v1')
    await m2.offUser.set(key, 'v2')
    const left = (): Promise<string> => fleet.redis.command('EXISTS', `${kind} moves:${key}`)
    await until('Redis knows nothing of it any more', async () => (await left()) === '0')
    expect(await m1.onUser.get(key)).not.toBe('v1')
    expect(await m2.onUser.get(key)).not.toBe('v1')
  })

  test('what is the latest does, also when its tombstone is gone', async () => {
    const pod = await fleet.pod()
    const key = fleet.key()
    await pod.offUser.set(key, 'v1')
    await fleet.redis.command('DEL', `fleet:${key}`)
    await pod.told()
    expect(await pod.onUser.get(key)).toBe('v1')
    expect(await fleet.redis.command('EXISTS', `fleet:${key}`)).toBe('1')
  })
})

test('a fleet of ten, 1,000 updates on Redis, a rollback: nothing older than what was acknowledged', async () => {
  const pods = await Promise.all(Array.from({ length: 10 }, () => fleet.pod()))
  const keys = Array.from({ length: 50 }, () => fleet.key())
  const latest = new Map(keys.map((key) => [key, 0]))
  const load = (key: string) => () => latest.get(key)!
  for (const { offUser } of pods)
    await Promise.all(keys.map((key) => offUser.getOrSet(key, load(key))))
  for (let round = 1; round <= 20; round += 1) {
    await Promise.all(
      keys.map((key, i) => {
        latest.set(key, round)
        return pods[(round + i) % pods.length]!.onUser.set(key, round)
      }),
    )
  }
  for (const { offUser, told } of pods) {
    await told()
    const values = await Promise.all(keys.map((key) => offUser.getOrSet(key, load(key))))
    expect(values).toEqual(keys.map((key) => latest.get(key)))
  }
})

test('a load that began before another machine wrote is not stored', async () => {
  const [reader, writer] = [await fleet.pod(), await fleet.pod()]
  const key = fleet.key()
  const loaded = await reader.offUser.getOrSet(key, async () => {
    await writer.offUser.set(key, 'v2')
    await reader.told()
    return 'v1'
  })
  expect(loaded).toBe('v1')
  expect(await reader.offUser.get(key)).toBeUndefined()
})

test('what another machine writes while a load is being stored is not taken for known', async () => {
  const off = new GatedBackend(memoryCache({ tombstoneTtl: 60_000 }))
  const [reader, writer] = [await fleet.pod({ off }), await fleet.pod()]
  const key = fleet.key()
  const stored = off.hold('write', 'after')
  const loading = reader.offUser.getOrSet(key, () => 'v1')
  await stored.reached
  await writer.offUser.set(key, 'v2')
  await reader.told()
  stored.open()
  expect(await loading).toBe('v1')
  expect(await reader.offUser.get(key)).toBeUndefined()
})

test('FLUSHALL: what was known before is not confirmed by there being nothing', async () => {
  const [reader, writer] = [await fleet.pod(), await fleet.pod()]
  const key = fleet.key()
  await reader.offUser.set(key, 'v1')
  await writer.onUser.set(key, 'v2')
  await fleet.redis.command('FLUSHALL')
  // It need not have heard of it.
  expect(await reader.onUser.get(key)).toBeUndefined()
  await reader.told()
  expect(await reader.offUser.get(key)).toBeUndefined()
  expect(await reader.onUser.get(key)).toBeUndefined()
})

test('FLUSHALL that nobody has heard of: only the script that would move a value there knows', async () => {
  const path = await deafPath()
  try {
    const [reader, writer] = [await fleet.pod({ port: path.port }), await fleet.pod()]
    const key = fleet.key()
    // Of an old era: the value was written in it.
    await fleet.redis.command('HSET', 'fleet:#state', 'since', '1600000000000')
    await reader.told()
    await reader.offUser.set(key, 'v1')
    path.deafen()
    await writer.onUser.set(key, 'v2')
    path.beforeRead(() => fleet.redis.command('FLUSHALL'))
    expect(await reader.onUser.get(key)).toBeUndefined()
  } finally {
    await path.close()
  }
})

test('a connection that has become deaf proves nothing: Redis is asked', async () => {
  const path = await deafPath()
  const telemetry = createTelemetry()
  try {
    const [reader, writer] = [await fleet.pod({ port: path.port, telemetry }), await fleet.pod()]
    const key = fleet.key()
    await reader.offUser.set(key, 'v1')
    path.deafen()
    await writer.onUser.set(key, 'v2')
    await noticed(reader)
    const health = reader.cache.health()
    expect(health).toMatchObject({ ok: false, on: { ok: true } })
    expect(readinessOf(health).checks['follower']).toMatchObject({ ok: false, what: 'redis' })
    expect(telemetry.prometheus()).toContain('switchback_following{cache="cache"} 0')
    expect(await reader.offUser.get(key)).toBe('v2')
    expect(await reader.onUser.get(key)).toBe('v2')
    await until('it is said', () => reader.events.some(({ type }) => type === 'follower-out'))
    await reader.cache.close()
  } finally {
    await path.close()
    telemetry.close()
  }
})

test.each(KINDS)(
  '%s: a tombstone names what another machine holds, whose push has not come yet',
  async (kind) => {
    const path = await deafPath()
    try {
      const options = { kind, prefix: `${kind} named:` }
      const reader = fleet.start({ ...options, directory: `${kind} reader`, port: path.port })
      const writer = fleet.start({ ...options, directory: `${kind} writer` })
      await follow([reader, writer])
      const key = fleet.key()
      await reader.offUser.set(key, 'v1')
      path.deafen()
      await writer.offUser.set(key, 'v2')
      expect(await reader.onUser.get(key)).toBeUndefined()
      expect(await writer.onUser.get(key)).toBe('v2')
      expect(await reader.onUser.get(key)).toBe('v2')
      await reader.cache.close()
    } finally {
      await path.close()
    }
  },
)

test('who joins a load from before a write that this machine was not told of does not take its value', async () => {
  const path = await deafPath()
  try {
    const [reader, writer] = [await fleet.pod({ port: path.port }), await fleet.pod()]
    const key = fleet.key()
    const origin = deferred<string>()
    const leading = reader.offUser.getOrSet(key, () => origin.promise)
    path.deafen()
    await writer.onUser.set(key, 'v2')
    await noticed(reader)
    const joining = reader.offUser.getOrSet(key, () => 'a load of its own')
    await nextTurn()
    origin.resolve('v1')
    // It began before the write: either may be its answer.
    expect(['v1', 'v2']).toContain(await leading)
    expect(await joining).toBe('v2')
    await reader.cache.close()
  } finally {
    await path.close()
  }
})

test('Redis dies: no request fails, and a write is seen on its machine', async () => {
  await using other = await Fleet.create()
  const [one, two] = [await other.pod({ deadlineMs: 200 }), await other.pod({ deadlineMs: 200 })]
  const keys = Array.from({ length: 20 }, () => other.key())
  await Promise.all(keys.map((key) => one.onUser.set(key, 'v1')))
  await Promise.all(keys.map((key) => two.offUser.getOrSet(key, () => 'v1')))
  await other.redis.kill()
  await Promise.all(keys.map((key) => one.onUser.set(key, 'v2')))
  const values = await Promise.all(
    keys.flatMap((key) => [
      one.offUser.getOrSet(key, () => 'v2'),
      one.onUser.getOrSet(key, () => 'v2'),
    ]),
  )
  expect(new Set(values)).toEqual(new Set(['v2']))
  for (const key of keys) {
    // Bounded by `aloneFor`: see follower.test.ts.
    expect(['v1', 'v2']).toContain(await two.offUser.getOrSet(key, () => 'v2'))
  }
  await other.redis.restart()
  await one.told()
  await two.told()
  await until('Redis was told', () => one.cache.health().on.owed === 0)
  await two.told()
  for (const key of keys) expect(await two.offUser.getOrSet(key, () => 'v2')).toBe('v2')
})

/** A lone machine has nobody to follow: they meet at Redis. */
async function follow(pods: readonly Pod[]): Promise<void> {
  for (const { offUser } of pods) await offUser.get(fleet.key())
  for (const { cache } of pods) {
    await until('it follows Redis', () => cache.health().follower?.live === true)
  }
}

interface DeafPath {
  readonly port: number
  /** Nothing reaches a follower any more; whatever else is connected notices nothing. */
  deafen(): void
  /** Does it once, when somebody reads next: the answer is from after it, whatever else is asked meanwhile. */
  beforeRead(work: () => Promise<unknown>): void
  close(): Promise<void>
}

/** After it became deaf. The answer to a question from before may still come, and proves that moment for a second. */
async function noticed({ cache }: Pod): Promise<void> {
  const since = performance.now()
  await until('it has noticed', () => {
    const { live } = cache.health().follower!
    return !live && performance.now() - since > 1000
  })
}

/** A way to Redis on which the connections of followers can become deaf. */
async function deafPath(): Promise<DeafPath> {
  let deaf = false
  let before: (() => Promise<unknown>) | undefined
  const sockets = new Set<Socket>()
  const server: Server = createServer((client) => {
    const redis = connect(fleet.redis.port, '127.0.0.1')
    let follows = false
    for (const socket of [client, redis]) {
      sockets.add(socket)
      socket.on('error', () => undefined)
    }
    client.on('data', (bytes) => {
      follows ||= bytes.includes('TRACKING')
      const work = bytes.includes('mget') ? before : undefined
      if (work === undefined) return void redis.write(bytes)
      before = undefined
      client.pause()
      void work().then(() => {
        redis.write(bytes)
        client.resume()
      })
    })
    redis.on('data', (bytes) => {
      if (!(deaf && follows)) client.write(bytes)
    })
    client.on('close', () => redis.destroy())
    redis.on('close', () => client.destroy())
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve())
  })
  return {
    port: (server.address() as { readonly port: number }).port,
    deafen: () => {
      deaf = true
    },
    beforeRead: (work) => {
      before = work
    },
    close: async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}
