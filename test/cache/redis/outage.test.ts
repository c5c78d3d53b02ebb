import { inspect } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ANY, type CacheBackend, NEVER, redisCache } from '../../../src/cache/index.ts'
import type { SwitchbackError } from '../../../src/errors.ts'
import { freePort, startRedis, type TestRedis } from '../../support/redis-server.ts'
import { withWarnings } from '../../support/with-warnings.ts'

const WITHIN = 5000

let redis: TestRedis
let warnings: SwitchbackError[] = []
const opened: CacheBackend[] = []

function open(options: { readonly url?: string; readonly prefix?: string } = {}): CacheBackend {
  const onWarning = (warning: SwitchbackError): void => void warnings.push(warning)
  const backend = withWarnings(
    redisCache({ url: redis.url, prefix: 'outage:', ...options }),
    onWarning,
  )
  opened.push(backend)
  return backend
}

function put(backend: CacheBackend, key: string, payload: string): Promise<unknown> {
  const entry = { payload, expiresAt: NEVER }
  return Promise.resolve(backend.write(key, entry, { expect: ANY, within: WITHIN }))
}

/** The error's code, or what it resolved to. */
async function outcome(promise: unknown): Promise<unknown> {
  return Promise.resolve(promise).catch((error: SwitchbackError) => error.code)
}

beforeEach(async () => {
  redis = await startRedis()
})

afterEach(async () => {
  await Promise.all(opened.splice(0).map((backend) => backend.close()))
  await redis.stop()
  warnings = []
})

describe('Redis killed', () => {
  test('every operation fails at once, and works again by itself', async () => {
    const backend = open()
    await put(backend, 'k', 'v')
    await redis.kill()
    const operations = (): Promise<unknown>[] => [
      outcome(backend.read('k')),
      outcome(put(backend, 'k', 'v2')),
      outcome(backend.invalidate('k', { within: WITHIN })),
      outcome(backend.ping()),
      outcome(backend.clear()),
    ]
    expect(new Set(await Promise.all(operations()))).toEqual(new Set(['SB_REDIS_UNREACHABLE']))
    await redis.restart()
    await expect.poll(() => outcome(backend.ping()), { timeout: 5000 }).toBe(undefined)
    await put(backend, 'k', 'v3')
    expect(await backend.read('k')).toMatchObject({ payload: 'v3' })
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toMatchObject({ code: 'SB_REDIS_UNREACHABLE' })
  })

  test('what was in flight fails with its connection', async () => {
    const backend = open()
    await backend.ping()
    redis.freeze()
    const reads = Array.from({ length: 50 }, (_, i) => outcome(backend.read(`k${i}`)))
    await redis.kill()
    expect(new Set(await Promise.all(reads))).toEqual(new Set(['SB_REDIS_UNREACHABLE']))
  })
})

describe('Redis hung', () => {
  test('what waits is given up, what comes later fails at once, and it recovers', async () => {
    const backend = open()
    await put(backend, 'k', 'v')
    redis.freeze()
    const waiting = Array.from({ length: 1000 }, () => outcome(backend.read('k')))
    const codes = new Set(await Promise.all(waiting))
    expect([...codes].every((code) => String(code).startsWith('SB_REDIS_'))).toBe(true)
    // The connection is gone: nothing is sent into the hung one, so nothing can pile up.
    for (let i = 0; i < 100; i++) {
      expect(await outcome(backend.read('k'))).toBe('SB_REDIS_UNREACHABLE')
    }
    redis.thaw()
    await expect
      .poll(
        async () => (await Promise.resolve(backend.read('k')).catch(() => undefined))?.payload,
        {
          timeout: 5000,
        },
      )
      .toBe('v')
  })
})

describe('connections killed by the server', () => {
  test('every operation settles, and none is done twice', async () => {
    const backend = open()
    await backend.ping()
    let settled = 0
    const results = new Map<string, boolean>()
    const writes = Array.from({ length: 300 }, async (_, i) => {
      if (i % 100 === 50) await redis.command('CLIENT', 'KILL', 'TYPE', 'normal').catch(() => '')
      const entry = { payload: String(i), expiresAt: NEVER }
      try {
        const result = await backend.write(`k${i}`, entry, { expect: '', within: WITHIN })
        results.set(`k${i}`, result.written)
      } catch (error) {
        expect(error).toMatchObject({ code: 'SB_REDIS_UNREACHABLE' })
      }
      settled++
    })
    await Promise.all(writes)
    expect(settled).toBe(300)
    await expect.poll(() => outcome(backend.ping()), { timeout: 5000 }).toBe(undefined)
    // Sent twice, the second would have found the first one's token and said that nothing was written.
    for (const [key, written] of results) {
      expect([key, (await backend.read(key)).state === 'value']).toEqual([key, written])
    }
  })
})

