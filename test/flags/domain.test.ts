import { InMemoryProvider, OpenFeature, ProviderEvents } from '@openfeature/server-sdk'
import type { Provider } from '@openfeature/server-sdk'
import { afterEach, describe, expect, it } from 'vitest'
import { memoryCache } from '../../src/cache/index.ts'
import {
  createDecider,
  createStringFlag,
  flagsFromEnvironment,
  runAs,
} from '../../src/flags/index.ts'
import type { FlagDecider, FlagsSourceOptions } from '../../src/flags/index.ts'
import { createCacheSwitch } from '../../src/switch/index.ts'
import { FlagsFile, useRedis } from '../support/flags-files.ts'

let open: { close(): unknown }[] = []

afterEach(async () => {
  for (const each of open.toReversed()) await each.close()
  open = []
  await OpenFeature.clearProviders()
})

/** The application's own provider, which counts how often it was closed. */
class ApplicationProvider extends InMemoryProvider {
  closed = 0

  constructor(variant: 'on' | 'off' = 'on') {
    const variants = { on: true, off: false }
    super({ banner: { variants, defaultVariant: variant, disabled: false } })
  }

  async onClose(): Promise<void> {
    this.closed++
  }
}

async function fileSource(share: number, options: FlagsSourceOptions = {}) {
  const file = new FlagsFile()
  file.write(useRedis(share))
  const source = await flagsFromEnvironment({ FLAGD_OFFLINE_FLAG_SOURCE_PATH: file.path }, options)
  open.push({ close: () => file[Symbol.dispose]() }, source)
  return source
}

function banner(): Promise<boolean> {
  return OpenFeature.getClient().getBooleanValue('banner', false)
}

const sideOf = async (decider: FlagDecider): Promise<string> =>
  (await decider.decide({ targetingKey: 'u' })).side

describe('an application with a default provider of its own', () => {
  it('keeps it, open, when the flags of the cache are set up after it', async () => {
    const own = new ApplicationProvider()
    await OpenFeature.setProviderAndWait(own)
    const source = await fileSource(100)
    const decider = source.createDecider({ flag: 'use-redis' })
    open.push(decider)
    expect(await banner()).toBe(true)
    expect(await sideOf(decider)).toBe('on')
    expect(OpenFeature.getProvider()).toBe(own)
    await source.close()
    expect(own.closed).toBe(0)
    expect(await banner()).toBe(true)
  })

  it('may set it later, and the cache does not notice', async () => {
    const source = await fileSource(100)
    const decider = source.createDecider({ flag: 'use-redis' })
    const bare = createDecider({ flag: 'use-redis' })
    open.push(decider, bare)
    await OpenFeature.setProviderAndWait(new ApplicationProvider('off'))
    expect(await sideOf(decider)).toBe('on')
    expect(await sideOf(bare)).toBe('on')
    expect(decider.health()).toMatchObject({ ok: true })
    expect(await OpenFeature.getClient().getBooleanValue('use-redis', false)).toBe(false)
  })

  it('asks the flagd of the cache through the source', async () => {
    await OpenFeature.setProviderAndWait(new ApplicationProvider())
    const source = await fileSource(100)
    const context = { targetingKey: 'u' }
    expect(await source.client().getBooleanValue('use-redis', false, context)).toBe(true)
    const byDomain = OpenFeature.getClient(source.domain)
    expect(await byDomain.getBooleanValue('use-redis', false, context)).toBe(true)
    expect(await byDomain.getBooleanValue('banner', false, context)).toBe(false)
  })
})

