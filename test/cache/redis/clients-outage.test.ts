import { setTimeout as delay } from 'node:timers/promises'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import {
  ANY,
  type CacheBackend,
  type Cell,
  fileCache,
  type Heard,
  NEVER,
  redisCache,
} from '../../../src/cache/index.ts'
import type { SwitchbackError } from '../../../src/errors.ts'
import { createCacheSwitch } from '../../../src/switch/index.ts'
import { CLIENTS, clientOf, type TestClient } from '../../support/clients.ts'
import { FixedDecider } from '../../support/fixed-decider.ts'
import { startRedis, type TestRedis } from '../../support/redis-server.ts'
import { withWarnings } from '../../support/with-warnings.ts'

vi.setConfig({ testTimeout: 60_000 })

const WITHIN = 5000
/** Longer than a tick: an idle connection is no hung one. */
const SILENCE_MS = 1500

let redis: TestRedis

beforeAll(async () => {
  redis = await startRedis()
})

afterAll(() => redis.stop())

describe.each(CLIENTS)('over a client of %s', (kind) => {
  let given: TestClient
  let backend: CacheBackend
  let heard: Heard[] = []

  async function open(queue = false): Promise<void> {
    given = await clientOf(kind, { port: redis.port, silenceMs: SILENCE_MS, queue })
    heard = []
    backend = withWarnings(redisCache({ client: given.client, prefix: `${kind}:` }))
    backend.onEra?.((one) => void heard.push(one))
    await backend.ping()
  }

  afterEach(async () => {
    redis.thaw()
    await backend.close()
    await given.end()
    if (!redis.alive) await redis.restart()
  })

  async function put(payload: string, within = WITHIN): Promise<boolean> {
    const entry = { payload, expiresAt: NEVER }
    return (await backend.write('k', entry, { expect: ANY, within })).written
  }

  async function readAgain(): Promise<Cell> {
    for (;;) {
      try {
        return await backend.read('k')
      } catch {
        await delay(5)
      }
    }
  }

  function outcome(promise: unknown): Promise<unknown> {
    return Promise.resolve(promise).catch((error: SwitchbackError) => error.code)
  }

  test('killed: every operation fails with a code of its own, and works again by itself', async () => {
    await open()
    await put('v')
    await redis.kill()
    const codes = await Promise.all([
      outcome(backend.read('k')),
      outcome(put('v2')),
      outcome(backend.invalidate('k', { within: WITHIN })),
      outcome(backend.ping()),
      outcome(backend.clear()),
    ])
    for (const code of codes) expect(code).toMatch(/^SB_REDIS_(?:UNREACHABLE|TIMEOUT)$/u)
    await redis.restart()
    expect(await readAgain()).toMatchObject({ state: 'absent' })
    expect(await put('v3')).toBe(true)
    expect(await backend.read('k')).toMatchObject({ payload: 'v3' })
  })

  test('frozen: what waits is given up, and it recovers', async () => {
    await open()
    await put('v')
    redis.freeze()
    const waiting = Array.from({ length: 200 }, () => outcome(backend.read('k')))
    for (const code of await Promise.all(waiting)) {
      expect(code).toMatch(/^SB_REDIS_(?:UNREACHABLE|TIMEOUT)$/u)
    }
    redis.thaw()
    expect(await readAgain()).toMatchObject({ payload: 'v' })
  })

  test('what comes back with a restart is not seen, not even by a read that waited for it', async () => {
    // With the queue, the reads of before are the first commands on the new connection.
    await open(true)
    await put('v')
    await redis.snapshot()
    await backend.invalidate('k', { within: WITHIN })
    await redis.kill()
    const waiting = Array.from({ length: 20 }, () => outcome(backend.read('k')))
    await redis.restart({ keepData: true })
    expect(await redis.command('EXISTS', `${kind}:k`)).toBe('1')
    for (const cell of await Promise.all(waiting)) {
      if (typeof cell !== 'string') expect(cell).toMatchObject({ state: 'absent' })
    }
    expect(await readAgain()).toMatchObject({ state: 'absent' })
    expect(new Set(heard.map(({ era }) => era)).size).toBe(2)
  })

  test('a write that lands after its deadline is refused', async () => {
    await open()
    expect(await put('v1')).toBe(true)
    redis.freeze()
    const late = outcome(put('v2', 150))
    await delay(400)
    redis.thaw()
    expect(await late).toBe(false)
    expect(await backend.read('k')).toMatchObject({ payload: 'v1' })
  })

  test('behind a switch: out and back in, and a delete in between holds', async () => {
    await open()
    const directory = mkdtempSync(join(tmpdir(), 'switchback-clients-'))
    const off = withWarnings(fileCache({ directory }))
    const on = withWarnings(redisCache({ client: given.client, prefix: `${kind} switch:` }))
    const decider = new FixedDecider({ 'on-user': 'on', 'off-user': 'off' })
    const cache = createCacheSwitch({ flag: 'use-redis', off, on, decider, deadlineMs: 2000 })
    const user = cache.for({ targetingKey: 'on-user' })
    const other = cache.for({ targetingKey: 'off-user' })
    try {
      await user.set('k', 'v1')
      expect(await other.get('k')).toBe('v1')
      await redis.snapshot()
      await redis.kill()
      await user.delete('k')
      await other.set('k', 'v2')
      expect(await user.get('k')).toBe('v2')
      await redis.restart({ keepData: true })
      await expect.poll(() => cache.health().on.ok, { timeout: 30_000 }).toBe(true)
      // Another era: what Redis has is forgotten.
      expect(await user.get('k')).not.toBe('v1')
      await user.set('k', 'v3')
      expect(await other.get('k')).toBe('v3')
    } finally {
      await cache.close()
      rmSync(directory, { recursive: true, force: true })
    }
  })
})

test('a server that hides its run_id is not used over a client that does not tell its losses', async () => {
  const given = await clientOf('GLIDE', { port: redis.port })
  await redis.command('ACL', 'SETUSER', 'default', '-info')
  const backend = withWarnings(redisCache({ client: given.client, prefix: 'anonymous:' }))
  await expect(backend.read('k')).rejects.toMatchObject({ code: 'SB_REDIS_RIGHTS' })
  await redis.command('ACL', 'SETUSER', 'default', '+info')
  expect(await backend.read('k')).toMatchObject({ state: 'absent' })
  await backend.close()
  await given.end()
})