describe('Redis away at creation', () => {
  test('nothing is thrown, and it is used once it is there', async () => {
    const port = await freePort()
    const backend = open({ url: `redis://127.0.0.1:${port}` })
    expect(backend.now()).toBeGreaterThan(1_700_000_000_000)
    expect(await outcome(backend.read('k'))).toBe('SB_REDIS_UNREACHABLE')
    await redis.stop()
    redis = await startRedis({ port })
    await expect.poll(() => outcome(backend.ping()), { timeout: 5000 }).toBe(undefined)
    await put(backend, 'k', 'v')
    expect(warnings).toHaveLength(1)
  })

  test('an operation issued right after creation waits for the connection', async () => {
    expect(await open().read('k')).toMatchObject({ state: 'absent' })
  })
})

describe('a database of the URL', () => {
  test('holds the keys', async () => {
    const backend = open({ url: `${redis.url}/3` })
    await put(backend, 'k', 'v')
    expect(await redis.command('INFO', 'keyspace')).toContain('db3:keys=2')
    expect(await redis.command('DBSIZE')).toBe('0')
  })

  test('that the server does not have is no other one', async () => {
    const backend = open({ url: `${redis.url}/99` })
    expect(await outcome(backend.ping())).toBe('SB_REDIS_REFUSED')
    expect(await outcome(put(backend, 'k', 'v'))).toBe('SB_REDIS_REFUSED')
    const error: unknown = await Promise.resolve(backend.read('k')).catch((e: unknown) => e)
    expect(error).toMatchObject({ code: 'SB_REDIS_REFUSED', hint: /CONFIG GET databases/ })
    expect(await redis.command('DBSIZE')).toBe('0')
  })
})

describe('credentials', () => {
  test('are in no error and no warning', async () => {
    const secret = 'hunter2-secret'
    await redis.command('CONFIG', 'SET', 'requirepass', 'another')
    const { port } = redis
    const backend = open({ url: `redis://someone:${secret}@127.0.0.1:${port}` })
    const error: unknown = await Promise.resolve(backend.read('k')).catch((e: unknown) => e)
    expect(error).toMatchObject({ code: expect.stringMatching(/^SB_REDIS_/) })
    expect(warnings).toMatchObject([{ code: 'SB_REDIS_REFUSED', hint: /password/ }])
    for (const url of [`http://a:${secret}@h`, `redis//a:${secret}@h`, `${secret}@h:1`]) {
      let thrown: unknown
      try {
        redisCache({ url })
      } catch (caught) {
        thrown = caught
      }
      expect(thrown).toMatchObject({ code: 'SB_REDIS_URL' })
      warnings.push(thrown as SwitchbackError)
    }
    const told = inspect([error, ...warnings], { depth: 20, showHidden: true })
    expect(told).not.toContain('hunter2')
  })

  test('nor keys and values', async () => {
    const backend = open()
    await backend.ping()
    await redis.command('REPLICAOF', '127.0.0.1', '1')
    const error: unknown = await put(backend, 'private-key', 'private-value').catch((e) => e)
    expect(error).toMatchObject({ code: 'SB_REDIS_REFUSED', message: /READONLY/, hint: /replica/ })
    expect(inspect(error, { depth: 20, showHidden: true })).not.toContain('private')
  })
})

