// @needs redis
import { Redis } from 'ioredis'
import { afterEach, describe, expect, it } from 'vitest'
import { redisCache } from '../../src/cache/index.ts'
import { main } from '../../src/cli/index.ts'
import { createCacheSwitch, createTelemetry, memoryCache } from '../../src/index.ts'
import { fakeProcess, type FakeProcess, type FakeSays } from '../support/fake-process.ts'
import { FixedDecider } from '../support/fixed-decider.ts'
import { redisServerAvailable, startRedis } from '../support/redis-server.ts'

const processes: FakeProcess[] = []

afterEach(async () => {
  await Promise.all(processes.splice(0).map((one) => one[Symbol.asyncDispose]()))
})

interface Ended {
  readonly code: number
  readonly text: string
}

async function migrate(says: readonly FakeSays[], ...args: readonly string[]): Promise<Ended> {
  const asked: string[] = []
  for (const one of says) {
    const process = await fakeProcess(one)
    processes.push(process)
    asked.push('--metrics', process.url)
  }
  let text = ''
  const write = (part: string): void => void (text += part)
  const code = await main({
    argv: ['migrate', ...args, ...asked],
    env: {},
    stdin: process.stdin,
    stdout: { write },
    stderr: { write },
    signal: new AbortController().signal,
  })
  return { code, text }
}

const BOTH: FakeSays = { on: 0, stage: 'both' }
const RETIRED: FakeSays = { on: 100, stage: 'retire-off', owed: 0 }
const ANY_REDIS = ['--redis', 'redis://127.0.0.1:1']

