import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  ANY,
  type CacheBackend,
  NEVER,
  redisCache,
  type WriteResult,
} from '../../../src/cache/index.ts'
import { startRedis, type TestRedis } from '../../support/redis-server.ts'
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts'
import { withWarnings } from '../../support/with-warnings.ts'

const WITHIN = 150
/** Well past the deadline: the point is what happens after it. */
const TOO_LONG = 400
const REFUSED = { written: false, token: '' }

describe('a write that lands after its deadline', () => {
  let redis: TestRedis
  let proxy: TcpProxy
  /** Over the proxy. */
  let slow: CacheBackend
  let direct: CacheBackend
  let prefix = ''
  let tests = 0

  beforeAll(async () => {
    redis = await startRedis()
    proxy = await startTcpProxy(redis.port)
  })

  afterAll(async () => {
    await proxy.close()
    await redis.stop()
  })

  beforeEach(async () => {
    prefix = `late-${tests++}:`
    const onWarning = (): void => undefined
    slow = withWarnings(redisCache({ url: `redis://127.0.0.1:${proxy.port}`, prefix }), onWarning)
    direct = withWarnings(redisCache({ url: redis.url, prefix }), onWarning)
    await Promise.all([slow.ping(), direct.ping()])
  })

  afterEach(async () => {
    redis.thaw()
    proxy.resume()
    await Promise.all([slow.close(), direct.close()])
  })

  function write(
    backend: CacheBackend,
    payload: string,
    within: number = 5000,
    expect_: string = ANY,
  ): Promise<WriteResult> {
    const entry = { payload, expiresAt: NEVER }
    return Promise.resolve(backend.write('k', entry, { expect: expect_, within }))
  }

  async function countScripts(): Promise<number> {
    const stats = await redis.command('INFO', 'commandstats')
    return Number(/cmdstat_evalsha:calls=(\d+)/u.exec(stats)?.[1])
  }

  test.each(['any', 'token'])(
    'is refused by a server that hung (expecting %s)',
    async (expected) => {
      const { token } = await write(direct, 'v1')
      redis.freeze()
      const late = write(direct, 'late', WITHIN, expected === 'any' ? ANY : token)
      await delay(TOO_LONG)
      redis.thaw()
      expect(await late).toEqual(REFUSED)
      expect((await direct.read('k')).payload).toBe('v1')
    },
  )

  test.each(['write', 'tombstone that names it'])(
    'is refused though it waited for the first connection (a %s)',
    async (kind) => {
      await write(direct, 'v1')
      redis.freeze()
      const first = withWarnings(redisCache({ url: redis.url, prefix }), () => undefined)
      const late =
        kind === 'write'
          ? write(first, 'late', WITHIN)
          : Promise.resolve(first.invalidate('k', { within: WITHIN, successor: 'abcdefghijkl' }))
      await delay(TOO_LONG)
      redis.thaw()
      expect(await late).toMatchObject(kind === 'write' ? REFUSED : { done: false })
      expect((await direct.read('k')).payload).toBe('v1')
      await first.close()
    },
  )

  test('is applied when it was given the time', async () => {
    await write(direct, 'v1')
    redis.freeze()
    const late = write(direct, 'late', 10_000)
    await delay(TOO_LONG)
    redis.thaw()
    expect((await late).written).toBe(true)
    expect((await direct.read('k')).payload).toBe('late')
  })

  test('is refused when the network held it back', async () => {
    await write(slow, 'v1')
    proxy.stall()
    const late = write(slow, 'late', WITHIN)
    await delay(TOO_LONG)
    await write(direct, 'v2')
    proxy.resume()
    expect(await late).toEqual(REFUSED)
    expect((await direct.read('k')).payload).toBe('v2')
  })

  test('is refused though its client is gone', async () => {
    await write(direct, 'v1')
    const ran = await countScripts()
    redis.freeze()
    const lost = write(direct, 'late', WITHIN).catch((error: unknown) => error)
    // Past the point where the client gives the silent connection up.
    expect(await lost).toMatchObject({ code: 'SB_REDIS_UNREACHABLE' })
    redis.thaw()
    await expect.poll(countScripts, { timeout: 5000 }).toBeGreaterThan(ran)
    expect(await redis.command('GET', `${prefix}k`)).toMatch(/v1$/)
  })

  test('a late tombstone that points at the other side is refused, a plain one is harmless', async () => {
    await write(slow, 'v1')
    proxy.stall()
    const pointing = slow.invalidate('k', { within: WITHIN, successor: 'abcdefghijkl' })
    await delay(TOO_LONG)
    proxy.resume()
    expect(await pointing).toEqual({ done: false, existed: false, token: '' })
    expect((await direct.read('k')).payload).toBe('v1')
    proxy.stall()
    const plain = slow.invalidate('k', { within: WITHIN })
    await delay(TOO_LONG)
    proxy.resume()
    expect(await plain).toMatchObject({ done: true, existed: true })
    expect((await direct.read('k')).state).toBe('tombstone')
  })

  test('is tried again when only the estimate of the clock was behind', async () => {
    // Its first look at the server's clock is answered late: the estimate is behind by as much.
    proxy.delay(200)
    const behind = redisCache({ url: `redis://127.0.0.1:${proxy.port}`, prefix })
    await behind.read('k')
    proxy.delay(0)
    expect(direct.now() - behind.now()).toBeGreaterThan(150)
    expect((await write(behind, 'v2', 100)).written).toBe(true)
    expect(direct.now() - behind.now()).toBeLessThan(50)
    await behind.close()
  })
})
