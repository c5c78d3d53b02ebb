import { OpenFeature, ProviderEvents } from '@openfeature/server-sdk'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Decider } from '../../src/flags/index.ts'
import type { Side } from '../../src/side.ts'
import { until } from '../support/world.ts'
import { VENDORS } from './all.ts'
import { type Business, openOnFiles } from './business.ts'
import { FLAG, PILOT, type RunningVendor } from './vendor.ts'
import { inFull } from '../support/full.ts'

const USERS = Array.from({ length: inFull(20, 40) }, (_, index) => `user ${index}`)

describe.each(VENDORS)('$name', ({ name, facts, start }) => {
  const domain = `vendor ${name}`
  const split = facts.targeting === 'split'
  let vendor: RunningVendor
  let decider: Decider
  let business: Business
  let strangers = 0

  beforeAll(async () => {
    vendor = await start(domain)
    decider = vendor.source.createDecider({ flag: FLAG, rememberMs: 200 })
    business = openOnFiles(decider)
  })

  afterAll(async () => {
    await business.close()
    await decider.close()
    await vendor.close()
  })

  /** A user whom nobody has decided for. */
  const stranger = (): string => `stranger ${++strangers}`

  async function sides(): Promise<Map<string, Side>> {
    const infos = await Promise.all(USERS.map((user) => business.operation({ targetingKey: user })))
    return new Map(USERS.map((user, index) => [user, infos[index]!.side]))
  }

  async function usersOn(): Promise<Set<string>> {
    return new Set([...(await sides())].filter(([, side]) => side === 'on').map(([user]) => user))
  }

  /** What the provider itself says, through the SDK alone: reason and variant, or the error. */
  async function said(targetingKey?: string): Promise<string> {
    const context = targetingKey === undefined ? {} : { targetingKey }
    const client = OpenFeature.getClient(domain)
    const details = await client.getBooleanDetails(FLAG, false, context)
    return details.errorCode ?? `${details.reason}, ${details.variant ?? '–'}`
  }

  async function putAndSee(share: number): Promise<Set<string>> {
    const seen = await usersOn()
    await vendor.put({ share })
    if (share === 0 || share === 100) {
      await until(
        `a share of ${share}`,
        async () => (await usersOn()).size === (share * USERS.length) / 100,
      )
    } else {
      await until('another share', async () => (await usersOn()).size !== seen.size)
      // The change is there; each user's remembered decision follows.
      await until('an answer for everybody', async () => {
        const before = await usersOn()
        await new Promise((resolve) => setTimeout(resolve, 210))
        const after = await usersOn()
        return before.size === after.size
      })
    }
    return usersOn()
  }

  it('serves the business code, whoever asks', async () => {
    expect(decider.health()).toMatchObject({ ok: true, status: 'READY' })
    for (const user of [PILOT, ...USERS]) expect(await business.ask(user)).toBe(`name of ${user}`)
    expect(business.profiles.loads).toBe(USERS.length + 1)
    for (const user of [PILOT, ...USERS]) await business.ask(user)
    expect(business.profiles.loads).toBe(USERS.length + 1)
    // Who is answered too late on a busy machine is off until the next answer.
    const pilot = async (): Promise<Side> =>
      (await business.operation({ targetingKey: PILOT })).side
    await until('the side of the pilot', async () => (await pilot()) === (split ? 'on' : 'off'))
    expect((await usersOn()).size).toBe(0)
    const remembered = async (): Promise<boolean> =>
      (await decider.decide({ targetingKey: PILOT })).source === 'remembered'
    await until('a remembered answer', remembered)
  })

  it('widens without losing anybody, and takes everybody back with nothing stale', async () => {
    const steps = split ? [30, 60, 100] : [100]
    let before = new Set<string>()
    for (const share of steps) {
      const now = await putAndSee(share)
      expect(now.size).toBeGreaterThan(before.size)
      for (const user of before) expect(now).toContain(user)
      before = now
    }
    const loads = business.profiles.loads
    for (const user of USERS) expect(await business.ask(user)).toBe(`name of ${user}`)
    // Every value has moved over.
    expect(business.profiles.loads).toBe(loads)

    for (const user of USERS) await business.rename(user, `new ${user}`)
    expect((await putAndSee(0)).size).toBe(0)
    for (const user of USERS) expect(await business.ask(user)).toBe(`new ${user}`)
  })

  it('answers in its own words, and announces a change or does not', async () => {
    const client = OpenFeature.getClient(domain)
    let announced = false
    const heard = (): void => {
      announced = true
    }
    client.addHandler(ProviderEvents.ConfigurationChanged, heard)
    await vendor.put({ share: 50 })
    const ask = (user: string): Promise<boolean> =>
      client.getBooleanValue(FLAG, false, { targetingKey: user })
    const on = async (): Promise<string | undefined> => {
      for (const user of USERS) if (await ask(user)) return user
      return undefined
    }
    await until('somebody on', async () => (await on()) !== undefined)
    expect(await said(await on())).toBe(facts.on)
    expect(await said()).toBe(facts.nobody)
    if (facts.announces) await until('an event', () => announced)
    else expect(announced).toBe(false)
    client.removeHandler(ProviderEvents.ConfigurationChanged, heard)
  })

  it('serves a request that nobody is known for', async () => {
    const info = await business.operation({})
    expect(['off', 'on']).toContain(info.side)
    expect(info.outcome).toBe('miss')
    if (split) expect(info.side).toBe('off')
    // Whatever is no string is made one.
    const number = { targetingKey: 7 } as unknown as { targetingKey: string }
    expect((await business.operation(number)).side).toBe(
      (await business.operation({ targetingKey: '7' })).side,
    )
  })

  it('fails no request when the flag becomes a string, and puts nobody new on', async () => {
    await putAndSee(100)
    await vendor.put('text')
    await until('the string', async () => (await said(stranger())) === facts.text)
    const { side } = await business.operation({ targetingKey: stranger() })
    expect(side).toBe('off')
    const refused = !facts.text.includes(',')
    if (refused) expect((await business.operation({ targetingKey: USERS[0]! })).side).toBe('on')
    for (const user of USERS) expect(await business.ask(user)).toBe(`new ${user}`)
  })

  it('fails no request when the flag is deleted, and everybody is off', async () => {
    await putAndSee(100)
    await vendor.put('missing')
    await until('nobody on', async () => (await usersOn()).size === 0)
    // Everybody may be off a moment before the service has forgotten the flag.
    await until('the deleted flag', async () => (await said(stranger())) === facts.missing)
    for (const user of USERS) expect(await business.ask(user)).toBe(`new ${user}`)
  })

  it('keeps everybody where they are when the service dies, and after the end', async () => {
    const before = await putAndSee(100)
    await vendor.die?.()
    for (const user of USERS) expect(await business.ask(user)).toBe(`new ${user}`)
    expect(await usersOn()).toEqual(before)
    expect((await business.operation({ targetingKey: stranger() })).outcome).toBe('miss')

    await vendor.source.close()
    expect((await business.operation({ targetingKey: stranger() })).outcome).toBe('miss')
    for (const user of USERS) expect(await business.ask(user)).toBe(`new ${user}`)
    expect((await usersOn()).size).toBeLessThanOrEqual(USERS.length)
  })
})
