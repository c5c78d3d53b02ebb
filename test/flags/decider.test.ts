import { stat } from 'node:fs'
import { InMemoryProvider, OpenFeature, ProviderEvents } from '@openfeature/server-sdk'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { createDecider, runAs } from '../../src/flags/index.ts'
import type { Decider, DecisionContext, DeciderOptions, FlagsEvent } from '../../src/flags/index.ts'
import { ScriptedProvider, domainOf, fails, off, on, until } from '../support/flags-providers.ts'

const open: Decider[] = []

async function deciderOn(
  provider: ScriptedProvider,
  options: Partial<DeciderOptions> = {},
): Promise<Decider> {
  const decider = createDecider({
    flag: 'f',
    domain: await domainOf(provider),
    // These tests count who is asked for.
    liveSplit: false,
    ...options,
  })
  open.push(decider)
  return decider
}

/** Remembered for as long as the test runs. */
const LONG = { rememberMs: 3_600_000 }
const user = { targetingKey: 'u' }

afterEach(async () => {
  await Promise.all(open.splice(0).map((decider) => decider.close()))
})
afterAll(() => OpenFeature.clearProviders())

describe('remembering', () => {
  it('asks once, and then answers synchronously', async () => {
    const provider = new ScriptedProvider()
    const decider = await deciderOn(provider, LONG)
    expect(await decider.decide(user)).toEqual({
      side: 'on',
      variant: 'on',
      reason: 'TARGETING_MATCH',
      errorCode: '',
      source: 'live',
    })
    const again = decider.decide(user)
    expect(again).toMatchObject({ side: 'on', source: 'remembered' })
    expect(decider.decide({ targetingKey: 'u' })).toBe(again)
    expect(provider.asked).toHaveLength(1)
  })

  it('asks once for all who ask at the same time', async () => {
    const provider = new ScriptedProvider()
    const decider = await deciderOn(provider, LONG)
    const all = await Promise.all(Array.from({ length: 100 }, () => decider.decide(user)))
    expect(new Set(all).size).toBe(1)
    expect(provider.asked).toHaveLength(1)
  })

  it('keeps users and attributes apart', async () => {
    const provider = new ScriptedProvider()
    provider.rule = ({ targetingKey, plan }) => ({
      value: targetingKey === 'a' || plan === 'internal',
      variant: 'x',
    })
    const decider = await deciderOn(provider, LONG)
    const side = async (context: DecisionContext): Promise<string> =>
      (await decider.decide(context)).side
    for (let round = 0; round < 2; round++) {
      expect(await side({ targetingKey: 'a' })).toBe('on')
      expect(await side({ targetingKey: 'b' })).toBe('off')
      expect(await side({ targetingKey: 'b', plan: 'internal' })).toBe('on')
      expect(await side({ plan: 'internal', targetingKey: 'b' })).toBe('on')
      expect(await side({ targetingKey: 'b', plan: 'free' })).toBe('off')
      expect(await side({})).toBe('off')
    }
    expect(provider.asked).toHaveLength(5)
  })

  it('gives a changed configuration to everybody at their next operation', async () => {
    const provider = new ScriptedProvider()
    const decider = await deciderOn(provider, LONG)
    await decider.decide(user)
    provider.rule = off
    expect(await decider.decide(user)).toMatchObject({ side: 'on', source: 'remembered' })
    provider.emit(ProviderEvents.ConfigurationChanged)
    expect(await decider.decide(user)).toMatchObject({ side: 'off', source: 'live' })
  })

  it('asks about every user after a change, also about hundreds in one turn', async () => {
    const provider = new ScriptedProvider()
    const decider = await deciderOn(provider, { ...LONG, deadlineMs: 60_000 })
    const users = Array.from({ length: 500 }, (_, i) => ({ targetingKey: `user_${i}` }))
    const sides = async (): Promise<Set<string>> =>
      new Set(
        (await Promise.all(users.map((each) => decider.decide(each)))).map(({ side }) => side),
      )
    expect(await sides()).toEqual(new Set(['on']))
    provider.rule = off
    provider.emit(ProviderEvents.ConfigurationChanged)
    expect(await sides()).toEqual(new Set(['off']))
  })

  it('does not take an answer of before a change for one of after it', async () => {
    const provider = new ScriptedProvider()
    const decider = await deciderOn(provider, { ...LONG, deadlineMs: 60_000 })
    provider.hang()
    const before = decider.decide(user)
    await until(() => provider.hanging === 1)
    provider.emit(ProviderEvents.ConfigurationChanged)
    provider.release()
    await before
    provider.rule = off
    expect(await decider.decide(user)).toMatchObject({ side: 'off', source: 'live' })
  })

  it('follows a provider without events within the bound, refreshing in the background', async () => {
    const provider = new ScriptedProvider()
    const decider = await deciderOn(provider, { rememberMs: 40, deadlineMs: 5_000 })
    await decider.decide(user)
    provider.rule = off
    const sources = new Set<string>()
    await until(async () => {
      const decision = await decider.decide(user)
      sources.add(decision.source)
      return decision.side === 'off'
    })
    expect(sources.has('remembered')).toBe(true)
  })

  it('sheds background refreshes when too many are under way', async () => {
    const provider = new ScriptedProvider()
    // From half of this on a decision is refreshed, and it never expires within the test.
    const decider = await deciderOn(provider, { rememberMs: 2_000, deadlineMs: 60_000 })
    const users = Array.from({ length: 500 }, (_, i) => ({ targetingKey: `user_${i}` }))
    await Promise.all(users.map((each) => decider.decide(each)))
    provider.hang()
    await until(() => {
      for (const each of users) decider.decide(each)
      return provider.hanging > 0
    })
    for (const each of users) expect(decider.decide(each)).not.toBeInstanceOf(Promise)
    expect(provider.hanging).toBeLessThanOrEqual(64)
    provider.release()
  })

  it('is bounded', async () => {
    const provider = new ScriptedProvider()
    const decider = await deciderOn(provider, { ...LONG, maxRemembered: 100 })
    for (let i = 0; i < 1_000; i++) await decider.decide({ targetingKey: `user_${i}` })
    const asked = provider.asked.length
    // The latest are known, the first ones long forgotten.
    for (let i = 960; i < 1_000; i++) await decider.decide({ targetingKey: `user_${i}` })
    expect(provider.asked).toHaveLength(asked)
    for (let i = 0; i < 10; i++) await decider.decide({ targetingKey: `user_${i}` })
    expect(provider.asked).toHaveLength(asked + 10)
  })
})