describe('switchback migrate', () => {
  it.each<[string, FakeSays, readonly string[], RegExp]>([
    ['enter', { on: 0, plain: true }, ANY_REDIS, /runs without the switch/],
    ['enter', { on: 0 }, ANY_REDIS, /does not say where it stands: its Switchback is older/],
    ['enter', { ...BOTH, on: 1 }, ANY_REDIS, /sends 1 % of its users to the new side already/],
    ['enter', RETIRED, ANY_REDIS, /has retire: 'off'/],
    ['leave', BOTH, [], /still uses both sides/],
    ['leave', { ...RETIRED, owed: 3 }, [], /has 3 invalidations pending/],
    ['leave', { on: 0, plain: true }, [], /runs without the switch/],
    ['return', BOTH, [], /still uses both sides/],
    ['return', { on: 0, plain: true }, [], /runs without the switch/],
  ])('refuses to %s while a process is not ready: %o', async (step, says, args, cause) => {
    const good = step === 'enter' ? BOTH : RETIRED
    const { code, text } = await migrate([good, says], step, ...args)
    expect(text).toMatch(/1 of 2 processes are ready/)
    expect(text).toMatch(cause)
    expect(text).toContain(processes[1]!.url.split('/')[2])
    expect(code).toBe(1)
  })

  it('does not know about a process that does not answer', async () => {
    const { code, text } = await migrate(
      [RETIRED],
      'leave',
      '--metrics',
      'http://127.0.0.1:1/metrics',
    )
    expect(text).toMatch(/127\.0\.0\.1:1 refuses the connection/)
    expect(code).toBe(3)
  })

  it('names what a wrong command line lacks', async () => {
    expect(await migrate([], 'leave')).toMatchObject({
      code: 2,
      text: expect.stringMatching(/no process is named/),
    })
    expect(await migrate([BOTH], 'enter')).toMatchObject({
      code: 2,
      text: expect.stringMatching(/--redis/),
    })
    expect(await migrate([BOTH], 'go')).toMatchObject({
      code: 2,
      text: expect.stringMatching(/not a step/),
    })
  })

  it('leaves when all are retired, and says what comes next', async () => {
    const { code, text } = await migrate([RETIRED, RETIRED], 'leave')
    expect(text).toMatch(/2 of 2 processes are ready[^]*replace the switch by the plain cache/)
    expect(code).toBe(0)
  })

  it.skipIf(!redisServerAvailable())('enters, and returns, with a new era', async () => {
    await using redis = await startRedis()
    const leftover = async (): Promise<string> => {
      const store = redisCache({ url: redis.url })
      await store.ping()
      const { payload } = await store.read('k')
      await store.close()
      return payload
    }
    const store = redisCache({ url: redis.url })
    const cell = { payload: '"old"', expiresAt: Date.now() + 60_000 }
    for (const [step, option, says] of [
      ['enter', '--redis', BOTH],
      ['return', '--old-redis', RETIRED],
    ] as const) {
      await store.ping()
      await store.write('k', cell, { expect: '*', within: 5000 })
      expect(await leftover()).toBe('"old"')
      const { code, text } = await migrate([says], step, option, redis.url, '--json')
      expect(JSON.parse(text)).toMatchObject({ ok: true, step, known: 1, ready: 1, renewed: 1 })
      expect(code).toBe(0)
      expect(await leftover()).toBe('')
    }
    await store.close()
  })

  it.skipIf(!redisServerAvailable())(
    'of plain values: return begins their era, enter leaves them adopted, and what is not known is refused',
    async () => {
      await using redis = await startRedis()
      const client = new Redis(redis.url)
      const at = (step: string, ...args: readonly string[]) =>
        migrate([step === 'enter' ? BOTH : RETIRED], step, ...args)
      const named = ['--old-redis', redis.url]
      try {
        // One line says what is to be added; nothing is begun in a Redis that no switch has used.
        const unused = await at('return', ...named, '--old-values', 'plain')
        expect(unused).toMatchObject({ code: 2, text: expect.stringMatching(/^[^\n]+\n$/) })
        expect(unused.text).toMatch(
          /no new era was begun: no switch with plain values .* --old-redis/,
        )
        await client.set('user:1', '{"v":1}')
        const reads = async (): Promise<string> => {
          const store = redisCache({ url: redis.url, values: 'plain' })
          await store.ping()
          const { payload } = await store.read('user:1')
          await store.close()
          return payload
        }
        expect(await reads()).toBe('{"v":1}')
        expect((await at('return', ...named)).text).toMatch(
          /but one with plain.* --old-values plain/,
        )
        const wrong = ['--old-values', 'plain', '--old-prefix', 'x:']
        expect((await at('return', ...named, ...wrong)).text).toMatch(/give --old-prefix=/)
        expect(await client.keys('*')).not.toContain('switchback:cache:#state')

        // Warm at 0 %: what other programs have there is not thrown away.
        const fresh = redisCache({ url: redis.url, prefix: 'new:' })
        await fresh.ping()
        await fresh.close()
        const enter = [
          '--redis',
          redis.url,
          '--values',
          'cells',
          '--prefix',
          'new:',
          ...named,
          '--old-prefix=',
        ]
        const entered = await at('enter', ...enter, '--old-values', 'plain')
        expect(entered).toMatchObject({
          code: 0,
          text: expect.stringContaining('on the new side,'),
        })
        expect(await reads()).toBe('{"v":1}')

        // An era of cells that somebody began by mistake: which one is meant is not guessed.
        await client.hset('switchback:cache:#state', 'last', '1')
        expect(await at('return', ...named)).toMatchObject({
          code: 2,
          text: expect.stringMatching(/two switches: .* --old-values cells, or --old-values plain/),
        })
        const returned = await at('return', ...named, '--old-values', 'plain')
        expect(returned).toMatchObject({ code: 0, text: expect.stringContaining('(plain values)') })
        expect(await reads()).toBe('')
        expect(await client.get('user:1')).toBe('{"v":1}')
      } finally {
        client.disconnect()
      }
    },
  )

  it('reads where a real cache stands', async () => {
    for (const [retire, stage] of [
      [undefined, 'both'],
      ['off', 'retire-off'],
    ] as const) {
      const telemetry = createTelemetry({ meter: false })
      const options = retire === undefined ? {} : { retire }
      const [off, on] = [memoryCache(), memoryCache()]
      const decider = new FixedDecider()
      const cache = createCacheSwitch({ flag: 'f', decider, off, on, telemetry, ...options })
      expect(telemetry.prometheus()).toContain(
        `switchback_stage_info{cache="cache",stage="${stage}"} 1`,
      )
      await cache.close()
      telemetry.close()
    }
  })
})
