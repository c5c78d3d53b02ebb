// Everything real but the users: the switch over a file cache and a redis-server behind a slow path,
// the flags file, flagd's protocols, metrics over HTTP, and the guard.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { OpenFeature } from '@openfeature/server-sdk'
import { Redis } from 'ioredis'
import { afterAll, describe, expect, test } from 'vitest'
import { fileCache, redisCache } from '../../src/cache/index.ts'
import type { CacheBackend } from '../../src/cache/index.ts'
import { createDecider, FileProvider } from '../../src/flags/index.ts'
import { createGuard, parsePlan } from '../../src/guard/index.ts'
import type { AuditEntry, RunningGuard } from '../../src/guard/index.ts'
import { startSidecar } from '../../src/sidecar/index.ts'
import { createCacheSwitch } from '../../src/switch/index.ts'
import { createTelemetry } from '../../src/telemetry/index.ts'
import { startRedis } from '../support/redis-server.ts'
import type { TestRedis } from '../support/redis-server.ts'
import { HUNG_MS } from '../support/until.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'
import type { TcpProxy } from '../support/tcp-proxy.ts'
import { withWarnings } from '../support/with-warnings.ts'
import { inFull } from '../support/full.ts'

const USERS = 500
/** Evidence comes with operations, of which a busy machine makes fewer a second. */
const PATIENCE_MS = 4 * HUNG_MS

interface Stage {
  guard: RunningGuard
  readonly audit: readonly AuditEntry[]
  readonly redis: TestRedis
  readonly path: TcpProxy
  /** The cache cannot reach Redis. */
  readonly isOut: () => boolean
  /** Stops the guard and starts another that resumes the rollout. */
  readonly resume: () => Promise<void>
  /** Share of Redis commands that fail. */
  failing: number
  /** Requests that a user saw fail. */
  failed: number
}

/** What was opened last is closed first. Node 20 has no AsyncDisposableStack. */
class Closers implements AsyncDisposable {
  readonly #closers: (() => unknown)[] = []

  defer(close: () => unknown): void {
    this.#closers.push(close)
  }

  use<T extends AsyncDisposable>(opened: T): T {
    this.defer(() => opened[Symbol.asyncDispose]())
    return opened
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const close of this.#closers.toReversed()) await close()
  }
}

/** Fails some reads of a healthy backend, as a bad node of a cluster would. */
function flaky(backend: CacheBackend, share: () => number): CacheBackend {
  return new Proxy(backend, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      return (...args: unknown[]): unknown => {
        const fails = name === 'read' && Math.random() < share()
        if (fails) return Promise.reject(new Error('READONLY'))
        return Reflect.apply(value, target, args) as unknown
      }
    },
  })
}

async function stage(name: string, run: (stage: Stage) => Promise<void>): Promise<void> {
  await using stack = new Closers()
  const directory = await mkdtemp(join(tmpdir(), 'switchback-e2e-'))
  stack.defer(() => rm(directory, { recursive: true, force: true }))
  const file = join(directory, 'use-redis.json')
  const targeting = {
    fractional: [
      ['on', 0],
      ['off', 100],
    ],
  }
  const variants = { on: true, off: false }
  const flag = { state: 'ENABLED', variants, defaultVariant: 'off', targeting }
  await writeFile(file, JSON.stringify({ flags: { 'use-redis': flag } }, null, 2))
  const ports = { evaluation: 0, management: 0, sync: 0, ofrep: 0 }
  const sidecar = stack.use(await startSidecar({ file, ports }))
  await OpenFeature.setProviderAndWait(name, new FileProvider({ path: file }))
  const redis = stack.use(await startRedis())
  const path = stack.use(await startTcpProxy(redis.port))
  const telemetry = stack.use(createTelemetry({ meter: false }))
  const world = { failing: 0, failed: 0 }
  // Without the socket timeout of the switch's own client, which a stall of this process would be enough for.
  const client = new Redis(path.port, { enableOfflineQueue: false, maxRetriesPerRequest: 0 })
  client.on('error', () => undefined)
  stack.defer(() => client.disconnect())
  const remote = withWarnings(redisCache({ client }))
  const cache = stack.use(
    createCacheSwitch({
      off: fileCache({ directory: join(directory, 'cache') }),
      on: flaky(remote, () => world.failing),
      decider: createDecider({ flag: 'use-redis', domain: name }),
      telemetry,
      // On a busy machine Redis takes its time, and a file does not: that is no harm to be found here.
      deadlineMs: 3000,
    }),
  )
  const server = createServer((_, response) => response.end(telemetry.prometheus()))
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  stack.defer(() => {
    server.closeAllConnections()
    server.close()
  })
  let tick = 0
  const traffic = setInterval(() => {
    for (let i = 0; i < 5; i++) {
      const user = (tick++ * 7919) % USERS
      cache
        .for({ targetingKey: `user-${user}` })
        .getOrSet(`user:${user}`, () => ({ user }), { ttl: '10m' })
        .catch(() => world.failed++)
    }
  }, 10)
  stack.defer(() => clearInterval(traffic))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics`
  const audit: AuditEntry[] = []
  const plan = parsePlan(`
      steps: [30, 100]
      hold: 1h # stays at the step
      settle: 1s
      baseline: 800
      baselineTime: 2s
      interval: 200ms
      metrics: { degraded: { harm: 0.2%, late: 1s } }
      replicas: ["${url}"]`)
  const create = (resume: boolean): RunningGuard =>
    createGuard({
      plan,
      flag: 'use-redis',
      file,
      flagd: `http://127.0.0.1:${sidecar.ports.ofrep}`,
      name: 'guard@test',
      resume,
      onAudit: (entry) => audit.push(entry),
    })
  // A cold process is slow on both sides; the baseline is of a warm one.
  await setTimeout(1500)
  let guard = create(false)
  let stop = new AbortController()
  let running = guard.run(stop.signal)
  const end = async (): Promise<void> => {
    stop.abort()
    // One that refused to begin was told of.
    await running.catch(() => {})
  }
  stack.defer(end)
  const staged: Stage = Object.assign(world, {
    guard,
    audit,
    redis,
    path,
    isOut: () => !cache.health().on.ok,
    resume: async () => {
      await end()
      staged.guard = guard = create(true)
      stop = new AbortController()
      // Until its first look, or until it refuses to begin.
      await new Promise<void>((resolve, reject) => {
        running = guard.run(stop.signal, () => resolve())
        running.catch(reject)
      })
    },
  })
  await run(staged)
}

