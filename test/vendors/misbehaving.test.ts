import { ProviderEvents } from '@openfeature/server-sdk'
import fc from 'fast-check'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { type Decider, flagsFromEnvironment } from '../../src/flags/index.ts'
import { until } from '../support/world.ts'
import { type Business, openInMemory } from './business.ts'
import { BAD_MOODS, good, MoodyProvider, type MoodyOptions } from './moody-provider.ts'
import { FLAG } from './vendor.ts'

interface Stage {
  readonly provider: MoodyProvider
  readonly decider: Decider
  readonly business: Business
}

let stages = 0

async function stage(options: MoodyOptions = {}): Promise<Stage> {
  const provider = new MoodyProvider(options)
  const domain = `moody ${++stages}`
  const source = await flagsFromEnvironment({}, { provider, domain, startMs: 100 })
  const decider = source.createDecider({ flag: FLAG, rememberMs: 100, deadlineMs: 20 })
  const business = openInMemory(decider)
  onTestFinished(async () => {
    await business.close()
    await decider.close()
  })
  return { provider, decider, business }
}

async function sideOf({ business }: Stage, user: string): Promise<string> {
  return (await business.operation({ targetingKey: user })).side
}

describe.each(Object.entries(BAD_MOODS))('a provider that %s', (_, mood) => {
  it('fails no request, moves nobody who is known, and puts nobody new on', async () => {
    const it = await stage()
    expect(await sideOf(it, 'known')).toBe('on')
    it.provider.mood = mood
    for (let i = 0; i < 12; i++) {
      expect(await it.business.ask('known')).toBe('name of known')
      expect(await it.business.ask(`new ${i}`)).toBe(`name of new ${i}`)
      expect(await sideOf(it, `new ${i}`)).toBe('off')
      // Past what is remembered.
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    expect(await sideOf(it, 'known')).toBe('on')

    it.provider.mood = good
    it.provider.emit(ProviderEvents.ConfigurationChanged)
    await until('everybody on', async () => (await sideOf(it, 'new 0')) === 'on')
  })
})

describe('a provider that', () => {
  it('never becomes ready: everybody is served from off, and the start does not wait for it', async () => {
    let ready = (): void => {}
    const it = await stage({
      initialize: () =>
        new Promise((resolve) => {
          ready = resolve
        }),
    })
    expect(await it.business.ask('user')).toBe('name of user')
    expect(await sideOf(it, 'user')).toBe('off')
    expect(it.decider.health()).toMatchObject({ ok: false, status: 'NOT_READY' })
    ready()
    await until('on, as soon as it is ready', async () => (await sideOf(it, 'user')) === 'on')
    expect(it.decider.health()).toMatchObject({ ok: true, status: 'READY' })
  })

  it('cannot be initialized: everybody is served from off', async () => {
    const it = await stage({ initialize: () => Promise.reject(new Error('no licence')) })
    it.provider.mood = BAD_MOODS['throws at once']!
    expect(await it.business.ask('user')).toBe('name of user')
    expect(await sideOf(it, 'user')).toBe('off')
    expect(it.decider.health()).toMatchObject({ ok: false, status: 'ERROR' })
  })

  it('emits nothing: a change is seen when what is remembered is due', async () => {
    const it = await stage({ mute: true })
    it.provider.mood = () => ({ value: false })
    expect(await sideOf(it, 'user')).toBe('off')
    it.provider.mood = good
    await until('on', async () => (await sideOf(it, 'user')) === 'on')
    it.provider.mood = () => ({ value: false })
    await until('off', async () => (await sideOf(it, 'user')) === 'off')
  })

  it('announces a change with every evaluation: no endless loop, no failed request', async () => {
    const it = await stage()
    let asked = 0
    it.provider.mood = () => {
      asked += 1
      it.provider.emit(ProviderEvents.ConfigurationChanged)
      return { value: true }
    }
    for (let i = 0; i < 50; i++) expect(await it.business.ask('user')).toBe('name of user')
    expect(await sideOf(it, 'user')).toBe('on')
    expect(asked).toBeLessThan(200)
  })

  it('changes the type of the value from one answer to the next', async () => {
    const it = await stage()
    const values: unknown[] = [true, 'true', 1, null, { on: true }, false, undefined, [], true]
    let next = 0
    it.provider.mood = () => ({ value: values[next % values.length] })
    let last = 'off'
    for (; next < 3 * values.length; next++) {
      it.provider.emit(ProviderEvents.ConfigurationChanged)
      const value = values[next % values.length]
      if (typeof value === 'boolean') last = value ? 'on' : 'off'
      await until('the last boolean', async () => (await sideOf(it, 'user')) === last)
      expect(await it.business.ask('user')).toBe('name of user')
    }
  })

  it('makes up a reason and a variant for each user', async () => {
    const it = await stage()
    let made = 0
    const loop: Record<string, unknown> = {}
    loop['loop'] = loop
    const odd = [7, loop, 1n, Symbol('reason'), 'x'.repeat(10_000)]
    it.provider.mood = () => {
      made += 1
      return { value: true, variant: odd[made % 5] ?? `v${made}`, reason: odd[made % 4] }
    }
    for (let i = 0; i < 500; i++) {
      expect(await it.business.ask(`user ${i}`)).toBe(`name of user ${i}`)
    }
  })

  it('has hooks that throw, and hooks that hang', async () => {
    for (const before of [
      () => {
        throw new Error('hook')
      },
      () => new Promise<never>(() => {}),
    ]) {
      const it = await stage({ hooks: [{ before }] })
      expect(await it.business.ask('user')).toBe('name of user')
      expect(await sideOf(it, 'user')).toBe('off')
    }
    vi.spyOn(console, 'error').mockReturnValue()
    onTestFinished(() => void vi.restoreAllMocks())
    const it = await stage({
      hooks: [
        {
          finally: () => {
            throw new Error('hook')
          },
        },
      ],
    })
    expect(await it.business.ask('user')).toBe('name of user')
    expect(await sideOf(it, 'user')).toBe('on')
  })

  it('scribbles on the context that it is given', async () => {
    const it = await stage()
    it.provider.mood = (context) => {
      try {
        ;(context as Record<string, unknown>)['targetingKey'] = 'somebody else'
        ;(context as Record<string, unknown>)['plan'] = 'gold'
      } catch {
        // Frozen is as good.
      }
      return { value: context['plan'] === 'gold' && context.targetingKey === 'gold' }
    }
    const context = Object.freeze({ targetingKey: 'user', plan: 'free' })
    await it.business.operation(context)
    expect(context).toEqual({ targetingKey: 'user', plan: 'free' })
    expect(await it.business.ask('user')).toBe('name of user')
  })
})

describe('a provider in any mood, at any time', () => {
  const moods = [...Object.values(BAD_MOODS), good, (): unknown => ({ value: false })]
  const step = fc.record({
    mood: fc.nat(moods.length - 1),
    event: fc.option(fc.constantFrom(...Object.values(ProviderEvents)), { nil: undefined }),
    user: fc.nat(5),
    rename: fc.boolean(),
  })

  it('fails no request, serves nothing stale, and everybody follows once it is well again', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 30 }), async (steps) => {
        const provider = new MoodyProvider()
        const domain = `moody ${++stages}`
        const source = await flagsFromEnvironment({}, { provider, domain })
        const decider = source.createDecider({ flag: FLAG, rememberMs: 20, deadlineMs: 5 })
        const business = openInMemory(decider)
        try {
          const names = new Map<string, string>()
          for (const [index, { mood, event, user, rename }] of steps.entries()) {
            provider.mood = moods[mood]!
            if (event !== undefined) provider.emit(event)
            const id = `user ${user}`
            if (rename) {
              names.set(id, `${id} ${index}`)
              await business.rename(id, `${id} ${index}`)
            }
            expect(await business.ask(id)).toBe(names.get(id) ?? `name of ${id}`)
          }
          provider.mood = good
          provider.emit(ProviderEvents.Ready)
          for (const id of ['user 0', 'user 5', 'new']) {
            const asked = async (): Promise<boolean> =>
              (await business.operation({ targetingKey: id })).side === 'on'
            await until(`${id} on`, asked)
            expect(await business.ask(id)).toBe(names.get(id) ?? `name of ${id}`)
          }
        } finally {
          await business.close()
          await decider.close()
          await source.close()
        }
      }),
      { numRuns: 15 },
    )
  })
})
