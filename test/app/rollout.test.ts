import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createEvaluator, readFlags } from '../../src/rollout/index.ts'
import { until } from '../provision/support.ts'
import { startRedis, type TestRedis } from '../support/redis-server.ts'
import { type RunningService, split, startApp } from './child.ts'
import { ask, put } from './support.ts'

const USERS = Array.from({ length: 200 }, (_, index) => `user_${index}`)

let redis: TestRedis
beforeAll(async () => {
  redis = await startRedis()
})
afterAll(() => redis.stop())

describe('editing the flags file', () => {
  it('moves users, only from off to on, and back again', async () => {
    const app = await startApp([], { REDIS_URL: redis.url })
    const ten = await move(app, 10)
    expect(ten.length).toBeGreaterThan(0)

    const fifty = await move(app, 50)
    expect(fifty.length).toBeGreaterThan(ten.length)
    expect(fifty).toEqual(expect.arrayContaining(ten))

    const everybody = await move(app, 100)
    expect(everybody).toEqual(USERS)
    const writer = `${app.url}/users/a writer`
    expect(await ask(writer, put('written on the new side'))).toMatchObject({ side: 'on' })

    const nobody = await move(app, 0)
    expect(nobody).toEqual([])
    expect(await ask(writer)).toMatchObject({
      side: 'off',
      body: { data: 'written on the new side' },
    })
  })

  it('into something broken changes nothing and is reported; mended, it counts again', async () => {
    const app = await startApp([], { REDIS_URL: redis.url })
    const before = await move(app, 25)
    const logged = app.stderr().length
    app.edit((text) => text.replace('"flags"', '"flags'))
    await until('it is reported', () =>
      warnings(app.stderr().slice(logged)).some(({ from }) => from === 'sidecar'),
    )
    expect(on(await app.sidesOf(USERS))).toEqual(before)
    expect(await ask(`${app.url}/readyz`)).toMatchObject({ status: 200 })
    app.edit((text) => text.replace('"flags', '"flags"'))
    const after = await move(app, 50)
    expect(after).toEqual(expect.arrayContaining(before))
  })
})

/** Edits the split, waits until every user is where the file says, and resolves to who is on then. */
async function move(app: RunningService, share: number): Promise<string[]> {
  const next = split(share)(readFileSync(app.flagsFile, 'utf8'))
  const answer = createEvaluator(readFlags(next), 'use-redis')
  app.edit(() => next)
  let waiting = USERS
  await until(`everybody has moved to ${share} %`, async () => {
    const sides = await app.sidesOf(waiting)
    waiting = waiting.filter((user) => sides.get(user) !== answer(user))
    return waiting.length === 0
  })
  return on(await app.sidesOf(USERS))
}

function on(sides: ReadonlyMap<string, string>): string[] {
  return USERS.filter((user) => sides.get(user) === 'on')
}

function warnings(log: string): Record<string, unknown>[] {
  return log
    .split('\n')
    .filter((line) => line.startsWith('{') && line.endsWith('}'))
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter(({ level }) => Number(level) >= 40)
}