describe('Redis out of memory, nothing to be evicted', () => {
  test('an invalidation deletes and says so; a write is refused and changes nothing', async () => {
    const backend = open()
    await put(backend, 'k', 'v'.repeat(100))
    await put(backend, 'kept', 'v')
    await redis.command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction')
    await redis.command('CONFIG', 'SET', 'maxmemory', '1')
    expect(await outcome(put(backend, 'kept', 'v2'))).toBe('SB_REDIS_OUT_OF_MEMORY')
    expect(await backend.read('kept')).toMatchObject({ payload: 'v' })
    expect(await outcome(backend.invalidate('k', { within: WITHIN }))).toBe(
      'SB_REDIS_OUT_OF_MEMORY',
    )
    expect(await backend.read('k')).toMatchObject({ state: 'absent', token: '' })
    await redis.command('CONFIG', 'SET', 'maxmemory', '0')
    expect(await backend.invalidate('k', { within: WITHIN })).toMatchObject({ done: true })
  })

  test('a repayment that comes late deletes nothing that was written since it became due', async () => {
    const backend = open()
    await put(backend, 'older', 'v')
    await backend.invalidate('gone', { within: WITHIN })
    await put(backend, 'newer', 'v')
    const { writtenAt } = await backend.read('newer')
    const { writtenAt: due } = await backend.read('gone')
    const repay = (key: string, notBefore: number): Promise<unknown> =>
      outcome(backend.invalidate(key, { within: WITHIN, notBefore }))
    await redis.command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction')
    await redis.command('CONFIG', 'SET', 'maxmemory', '1')
    for (const key of ['gone', 'newer']) expect(await repay(key, due)).toMatch(/MEMORY/u)
    expect(await backend.read('gone')).toMatchObject({ state: 'tombstone' })
    expect(await backend.read('newer')).toMatchObject({ payload: 'v' })
    while (backend.now() < writtenAt + 100) await new Promise((resolve) => setTimeout(resolve, 20))
    expect(await repay('older', writtenAt + 1)).toMatch(/MEMORY/u)
    expect(await backend.read('older')).toMatchObject({ state: 'absent', token: '' })
    await redis.command('CONFIG', 'SET', 'maxmemory', '0')
  })
})

test.each([
  ['of the first version', `1v${'a'.repeat(12)}${'1'.repeat(26)}${'.'.repeat(12)}000000001|x`],
  ['of a later version', `3v${'a'.repeat(12)}${'1'.repeat(50)}${'.'.repeat(9)}|x`],
  ['that was cut short', `2v${'a'.repeat(12)}${'1'.repeat(38)}${'.'.repeat(12)}000000009|x`],
])('a cell %s: a miss, which one conditional write may replace', async (_, text) => {
  const backend = open()
  const place = (): Promise<string> => redis.command('SET', 'outage:k', text)
  await place()
  const cell = await backend.read('k')
  expect(cell).toMatchObject({ state: 'absent', payload: '' })
  const write = (payload: string): Promise<{ readonly written: boolean }> =>
    Promise.resolve(
      backend.write('k', { payload, expiresAt: NEVER }, { expect: cell.token, within: WITHIN }),
    )
  const results = await Promise.all([write('a'), write('b')])
  expect(results.map(({ written }) => written)).toEqual([true, false])
  expect(await backend.read('k')).toMatchObject({ state: 'value', payload: 'a' })
  await place()
  expect(await backend.invalidate('k', { within: WITHIN })).toMatchObject({ existed: false })
  expect(await backend.read('k')).toMatchObject({ state: 'tombstone' })
})

test('scripts that the server forgot are sent again', async () => {
  const backend = open()
  await put(backend, 'k', 'v')
  await redis.command('SCRIPT', 'FLUSH')
  await put(backend, 'k', 'v2')
  await redis.command('SCRIPT', 'FLUSH')
  expect(await backend.invalidate('k', { within: WITHIN })).toMatchObject({ existed: true })
})

test('cells leave Redis by themselves: a value tombstoneTtl after its expiry', async () => {
  const backend = redisCache({ url: redis.url, prefix: 'outage:', tombstoneTtl: 60_000 })
  opened.push(backend)
  await backend.ping()
  const entry = { payload: 'v', expiresAt: backend.now() + 30_000 }
  await backend.write('k', entry, { expect: ANY, within: WITHIN })
  const left = Number(await redis.command('PTTL', 'outage:k'))
  expect(left).toBeGreaterThan(85_000)
  expect(left).toBeLessThanOrEqual(90_000)
  await backend.invalidate('k', { within: WITHIN })
  expect(Number(await redis.command('PTTL', 'outage:k'))).toBeLessThanOrEqual(60_000)
})

test('clear escapes the prefix, and stops when told to', async () => {
  const mine = open({ prefix: 'a*[b]?\\^-:' })
  const others = open({ prefix: 'a-long-[b]x\\^-:' })
  await put(others, 'k', 'v')
  for (let i = 0; i < 3000; i += 300) {
    await Promise.all(Array.from({ length: 300 }, (_, j) => put(mine, `k${i + j}`, 'v')))
  }
  const abort = new AbortController()
  const cleared = mine.clear({ signal: abort.signal })
  setImmediate(() => abort.abort(new Error('enough')))
  await expect(cleared).rejects.toThrow('enough')
  await mine.clear()
  for (let i = 0; i < 3000; i += 100) {
    expect((await mine.read(`k${i}`)).state).toBe('tombstone')
  }
  expect((await others.read('k')).state).toBe('value')
  const calls = await redis.command('INFO', 'commandstats')
  expect(calls).not.toMatch(/cmdstat_(keys|flush\w+):/)
})
