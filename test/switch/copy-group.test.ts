// @needs redis
import * as fc from 'fast-check'
import { Cluster, Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type CacheBackend, memoryCache, NEVER, redisCache } from '../../src/cache/index.ts'
import type { CopyReport } from '../../src/switch/index.ts'
import { inFull } from '../support/full.ts'
import { GatedBackend } from '../support/gated-backend.ts'
import { licensed, makePairActor, type PairActor } from '../support/pair.ts'
import { startRedisCluster, type TestCluster } from '../support/redis-cluster.ts'
import { startRedis, type TestRedis } from '../support/redis-server.ts'
import { until } from '../support/until.ts'

let a: TestRedis
let b: TestRedis
const actors: PairActor[] = []

beforeAll(async () => {
  ;[a, b] = await Promise.all([startRedis(), startRedis()])
})

afterAll(async () => {
  await Promise.all(actors.map(({ cache }) => cache.close()))
  await Promise.all([a.stop(), b.stop()])
})

/** Without the way for many. */
function oneByOne(backend: CacheBackend): CacheBackend {
  return Object.defineProperty(backend, 'many', { value: undefined })
}

async function made(off: CacheBackend, on: CacheBackend): Promise<PairActor> {
  const actor = makePairActor(off, on, { deadlineMs: 2000 })
  actors.push(actor)
  await licensed([actor])
  return actor
}

const WAY = { from: 'off', to: 'on' } as const