describe('the context', () => {
  it('is the transaction’s, across await, unless one is passed', async () => {
    const provider = new ScriptedProvider()
    const decider = await deciderOn(provider, { feature: 'avatars', ...LONG })
    await runAs({ targetingKey: 'from-request', plan: 'internal' }, async () => {
      await new Promise((resolve) => setTimeout(resolve, 5))
      expect(decider.targetingKeyOf()).toBe('from-request')
      await decider.decide()
      await decider.decide({ targetingKey: 'explicit' })
    })
    await decider.decide()
    expect(provider.asked).toEqual([
      { targetingKey: 'from-request', plan: 'internal', feature: 'avatars' },
      // Nothing of the transaction is mixed in: one decision for one key.
      { targetingKey: 'explicit', feature: 'avatars' },
      { feature: 'avatars' },
    ])
  })

  it('keeps concurrent transactions apart', async () => {
    const provider = new ScriptedProvider()
    provider.rule = ({ targetingKey }) => ({ value: Number(targetingKey) % 2 === 1, variant: '' })
    const decider = await deciderOn(provider, LONG)
    const wrong: number[] = []
    const request = async (i: number): Promise<void> => {
      await new Promise((resolve) => setTimeout(resolve, i % 7))
      const { side } = await decider.decide()
      if (side !== (i % 2 === 1 ? 'on' : 'off')) wrong.push(i)
    }
    await Promise.all(Array.from({ length: 200 }, (_, i) => runAs(`${i}`, () => request(i))))
    expect(wrong).toEqual([])
  })

  it('makes targeting keys strings, whatever plain JavaScript passes', async () => {
    const provider = new ScriptedProvider()
    const decider = await deciderOn(provider, LONG)
    await decider.decide({ targetingKey: 7 as unknown as string })
    await decider.decide({ targetingKey: '7' })
    expect(provider.asked).toEqual([{ targetingKey: '7' }])
    expect(decider.targetingKeyOf({ targetingKey: 7 as unknown as string })).toBe('7')
  })

  it('survives attributes that cannot be remembered', async () => {
    const decider = await deciderOn(new ScriptedProvider(), LONG)
    const loop: Record<string, unknown> = { targetingKey: 'u' }
    loop['self'] = loop
    expect(await decider.decide(loop as { targetingKey: string })).toMatchObject({ side: 'off' })
  })
})

