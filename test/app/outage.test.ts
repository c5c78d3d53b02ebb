import { describe, expect, it, onTestFinished } from 'vitest'
import { until } from '../provision/support.ts'
import { startRedis, type TestRedis } from '../support/redis-server.ts'
import { type RunningService, split, startApp } from './child.ts'
import { ask, put } from './support.ts'
import { inFull } from '../support/full.ts'

const USERS = Array.from({ length: 40 }, (_, index) => `user_${index}`)

async function redisForTest(): Promise<TestRedis> {
  const redis = await startRedis()
  onTestFinished(() => redis.stop())
  return redis
}

/** The service with everybody on Redis, warm. */
async function appOnRedis(redis: TestRedis): Promise<RunningService> {
  const app = await startApp([], { REDIS_URL: redis.url })
  app.edit(split(100))
  await until('everybody hits Redis', async () => {
    const answers = await Promise.all(USERS.map((user) => ask(`${app.url}/users/${user}`)))
    return answers.every(({ side, servedBy, cache }) => {
      return side === 'on' && servedBy === 'on' && cache === 'hit'
    })
  })
  return app
}

type Outage = readonly [string, (redis: TestRedis) => unknown, (redis: TestRedis) => unknown]
const STOPPED: Outage = ['SIGSTOPped', (redis) => redis.freeze(), (redis) => redis.thaw()]
const KILLED: Outage = ['SIGKILLed', (redis) => redis.kill(), (redis) => redis.restart()]

describe.each(inFull([STOPPED], [STOPPED, KILLED]))('a Redis that is %s', (_, hurt, heal) => {
  it('leaves every request a 200 with the right answer, and is used again when it is back', async () => {
    const redis = await redisForTest()
    const app = await appOnRedis(redis)
    let round = 0
    /** Reads everybody, writes one user and reads them back; all of it must be right. */
    const everyRequest = async (): Promise<void> => {
      round += 1
      await app.sidesOf(USERS)
      const writer = `${app.url}/users/writer`
      const data = `round ${round}`
      expect(await ask(writer, put(data))).toMatchObject({ status: 200 })
      expect(await ask(writer)).toMatchObject({ status: 200, body: { data } })
      expect(await ask(`${writer}/cache`, { method: 'DELETE' })).toMatchObject({ status: 200 })
      expect(await ask(writer)).toMatchObject({ status: 200, body: { data } })
    }
    await everyRequest()
    await hurt(redis)
    for (let i = 0; i < 5; i += 1) await everyRequest()
    const degraded = await ask(`${app.url}/readyz`)
    expect(degraded).toMatchObject({
      status: 200,
      body: { status: 'degraded', checks: { on: { ok: false } } },
    })
    expect((await ask(`${app.url}/users/user_0`)).cache).toBe('fallback')

    await heal(redis)
    await until('Redis serves again', async () => {
      await everyRequest()
      return (await ask(`${app.url}/users/user_0`)).servedBy === 'on'
    })
    await until('all is well', async () => {
      return ((await ask(`${app.url}/readyz`)).body as { status: string }).status === 'ok'
    })
  })
})

describe('no Redis at all', () => {
  it('is said at start and in /readyz, and the file side serves everybody', async () => {
    const env = { PATH: '/nonexistent', SWITCHBACK_NO_INSTALL: '1' }
    const app = await startApp([], env)
    expect(app.stdout()).toMatch(
      /redis\s+none: no redis-server on PATH, and SWITCHBACK_NO_INSTALL forbids installing it/,
    )
    app.edit(split(100))
    await until('a user of the Redis side', async () => {
      const answer = await ask(`${app.url}/users/user_0`)
      expect(answer.status).toBe(200)
      return answer.side === 'on' && answer.cache === 'fallback'
    })
    await app.sidesOf(USERS)
    expect(await ask(`${app.url}/readyz`)).toMatchObject({
      status: 200,
      body: { status: 'degraded', checks: { on: { ok: false } } },
    })
  })
})