describe.each([
  ['cells', {}, ['copied', 'present', 'foreign', 'expired']],
  // What was deleted there is not among the names.
  ['plain values', { values: 'plain' } as const, ['copied', 'present', 'foreign']],
] as const)('%s', (kind, old, met) => {
  /** What happens to a key before it is copied. */
  const STEPS = [
    'nothing',
    'set on the old side',
    'set on the new side',
    'deleted',
    'set twice',
    'moved already',
    'another program on the old side',
    'another program on the new side',
    'a hash on the old side',
    'tombstone without memory of it',
  ] as const

  test(
    'what is copied together is what is copied one by one: the same report, and the same values',
    async () => {
      const [one, many] = await Promise.all(
        [1, 2].map(async (which) => {
          const prefix = `${kind} ${which}:`
          const off = redisCache({ url: a.url, prefix, ...old })
          const on = redisCache({ url: b.url, prefix })
          return which === 1 ? made(oneByOne(off), oneByOne(on)) : made(off, on)
        }),
      )
      const [from, to] = [new Redis(a.url), new Redis(b.url)]
      const prepare = async (
        actor: PairActor,
        prefix: string,
        key: string,
        step: (typeof STEPS)[number],
      ): Promise<void> => {
        const value = `value of ${key}`
        if (step === 'set on the old side') await actor.offUser.set(key, value, { ttl: '1h' })
        else if (step === 'set on the new side') await actor.onUser.set(key, value)
        else if (step === 'deleted') {
          await actor.offUser.set(key, value)
          await actor.offUser.delete(key)
        } else if (step === 'moved already') {
          await actor.offUser.set(key, value)
          await actor.onUser.get(key)
        } else if (step === 'set twice') {
          await actor.onUser.set(key, 'older')
          await actor.offUser.set(key, value)
        } else if (step === 'another program on the old side')
          await from.set(prefix + key, JSON.stringify(value), 'EX', 3600)
        else if (step === 'another program on the new side') {
          await actor.offUser.set(key, value)
          await to.set(prefix + key, 'not of the switch')
        } else if (step === 'a hash on the old side') await from.hset(prefix + key, 'a', 'hash')
        else if (step === 'tombstone without memory of it') {
          await actor.offUser.set(key, value)
          await to.del(prefix + key)
        }
      }
      let round = 0
      const property = fc.asyncProperty(
        fc.array(fc.constantFrom(...STEPS), { minLength: 30, maxLength: 60 }),
        fc.boolean(),
        async (steps, dryRun) => {
          round += 1
          const keys = steps.map((_, i) => `r${round} k${i}`)
          const told = async (actor: PairActor, which: number) => {
            const prefix = `${kind} ${which}:`
            await Promise.all(keys.map((key, i) => prepare(actor, prefix, key, steps[i]!)))
            const report = await actor.cache.copy({ ...WAY, match: `r${round} *`, dryRun })
            const cells = await Promise.all(keys.map((key) => actor.on.read(key)))
            return {
              report: { ...report, ms: 0, cursor: '', scanned: 0, skipped: 0 } as CopyReport,
              cells: cells.map(({ state, payload, expiresAt }) => [
                state,
                payload,
                expiresAt === NEVER ? 'never' : Math.round(expiresAt / 1_800_000),
              ]),
            }
          }
          const [alone, together] = await Promise.all([told(one!, 1), told(many!, 2)])
          expect(together).toEqual(alone)
          for (const [what, count] of Object.entries(together.report))
            if (Number(count) > 0) seen.add(what)
        },
      )
      const seen = new Set<string>()
      await fc.assert(property, { numRuns: inFull(4, 40) })
      expect([...seen]).toEqual(expect.arrayContaining([...met]))
      from.disconnect()
      to.disconnect()
    },
    inFull(60_000, 600_000),
  )

  test('it takes a command for a hundred keys and not one for each', async () => {
    const prefix = `few ${kind}:`
    const actor = await made(
      redisCache({ url: a.url, prefix, ...old }),
      redisCache({ url: b.url, prefix }),
    )
    const from = new Redis(a.url)
    const entries = Array.from({ length: 1000 }, (_, i) => [`k${i}`, i] as const)
    if (kind === 'cells') await actor.offUser.setMany(entries)
    else await from.mset(new Map(entries.map(([key, value]) => [prefix + key, value])))
    const to = new Redis(b.url)
    await Promise.all([from.config('RESETSTAT'), to.config('RESETSTAT')])
    expect(await actor.cache.copy(WAY)).toMatchObject({ copied: 1000 })
    for (const client of [from, to]) {
      const stats = await client.info('commandstats')
      expect(Number(/cmdstat_mget:calls=(\d+)/.exec(stats)?.[1])).toBeLessThan(100)
    }
    expect(await actor.on.read('k7')).toMatchObject({ state: 'value', payload: '7' })
    from.disconnect()
    to.disconnect()
  })
})