describe('sources', () => {
  it('have a domain each, and a switch of nothing but a flag asks the latest that is open', async () => {
    const first = await fileSource(100)
    const second = await fileSource(0)
    expect(first.domain).not.toBe(second.domain)
    const sides: string[] = []
    const look = async (flags?: typeof first): Promise<void> => {
      const cache = createCacheSwitch({
        flag: 'use-redis',
        ...(flags === undefined ? {} : { flags }),
        off: memoryCache(),
        on: memoryCache(),
      })
      const view = cache.for(undefined, { onOperation: ({ side }) => sides.push(side) })
      await runAs('u', () => view.get('k'))
      await cache.close()
    }
    await look()
    await look(first)
    await second.close()
    await look()
    expect(sides).toEqual(['off', 'on', 'on'])
  })

  it('take a domain that they are told, and put string flags there too', async () => {
    const text = { variants: { a: 'mirror' }, defaultVariant: 'a', disabled: false }
    const provider: Provider = new InMemoryProvider({ standby: text })
    const source = await flagsFromEnvironment({}, { provider, domain: 'of-my-own' })
    open.push(source)
    expect(source.domain).toBe('of-my-own')
    expect(OpenFeature.getProvider('of-my-own')).toBe(provider)
    const options = { flag: 'standby', allowed: ['mirror', 'none'], fallback: 'none' } as const
    const standby = createStringFlag(options)
    open.push(standby)
    standby.current()
    await expect.poll(() => standby.current()).toBe('mirror')
  })

  it.each([
    [{ domain: '' }, 'flagsFromEnvironment: domain cannot be ""'],
    [{ domain: 5 }, 'flagsFromEnvironment: domain cannot be 5'],
    [{ startMs: 'soon' }, 'flagsFromEnvironment: startMs cannot be "soon"'],
    [{ provider: {} }, 'flagsFromEnvironment: provider cannot be {}'],
  ])('refuse the options %j', async (options, message) => {
    await expect(
      flagsFromEnvironment({}, options as unknown as FlagsSourceOptions),
    ).rejects.toMatchObject({ code: 'SB_OPTION_INVALID', message })
  })
})

describe('a provider that OpenFeature would refuse', () => {
  it.each([
    ['runs in browsers', { runsOn: 'client' }],
    ['has no name', { metadata: undefined }],
  ])(
    'is refused where it %s: the default provider of the application would decide',
    async (_, odd) => {
      const provider = Object.assign(new InMemoryProvider({}), odd) as unknown as Provider
      await expect(flagsFromEnvironment({}, { provider })).rejects.toMatchObject({
        code: 'SB_OPTION_INVALID',
        hint: 'give an OpenFeature server provider',
      })
    },
  )
})

describe('a start that fails', () => {
  it('and is closed says nothing more', async () => {
    let ready = (): void => {}
    class Late extends InMemoryProvider {
      initialize = (): Promise<void> => new Promise((resolve) => (ready = resolve))
    }
    const told: string[] = []
    const source = await flagsFromEnvironment(
      {},
      { provider: new Late(), startMs: 1, onEvent: ({ message }) => told.push(message) },
    )
    await source.close()
    const settled = new Promise((resolve) =>
      OpenFeature.getClient(source.domain).addHandler(ProviderEvents.Ready, resolve),
    )
    ready()
    await settled
    expect(told).toEqual([
      'provider in-memory: not ready within 1 ms; waiting until it says that it is ready',
    ])
  })

  it('is told with its cause, and a decider that comes later tells it as well', async () => {
    class Broken extends InMemoryProvider {
      initialize = async (): Promise<void> => {
        throw new Error("Cannot find package 'evaluator' imported from /srv/app/bundle.js")
      }
    }
    const told: string[] = []
    const source = await flagsFromEnvironment(
      {},
      { provider: new Broken(), onEvent: ({ message }) => told.push(message) },
    )
    open.push(source)
    expect(told).toEqual([
      "provider in-memory: Cannot find package 'evaluator' imported from /srv/app/bundle.js; waiting until it says that it is ready",
    ])
    const decider = source.createDecider({ flag: 'f' })
    open.push(decider)
    expect(decider.health().detail).toBe(
      "the provider is ERROR: Cannot find package 'evaluator' imported from /srv/app/bundle.js",
    )
  })

  it('is told once of a file that cannot be read, by whoever knows why', async () => {
    const file = new FlagsFile()
    file.write('{"flags":')
    const told: string[] = []
    const source = await flagsFromEnvironment(
      { FLAGD_OFFLINE_FLAG_SOURCE_PATH: file.path },
      { onEvent: ({ message }) => told.push(message) },
    )
    open.push({ close: () => file[Symbol.dispose]() }, source)
    expect(told.length).toBe(1)
    expect(told[0]).toContain('flags.json')
    const decider = source.createDecider({ flag: 'use-redis' })
    open.push(decider)
    expect(decider.health()).toMatchObject({ ok: false })
    expect(decider.health().detail).toContain('"flags.json"')
    file.write(useRedis(100))
    await expect.poll(() => decider.health(), { timeout: 10_000 }).toMatchObject({ ok: true })
  })
})