describe('a flag service that fails', () => {
  it('holds known users and gives off to unknown ones, at once after a few misses', async () => {
    const events: FlagsEvent[] = []
    const provider = new ScriptedProvider()
    const decider = await deciderOn(provider, {
      deadlineMs: 10,
      rememberMs: 0,
      onEvent: (event) => events.push(event),
    })
    await decider.decide(user)
    provider.hang()
    for (let i = 0; i < 3; i++) {
      expect(await decider.decide(user)).toMatchObject({ side: 'on', source: 'held' })
    }
    expect(decider.decide(user)).toMatchObject({ side: 'on', source: 'held' })
    expect(decider.decide({ targetingKey: 'new' })).toMatchObject({
      side: 'off',
      source: 'default',
    })
    expect(decider.health()).toMatchObject({ ok: false, status: 'READY' })
    expect(decider.health().detail).toContain('no answer within 10 ms')
    expect(events.filter(({ level }) => level === 'warn')).toHaveLength(1)

    // Tries again by itself, one evaluation at a time.
    const before = provider.hanging
    await until(() => {
      for (let i = 0; i < 50; i++) decider.decide({ targetingKey: `new-${i}` })
      return provider.hanging > before
    })
    expect(provider.hanging).toBe(before + 1)

    provider.release()
    await until(() => decider.health().ok)
    expect(await decider.decide({ targetingKey: 'new' })).toMatchObject({ source: 'live' })
    expect(events.at(-1)?.level).toBe('info')
    expect(events.filter(({ level }) => level === 'warn')).toHaveLength(1)
  })

  it('learns from an answer that came too late, but never over a newer one', async () => {
    const provider = new ScriptedProvider()
    const decider = await deciderOn(provider, { deadlineMs: 10, ...LONG })
    provider.hang()
    const early = { targetingKey: 'early' }
    expect(await decider.decide(early)).toMatchObject({ side: 'off', source: 'default' })
    provider.release()
    await until(() => {
      const decision = decider.decide(early)
      return !(decision instanceof Promise) && decision.source === 'remembered'
    })
    expect(decider.decide(early)).toMatchObject({ side: 'on' })
  })

  it('lets a user wait for nothing once, not at each operation', async () => {
    const provider = new ScriptedProvider()
    provider.resolveBooleanEvaluation = async (_flag, _value, context) => {
      if (context.targetingKey === 'unlucky') await new Promise(() => {})
      return { value: true, variant: 'on' }
    }
    const decider = await deciderOn(provider, { deadlineMs: 10 })
    const unlucky = { targetingKey: 'unlucky' }
    expect(await decider.decide(unlucky)).toMatchObject({ side: 'off', source: 'default' })
    expect(decider.decide(unlucky)).toMatchObject({ side: 'off', source: 'default' })
    // The others are served as ever.
    expect(await decider.decide(user)).toMatchObject({ side: 'on', source: 'live' })
    expect(decider.health().ok).toBe(true)
  })

  it('keeps the newer answer when an older evaluation comes back after it', async () => {
    const answers: ((value: boolean) => void)[] = []
    const provider = new ScriptedProvider()
    provider.resolveBooleanEvaluation = () =>
      new Promise((resolve) => {
        answers.push((value) => resolve({ value, variant: String(value) }))
      })
    const decider = await deciderOn(provider, { deadlineMs: 20, ...LONG })
    await decider.decide(user)
    provider.emit(ProviderEvents.ConfigurationChanged)
    const second = decider.decide(user)
    await until(() => answers.length === 2)
    answers[1]?.(false)
    expect(await second).toMatchObject({ side: 'off', source: 'live' })
    answers[0]?.(true)
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(await decider.decide(user)).toMatchObject({ side: 'off', source: 'remembered' })
  })

  it('does not give up on READY: a provider that is back is asked at once', async () => {
    const provider = new ScriptedProvider()
    const decider = await deciderOn(provider, { deadlineMs: 10, rememberMs: 0 })
    provider.emit(ProviderEvents.Stale, 'connection lost')
    provider.hang()
    await decider.decide(user)
    expect(decider.health()).toMatchObject({ ok: false, status: 'STALE' })
    expect(decider.health().detail).toContain('connection lost')
    const since = decider.health().since
    expect(decider.decide(user)).toMatchObject({ source: 'default' })
    provider.release()
    provider.emit(ProviderEvents.Ready)
    expect(await decider.decide(user)).toMatchObject({ side: 'on', source: 'live' })
    expect(decider.health()).toMatchObject({ ok: true, status: 'READY', detail: '' })
    expect(decider.health().since).toBeGreaterThanOrEqual(since)
  })

  it.each([
    ['throws', fails('boom')],
    ['says the rule is broken', fails('parse', 'PARSE_ERROR')],
    ['says that it is not ready', fails('not yet', 'PROVIDER_NOT_READY')],
    ['changes the type of the flag', () => ({ value: 'on', variant: 'on' })],
    ['returns nothing', () => undefined as never],
  ])('holds when the provider %s', async (_, rule) => {
    const provider = new ScriptedProvider()
    const decider = await deciderOn(provider, { rememberMs: 0 })
    await decider.decide(user)
    provider.rule = rule
    for (let i = 0; i < 5; i++) {
      expect(await decider.decide(user)).toMatchObject({ side: 'on', source: 'held' })
    }
    const stranger = await decider.decide({ targetingKey: 'stranger' })
    expect(stranger.side).toBe('off')
    expect(stranger.errorCode).not.toBe('')
    provider.rule = off
    await until(async () => (await decider.decide(user)).side === 'off')
  })

  it('takes a deleted flag for an answer: the code default, off', async () => {
    const provider = new InMemoryProvider({
      f: { variants: { on: true, off: false }, defaultVariant: 'on', disabled: false },
    })
    const decider = createDecider({ flag: 'f', domain: await domainOf(provider) })
    open.push(decider)
    expect(await decider.decide(user)).toMatchObject({ side: 'on', reason: 'STATIC' })
    provider.putConfiguration({})
    expect(await decider.decide(user)).toMatchObject({ side: 'off', errorCode: 'FLAG_NOT_FOUND' })
  })

  it('does not take FLAG_NOT_FOUND for an answer while the provider is not ready', async () => {
    // flagd's provider reports UNAVAILABLE in these words.
    const provider = new ScriptedProvider()
    const decider = await deciderOn(provider, { rememberMs: 0 })
    await decider.decide(user)
    provider.rule = fails('unavailable', 'FLAG_NOT_FOUND')
    provider.emit(ProviderEvents.Stale)
    expect(await decider.decide(user)).toMatchObject({ side: 'on', source: 'held' })
  })

  it.each([
    ['never becomes ready', (): Promise<void> => new Promise(() => {})],
    ['fails to become ready', (): Promise<void> => Promise.reject(new Error('no'))],
  ])('gives off when the provider %s', async (_, initialize) => {
    const provider = Object.assign(new ScriptedProvider(), { initialize })
    provider.rule = fails('not connected')
    const domain = `never-ready-${_}`
    void OpenFeature.setProviderAndWait(domain, provider).catch(() => {})
    const decider = createDecider({ flag: 'f', domain })
    open.push(decider)
    expect(await decider.decide(user)).toMatchObject({ side: 'off', reason: 'ERROR' })
    expect(decider.health().ok).toBe(false)
  })

  it('gives off when nobody has set a provider', async () => {
    const decider = createDecider({ flag: 'f', domain: 'nothing-here' })
    open.push(decider)
    expect(await decider.decide(user)).toMatchObject({ side: 'off' })
    expect(decider.health()).toMatchObject({ ok: false, status: 'NOT_READY' })
  })

  it('does not take a stall of the event loop for a failure', async () => {
    const provider = new ScriptedProvider()
    const { resolve, reached } = answerFromOutside(provider)
    const decider = await deciderOn(provider, { deadlineMs: 20 })
    const decision = decider.decide(user)
    await reached
    resolve()
    const end = performance.now() + 60
    while (performance.now() < end);
    expect(await decision).toMatchObject({ side: 'on', source: 'live' })
  })

  it('answers after close from memory', async () => {
    const provider = new ScriptedProvider()
    const decider = await deciderOn(provider, LONG)
    await decider.decide(user)
    await decider.close()
    provider.emit(ProviderEvents.ConfigurationChanged)
    const asked = provider.asked.length
    expect(await decider.decide(user)).toMatchObject({ side: 'on' })
    expect(await decider.decide({ targetingKey: 'x' })).toMatchObject({ source: 'default' })
    expect(provider.asked).toHaveLength(asked)
  })
})

/** An evaluation whose answer arrives through the poll phase, as a socket's would. */
function answerFromOutside(provider: ScriptedProvider): {
  resolve: () => void
  reached: Promise<void>
} {
  let resolve = (): void => {}
  let reach = (): void => {}
  const reached = new Promise<void>((r) => (reach = r))
  provider.resolveBooleanEvaluation = () => {
    reach()
    return new Promise((r) => {
      resolve = (): void => {
        stat('.', () => r(on({}) as never))
      }
    })
  }
  return { resolve: () => resolve(), reached }
}

it.each([
  [{ flag: '' }],
  [{ flag: 'f', deadlineMs: 0 }],
  [{ flag: 'f', rememberMs: -1 }],
  [{ flag: 'f', maxRemembered: 0.5 }],
])('refuses %j', (options) => {
  expect(() => createDecider(options)).toThrow(
    expect.objectContaining({ code: 'SB_OPTION_INVALID' }),
  )
})