describe('what happens amid a group', () => {
  let databases = 0

  /** The new side stands still before it is written to. The keys have a database of their own: one page, one group. */
  const gated = async (): Promise<{
    actor: PairActor
    on: GatedBackend
    sides: [string, string]
  }> => {
    databases += 1
    const sides: [string, string] = [`${a.url}/${databases}`, `${b.url}/${databases}`]
    const on = new GatedBackend(redisCache({ url: sides[1] }))
    return { actor: await made(redisCache({ url: sides[0] }), on), on, sides }
  }

  test.each([
    ['replaced on the old side', 'offUser', 'new'],
    ['replaced on the new side', 'onUser', 'new'],
    ['deleted', 'offUser', undefined],
  ] as const)(
    'a key that is %s is not overwritten by what was read before',
    async (_, user, value) => {
      const { actor, on, sides } = await gated()
      const keys = Array.from({ length: 15 }, (_, i) => `k${i}`)
      await actor.offUser.setMany(keys.map((key) => [key, 'old'] as const))
      const other = await made(redisCache({ url: sides[0] }), redisCache({ url: sides[1] }))
      const gate = on.hold('write', 'before')
      const copying = actor.cache.copy(WAY)
      await gate.reached
      if (value === undefined) await other[user].delete('k3')
      else await other[user].set('k3', value)
      gate.open()
      expect(await copying).toMatchObject({ ended: 'done', refused: 0, failed: 0 })
      for (const one of [actor, other]) {
        for (const each of ['offUser', 'onUser'] as const) {
          expect([each, await one[each].get('k3')]).toEqual([each, value])
          expect([each, await one[each].get('k4')]).toEqual([each, 'old'])
        }
      }
    },
  )

  test('a store that is emptied between the look and the write takes nothing of what was seen', async () => {
    const { actor, on, sides } = await gated()
    await actor.offUser.setMany([
      ['k1', 'v'],
      ['k2', 'v'],
    ])
    const gate = on.hold('write', 'before')
    const stop = new AbortController()
    const copying = actor.cache.copy({ ...WAY, signal: stop.signal })
    await gate.reached
    const to = new Redis(sides[1])
    await to.flushdb()
    stop.abort()
    gate.open()
    const stopped = await copying
    expect(stopped).toMatchObject({ ended: 'aborted', copied: 0, refused: 0 })
    expect(await to.keys('*k?')).toEqual([])
    // Who goes on from there passes over nothing.
    const rest = await actor.cache.copy({ ...WAY, after: stopped.cursor })
    expect(rest).toMatchObject({ ended: 'done', copied: 2, refused: 0 })
    to.disconnect()
  })

  test('from memory, which answers at once', async () => {
    const on = redisCache({ url: b.url, prefix: 'memory:' })
    const actor = makePairActor(memoryCache(), on, { deadlineMs: 2000 })
    actors.push(actor)
    await actor.offUser.setMany(Array.from({ length: 300 }, (_, i) => [`k${i}`, i] as const))
    expect(await actor.cache.copy(WAY)).toMatchObject({ copied: 300, ended: 'done' })
    expect(await on.read('k9')).toMatchObject({ state: 'value', payload: '9' })
  })
})

describe('a Cluster', () => {
  let cluster: TestCluster
  const clients: Cluster[] = []

  beforeAll(async () => {
    cluster = await startRedisCluster()
  })

  afterAll(async () => {
    await Promise.all(actors.splice(0).map(({ cache }) => cache.close()))
    for (const client of clients) client.disconnect()
    await cluster.stop()
  })

  const connected = async (): Promise<Cluster> => {
    const client = new Cluster([...cluster.nodes])
    client.on('error', () => undefined)
    clients.push(client)
    await until('the Cluster is there', () => client.status === 'ready')
    return client
  }

  test.each([
    ['cells', {}],
    ['plain values', { values: 'plain' } as const],
  ])('takes and gives %s of all slots', async (kind, old) => {
    const prefix = `slots ${kind}:`
    const client = await connected()
    const keys = Array.from({ length: 700 }, (_, i) => `k${i}`)
    const values = keys.map((key) => [key, `value of ${key}`] as const)
    const there = await made(
      redisCache({ client, prefix, ...old }),
      redisCache({ url: b.url, prefix }),
    )
    await there.offUser.setMany(values)
    const single = new Redis(b.url)
    await single.unlink(keys.map((key) => prefix + key))
    expect(await there.cache.copy(WAY)).toMatchObject({ copied: 700, failed: 0, ended: 'done' })
    expect((await there.cache.copy(WAY)).present).toBe(700)
    const back = `back ${kind}:`
    const again = await made(
      redisCache({ url: a.url, prefix: back, ...old }),
      redisCache({ client, prefix: back }),
    )
    await again.offUser.setMany(values)
    await Promise.all(keys.map((key) => client.unlink(back + key)))
    expect(await again.cache.copy(WAY)).toMatchObject({ copied: 700, failed: 0, ended: 'done' })
    for (const actor of [there, again]) {
      const cells = await Promise.all(keys.map((key) => actor.on.read(key)))
      expect(cells.map(({ payload }) => JSON.parse(payload || 'null') as unknown)).toEqual(
        values.map(([, value]) => value),
      )
    }
    single.disconnect()
  })
})
