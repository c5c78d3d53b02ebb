import { Cluster, Redis } from 'ioredis'
import { setTimeout as sleep } from 'node:timers/promises'
import { type CacheBackend, redisCache } from '../../src/cache/index.ts'
import { createCacheSwitch } from '../../src/switch/index.ts'
import type { Side } from '../../src/side.ts'
import { startRedisCluster } from '../support/redis-cluster.ts'
import { startRedis, type TestRedis, valkeyServer } from '../support/redis-server.ts'
import { until } from '../support/until.ts'
import { type App, createApp, type Profile } from './harness.ts'
import { Scene } from './scene.ts'

export type Fault = 'kill' | 'freeze'

/** One store of several servers, or of one. */
export interface Store {
  readonly servers: readonly TestRedis[]
  connect(): Redis | Cluster
  stop(): Promise<void>
}

/** What happens to which side, and at which step of {@link SHARES}. */
export interface Story {
  readonly step: number
  readonly side: Side
  readonly fault: Fault
}

/** Of users on the new side. */
export const SHARES: readonly number[] = [0, 0.5, 1, 0.5, 0]

export async function startStore(program?: string): Promise<Store> {
  const server = await startRedis({ program })
  return { servers: [server], connect: () => new Redis(server.url), stop: () => server.stop() }
}

export async function startValkeyStore(): Promise<Store> {
  const store = await startStore(valkeyServer())
  const about = await store.servers[0]!.command('INFO', 'server')
  if (/^valkey_version:/m.test(about)) return store
  await store.stop()
  throw new Error(`${valkeyServer()} is no Valkey: ${about}`)
}

export async function startClusterStore(): Promise<Store> {
  const cluster = await startRedisCluster({ masters: 3 })
  const connect = (): Cluster => new Cluster([...cluster.nodes])
  return { servers: cluster.masters, connect, stop: () => cluster.stop() }
}

export interface StoryOptions extends Story {
  readonly stores: Readonly<Record<Side, Store>>
  readonly seed: number
  readonly keys: number
}

export interface Told {
  readonly scene: Scene
  /** Loads from when the store was used again, and the renames that cost some of them. */
  readonly loadsAfter: number
  readonly renamesAfter: number
}

/**
 * The old program and the one with the switch, under traffic, from 0 to 100 % and back, while a store goes and comes
 * back.
 */
export async function runStory(options: StoryOptions): Promise<Told> {
  const { stores, side, step, seed, keys } = options
  const scene = new Scene({ seed, keys, trouble: true })
  const env = { redisUrl: stores.off.servers[0]!.url, newRedisUrl: '', origin: scene, switch: {} }
  const old = await createApp('ioredis', 'old', env)
  for (const id of scene.ids) await scene.request(old, 'old', id, 'read')
  const app = createPatched(stores, scene)
  const apps = { old, new: app }
  let [healedAt, renames] = [0, 0]
  try {
    let next = 0
    await until('the two sides have met', async () => {
      const before = scene.loads
      scene.share = (next += 1) % 2
      await scene.request(app, 'new', scene.ids[next % 5]!, 'read')
      return scene.loads === before && scene.hasMovedTo('on')
    })
    for (const [i, share] of SHARES.entries()) {
      scene.share = share
      await scene.traffic(apps, REQUESTS)
      if (i !== step) continue
      await disturb(stores[side], options, scene, apps)
      await until(`${side} is used again`, async () => {
        await scene.traffic(apps, REQUESTS)
        return !scene.isOut(side)
      })
      healedAt = scene.now
      renames = scene.renames
    }
    await scene.traffic(apps, REQUESTS)
  } finally {
    await scene.settled()
    await Promise.all([app.close(), old.close()])
  }
  const loadsAfter = scene.loadsSince(healedAt)
  return { scene, loadsAfter, renamesAfter: scene.renames - renames }
}

const REQUESTS = 40

/** More than the loads that may run at once. */
const RUSH = 200

/** Longer than a licence lives, so that what happens without one is seen. */
const OUTAGE_MS = 1500

async function disturb(
  { servers }: Store,
  { side, fault }: Story,
  scene: Scene,
  apps: Readonly<Record<'old' | 'new', App>>,
): Promise<void> {
  scene.happened(`${fault} ${side}`)
  if (fault === 'freeze') for (const server of servers) server.freeze()
  else {
    await Promise.all(servers.map((server) => server.snapshot()))
    // What it comes back with is older than what it had.
    await scene.traffic(apps, REQUESTS)
    await Promise.all(servers.map((server) => server.kill()))
  }
  const begun = performance.now()
  while (performance.now() - begun < OUTAGE_MS) {
    await scene.traffic(apps, 10)
    await sleep(30)
  }
  await scene.rush(apps.new, scene.ids[0]!, RUSH)
  scene.happened(`${side} comes back`)
  if (fault === 'freeze') for (const server of servers) server.thaw()
  else {
    if (side === 'off') scene.lost()
    await Promise.all(servers.map((server) => server.restart({ keepData: true })))
  }
}

/** As in apps/ioredis/after.mjs, and the new side may be a Cluster. */
function createPatched(stores: Readonly<Record<Side, Store>>, scene: Scene): App {
  const clients = [stores.off.connect(), stores.on.connect()] as const
  for (const client of clients) client.on('error', () => undefined)
  const off: CacheBackend = redisCache({ client: clients[0], values: 'plain' })
  const on: CacheBackend = redisCache({ client: clients[1] })
  const { decider, telemetry, onEvent } = scene
  const cache = createCacheSwitch({ off, on, decider, telemetry, onEvent })
  return {
    profile: (id) => cache.getOrSet<Profile>(`profile:${id}`, () => scene.load(id), { ttl: '1h' }),
    async rename(id) {
      await scene.save(id)
      await cache.delete(`profile:${id}`)
    },
    async close() {
      await cache.close()
      for (const client of clients) client.disconnect()
    },
  }
}