async function until(stage: Stage, what: string, fits: () => boolean): Promise<number> {
  const begun = performance.now()
  while (!fits()) {
    if (performance.now() - begun > PATIENCE_MS) {
      throw new Error(`no ${what}: ${JSON.stringify([stage.guard.status, stage.audit])}`)
    }
    await setTimeout(20)
  }
  return (performance.now() - begun) / 1000
}

/** Enough operations on a cold Redis for harm to show, if there were any. */
async function coldStart(world: Stage): Promise<void> {
  const { guard, audit } = world
  await until(world, 'first step', () => guard.status.percent === 30)
  await until(world, 'traffic on it', () => {
    const errors = guard.status.verdict?.metrics.find(({ id }) => id === 'failed')
    return (errors?.treatment.total ?? 0) > 800
  })
  expect(audit.filter(({ action }) => action === 'rollback')).toEqual([])
}

afterAll(() => OpenFeature.close())

async function goesBack(world: Stage): Promise<void> {
  const { guard, audit } = world
  await until(world, 'rollback', () => guard.status.phase === 'rolled back')
  expect(guard.status.percent).toBe(0)
  expect(audit.find(({ action }) => action === 'rollback')).toMatchObject({
    from: 30,
    confirmed: true,
  })
  expect(world.failed).toBe(0)
}

// One after the other: all of a stage is in this process, and on a busy machine four would be each other's load.
describe('from users to the flags file and back: a cold start is no harm', () => {
  type Fault = readonly [string, string, (stage: Stage) => void]
  const slow: Fault = ['slow', 'Redis becomes slow', ({ path }) => path.delay(1200)]
  const stopped: Fault = ['stopped', 'Redis stops answering', ({ redis }) => redis.freeze()]
  test.each(inFull([slow], [slow, stopped]))(
    '%s: when %s, everybody goes back',
    async (name, _, harm) => {
      await stage(`guard-${name}`, async (world) => {
        await coldStart(world)
        harm(world)
        await goesBack(world)
      })
    },
    300_000,
  )

  test('a blip of 300 ms ends nothing, and is told; when 2 % of what Redis is asked fails, everybody goes back', async () => {
    await stage('guard-failing', async (world) => {
      await coldStart(world)
      world.failing = 1
      await setTimeout(300)
      world.failing = 0
      const told = (): AuditEntry | undefined =>
        world.audit.find(({ action }) => action === 'incident')
      await until(world, 'word of it', () => told() !== undefined)
      expect(told()?.reason).toMatch(
        /^\d+ operations degraded within .* \(harm so far .* %, allowed 0.2 %\)$/,
      )
      // As long as a slot and more: what was seen would have to be enough by now.
      await setTimeout(6000)
      expect(world.guard.status).toMatchObject({ phase: 'step', percent: 30 })
      expect(world.failed).toBe(0)
      world.failing = 0.02
      await goesBack(world)
    })
  }, 300_000)

  test('when Redis is dead, everybody goes back, and nothing is begun; when it is back, nobody is taken back for what was', async () => {
    await stage('guard-again', async (world) => {
      await coldStart(world)
      await world.redis.kill()
      await goesBack(world)
      await expect(world.resume()).rejects.toMatchObject({ code: 'SB_GUARD_SIDE_OUT' })
      await world.redis.restart()
      await until(world, 'way to Redis', () => !world.isOut())
      const before = world.audit.length
      await world.resume()
      await until(world, 'first step', () => world.guard.status.percent === 30)
      const judged = (): number =>
        world.guard.status.verdict?.metrics.find(({ id }) => id === 'failed')?.treatment.total ?? 0
      await until(world, 'traffic on it', () => judged() > 800)
      const after = world.audit.slice(before).map(({ action }) => action)
      expect(after).toContain('epoch')
      expect(after).not.toContain('rollback')
      expect(world.guard.status.epoch).toBe(2)
    })
  }, 300_000)
})
