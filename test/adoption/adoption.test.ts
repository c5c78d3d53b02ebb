// @needs redis
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startRedis, type TestRedis } from '../support/redis-server.ts'
import { until } from '../support/until.ts'
import { type App, createApp, type Env, patchOf } from './harness.ts'
import { Scene, type SceneOptions } from './scene.ts'

/*
 * Seven little apps with a warm cache get the switch, by a patch of at most ten lines. `SWITCHBACK_RUNS=5000 npx vitest
 * run test/adoption` sends as many requests at each step.
 */

const REQUESTS = Number(process.env['SWITCHBACK_RUNS'] ?? 60)
const KEYS = 25
const STEPS = [0, 0.5, 1, 0.5, 0]

const APPS: readonly (readonly [string, Partial<SceneOptions>])[] = [
  ['ioredis', {}],
  ['node-redis', {}],
  ['keyv', {}],
  ['cache-manager', { unconditional: true }],
  ['unstorage', { unconditional: true }],
  ['bentocache', {}],
  ['lru', { private: true }],
]

let older: TestRedis
let newer: TestRedis

beforeAll(async () => {
  ;[older, newer] = await Promise.all([startRedis(), startRedis()])
})

afterAll(async () => {
  await Promise.all([older?.stop(), newer?.stop()])
})

/** At first a read may miss, and for a while what only one side has does not move: see the table. */
async function meet(
  scene: Scene,
  app: App,
  name: string,
  options: Partial<SceneOptions>,
): Promise<void> {
  // BentoCache tells no expiry: what it has is served, and stays.
  const moves = options.private !== true && name !== 'bentocache'
  let next = 0
  await until('the two sides have met', async () => {
    const before = scene.loads
    // A few keys: the others are to be warm still. One more now and then, as what was loaded there moves no more.
    const few = 5 + 2 * Math.floor(next / 20)
    const some = options.private === true ? scene.ids : [scene.ids[((next += 1) % few) % KEYS]!]
    scene.share = options.private === true ? 0 : next % 2
    await Promise.all(some.map((id) => scene.request(app, 'new', id, 'read')))
    return scene.loads === before && (!moves || scene.hasMovedTo('on'))
  })
}

describe.each(APPS)('an app with %s', (name, options) => {
  test('gets the switch by ten lines', () => {
    const added = patchOf(name)
    expect(added.length).toBeGreaterThan(3)
    expect(added.length, added.join('\n')).toBeLessThanOrEqual(10)
  })

  test(
    'starts warm, moves its users and back beside its old version',
    { timeout: 180_000 },
    async () => {
      await Promise.all([older.command('FLUSHALL'), newer.command('FLUSHALL')])
      const seed = 1 + APPS.findIndex(([app]) => app === name)
      const scene = new Scene({ seed, keys: KEYS, ...options })
      const { decider, telemetry, onEvent } = scene
      const env: Env = {
        redisUrl: older.url,
        newRedisUrl: newer.url,
        origin: scene,
        switch: { decider, telemetry, onEvent },
      }
      const old = await createApp(name, 'old', env)
      const readAll = (app: App, by: 'old' | 'new'): Promise<void[]> =>
        Promise.all(scene.ids.map((id) => scene.request(app, by, id, 'read')))
      await readAll(old, 'old')
      expect(scene.loads).toBe(KEYS)
      const app = await createApp(name, 'new', env)
      try {
        await meet(scene, app, name, options)
        const met = scene.now
        for (const share of [0, 1, 0]) {
          scene.share = share
          await readAll(app, 'new')
        }
        expect(scene.violations).toEqual([])
        expect(scene.loadsSince(met), 'loads of what was there').toBe(0)
        for (const share of STEPS) {
          scene.share = share
          await scene.traffic({ old, new: app }, REQUESTS)
        }
        expect(scene.violations).toEqual([])
        expect(scene.renames).toBeGreaterThan(10)
        // Each rename costs a load, or one for each side and version.
        expect(scene.loadsSince(met)).toBeLessThanOrEqual(3 * scene.renames)
      } finally {
        await Promise.all([app.close(), old.close()])
      }
    },
  )
})
