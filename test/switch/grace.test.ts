// @needs redis
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { OperationInfo } from '../../src/switch/index.ts'
import { deferred } from '../support/deferred.ts'
import { type Actor, until, World } from '../support/world.ts'

let world: World
let actor: Actor

beforeAll(async () => {
  world = await World.create()
  actor = world.actor()
})
afterAll(() => world.close())

const OUT = new Error('the origin is out')
const fails = (): never => {
  throw OUT
}

/** A value that was set and has expired. */
async function expired(user: string, value: string): Promise<string> {
  const key = world.key()
  await actor.cache.for({ targetingKey: user }).set(key, value, { ttl: 1 })
  const until = Date.now() + 5
  while (Date.now() < until) await new Promise((resolve) => setTimeout(resolve, 5))
  return key
}

function viewOf(user: string): {
  view: ReturnType<Actor['cache']['for']>
  told: OperationInfo[]
} {
  const told: OperationInfo[] = []
  const view = actor.cache.for({ targetingKey: user }, { onOperation: (one) => told.push(one) })
  return { view, told }
}

describe.each(['off', 'on'] as const)('grace on the %s side', (side) => {
  const user = `${side}-user`
  const other = side === 'on' ? 'off-user' : 'on-user'

  test('an expired value is served when the loader fails, which the outcome tells', async () => {
    const key = await expired(user, 'old')
    const { view, told } = viewOf(user)
    await expect(view.getOrSet(key, fails, { grace: '1m' })).resolves.toBe('old')
    expect(told).toMatchObject([{ operation: 'getOrSet', outcome: 'stale', servedBy: side }])
    // It is not stored again, and `get` does not know it.
    await expect(view.get(key)).resolves.toBeUndefined()
    await expect(view.getOrSet(key, () => 'new', { grace: '1m' })).resolves.toBe('new')
    await expect(view.get(key)).resolves.toBe('new')
  })

  test('without grace, or after it, the caller hears what the loader threw', async () => {
    const key = await expired(user, 'old')
    const { view, told } = viewOf(user)
    await expect(view.getOrSet(key, fails)).rejects.toBe(OUT)
    await expect(view.getOrSet(key, fails, { grace: 1 })).rejects.toBe(OUT)
    await expect(view.getOrSet(world.key(), fails, { grace: '1m' })).rejects.toBe(OUT)
    expect(told.map(({ outcome }) => outcome)).toEqual(['miss', 'miss', 'miss'])
  })

  test.each([
    ['deleted', user],
    ['deleted on the other side', other],
  ])('what was %s is never served', async (_, deleter) => {
    await isNeverServed((key) => viewOf(deleter).view.delete(key))
  })

  test.each([
    ['here', user],
    ['on the other side', other],
  ])('what was replaced %s is never served', async (_, writer) => {
    const key = await expired(user, 'old')
    const { view, told } = viewOf(user)
    const gate = deferred<void>()
    const loading = view.getOrSet(key, () => gate.promise.then(fails), { grace: '1m' })
    await viewOf(writer).view.set(key, 'new')
    gate.resolve()
    // What another caller has stored meanwhile is better than an error.
    if (writer === user) await expect(loading).resolves.toBe('new')
    else await expect(loading).rejects.toBe(OUT)
    expect(told[0]!.outcome).toBe(writer === user ? 'hit' : 'miss')
  })

  async function isNeverServed(remove: (key: string) => Promise<unknown>): Promise<void> {
    const key = await expired(user, 'old')
    const { view } = viewOf(user)
    await remove(key)
    await expect(view.getOrSet(key, fails, { grace: '1m' })).rejects.toBe(OUT)
    // Nor when it happens while the loader runs.
    const late = await expired(user, 'old')
    const gate = deferred<void>()
    const loading = view.getOrSet(late, () => gate.promise.then(fails), { grace: '1m' })
    await remove(late)
    gate.resolve()
    await expect(loading).rejects.toBe(OUT)
  }

  test('after a soft timeout it is served while the loader goes on', async () => {
    const key = await expired(user, 'old')
    const { view, told } = viewOf(user)
    const gate = deferred<string>()
    let loads = 0
    const load = (): Promise<string> => {
      loads += 1
      return gate.promise
    }
    const options = { grace: '1m', softTimeout: 1 } as const
    await expect(view.getOrSet(key, load, options)).resolves.toBe('old')
    await expect(view.getOrSet(key, load, options)).resolves.toBe('old')
    expect(told.map(({ outcome }) => outcome)).toEqual(['stale', 'stale'])
    const waiting = view.getOrSet(key, load)
    gate.resolve('new')
    await expect(waiting).resolves.toBe('new')
    expect(loads).toBe(1)
    await expect(view.get(key)).resolves.toBe('new')
  })

  test('a loader that fails after a soft timeout rejects nothing', async () => {
    const key = await expired(user, 'old')
    const { view } = viewOf(user)
    const gate = deferred<string>()
    const options = { grace: '1m', softTimeout: 1 } as const
    await expect(view.getOrSet(key, () => gate.promise, options)).resolves.toBe('old')
    gate.reject(OUT)
    await expect(view.getOrSet(key, fails, options)).resolves.toBe('old')
  })

  // The last: for a while the files trust nothing after it.
  test('what was cleared is never served', () => isNeverServed(() => actor.cache.clear()))
})

test('what cannot be meant is refused', async () => {
  const { view } = viewOf('on-user')
  const key = world.key()
  const load = (): string => 'new'
  await expect(view.getOrSet(key, load, { softTimeout: 5 })).rejects.toMatchObject({
    code: 'SB_OPTION_INVALID',
  })
  await expect(view.getOrSet(key, load, { grace: 'soon' as '1m' })).rejects.toMatchObject({
    code: 'SB_TTL_INVALID',
  })
})

test('what another machine has replaced is not served from an old side of its own', async () => {
  const [one, two] = ['a', 'b'].map((machine) => world.actor({ machine, prefix: 'grace:' })) as [
    Actor,
    Actor,
  ]
  const key = world.key()
  await one.offUser.set(key, 'old', { ttl: 1 })
  await two.offUser.set(key, 'other')
  await until('they have met', () => one.cache.health().follower?.live === true)
  await one.offUser.set(key, 'old', { ttl: 1 })
  const load = (): Promise<string> =>
    one.offUser.getOrSet(key, fails, { grace: '1m' }).catch(() => 'none')
  await until('it has expired', async () => (await one.offUser.get(key)) === undefined)
  expect(await load()).toBe('old')
  await two.offUser.set(key, 'new')
  // Within a second, as any value there.
  await until('it is told', async () => (await load()) !== 'old')
  expect(await load()).toBe('none')
})
