// A flag that cannot decide, and flags that are not there: each is told once, and to somebody.
import { InMemoryProvider, OpenFeature } from '@openfeature/server-sdk'
import fc from 'fast-check'
import { rmSync } from 'node:fs'
import { afterAll, afterEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { createDecider, flagsFromEnvironment } from '../../src/flags/index.ts'
import type { Decider, FlagsEvent } from '../../src/flags/index.ts'
import { FlagsFile, useRedis } from '../support/flags-files.ts'
import { ScriptedProvider, domainOf, fails, on, until } from '../support/flags-providers.ts'
import { inFull } from '../support/full.ts'

interface Told {
  readonly decider: Decider
  readonly events: FlagsEvent[]
}

async function deciderOn(provider: InMemoryProvider | ScriptedProvider): Promise<Told> {
  const events: FlagsEvent[] = []
  const decider = createDecider({
    flag: 'f',
    domain: await domainOf(provider),
    rememberMs: 0,
    onEvent: (event) => events.push(event),
  })
  onTestFinished(() => decider.close())
  return { decider, events }
}

async function askMany(decider: Decider, prefix: string): Promise<void> {
  for (let i = 0; i < 300; i++) await decider.decide({ targetingKey: `${prefix} ${i}` })
}

afterAll(() => OpenFeature.clearProviders())

const STRINGS = {
  flags: {
    'use-redis': {
      state: 'ENABLED',
      variants: { on: 'yes', off: 'no' },
      defaultVariant: 'on',
    },
  },
}

describe('a flag that cannot decide', () => {
  it.each([
    ['absent', { flags: {} }, 'FLAG_NOT_FOUND', 'Add it to the flags'],
    ['of strings', STRINGS, 'TYPE_MISMATCH', 'Give its variants the values true and false'],
  ])('is told once when it is %s, and once when it is mended', async (_, broken, code, remedy) => {
    const file = new FlagsFile()
    const events: FlagsEvent[] = []
    file.write(broken)
    const source = await flagsFromEnvironment(
      { FLAGD_OFFLINE_FLAG_SOURCE_PATH: file.path },
      { domain: `trouble ${code}`, onEvent: (event) => events.push(event) },
    )
    const decider = source.createDecider({ flag: 'use-redis', rememberMs: 0 })
    onTestFinished(async () => {
      await decider.close()
      await source.close()
      file[Symbol.dispose]()
    })
    await askMany(decider, 'user')
    expect(events).toHaveLength(1)
    expect(events[0]?.level).toBe('warn')
    for (const part of ['flag use-redis', code, remedy]) {
      expect(events[0]?.message).toContain(part)
    }
    expect(events[0]?.message).not.toContain('user 0')
    expect(decider.health()).toMatchObject({ ok: false, status: 'READY' })
    expect(decider.health().detail).toContain(remedy)

    // Nobody asks any more: the health comes right all the same.
    file.write(useRedis(100))
    await until(() => decider.health().ok)
    expect(await decider.decide({ targetingKey: 'user 0' })).toMatchObject({ side: 'on' })
    expect(events.slice(1).map(({ level }) => level)).toEqual(['info'])
  })

  it('is told again when it goes again, and by which error', async () => {
    const flag = { variants: { on: true, off: false }, defaultVariant: 'on', disabled: false }
    const provider = new InMemoryProvider({ f: flag })
    const { decider, events } = await deciderOn(provider)
    await askMany(decider, 'a')
    provider.putConfiguration({})
    await askMany(decider, 'b')
    provider.putConfiguration({ f: { ...flag, variants: { on: 'x' } } as never })
    await askMany(decider, 'c')
    provider.putConfiguration({ f: flag })
    await askMany(decider, 'd')
    provider.putConfiguration({})
    await askMany(decider, 'e')
    expect(events.map(({ message }) => /[A-Z]+_[A-Z_]+|answers/.exec(message)?.[0])).toEqual([
      'FLAG_NOT_FOUND',
      'TYPE_MISMATCH',
      'answers',
      'FLAG_NOT_FOUND',
    ])
  })

  it('is not told for what only some users meet', async () => {
    const provider = new ScriptedProvider()
    const nameless = fails('no key of user 7', 'TARGETING_KEY_MISSING')
    provider.rule = (context) => (context.targetingKey === undefined ? nameless : on)(context)
    const { decider, events } = await deciderOn(provider)
    for (let i = 0; i < 50; i++) {
      await decider.decide({ targetingKey: `${i}` })
      expect(await decider.decide({ plan: `${i}` })).toMatchObject({ side: 'off' })
    }
    expect(decider.health().ok).toBe(true)
    expect(events).toEqual([])
  })

  it('is told within bounds, whatever is answered, and the health is that of the last answer', async () => {
    const rules = {
      on,
      gone: fails('', 'FLAG_NOT_FOUND'),
      strings: () => ({ value: 'on', variant: 'on' }),
    }
    const names = fc.constantFrom<keyof typeof rules>('on', 'gone', 'strings')
    await fc.assert(
      fc.asyncProperty(fc.array(names, { minLength: 1, maxLength: 40 }), async (steps) => {
        const provider = new ScriptedProvider()
        const { decider, events } = await deciderOn(provider)
        for (const [index, step] of steps.entries()) {
          provider.rule = rules[step]
          await decider.decide({ targetingKey: `${index}` })
        }
        const warnings = events.filter(({ level }) => level === 'warn').map((e) => e.message)
        expect(new Set(warnings).size).toBe(warnings.length)
        expect(events.length - warnings.length).toBeLessThanOrEqual(warnings.length)
        if (steps.includes('gone')) expect(warnings.join()).toContain('FLAG_NOT_FOUND')
        if (steps.at(-1) === 'on') expect(decider.health().ok).toBe(true)
        if (steps.at(-1) === 'gone') expect(decider.health().detail).toContain('FLAG_NOT_FOUND')
        await decider.close()
      }),
      { numRuns: inFull(25, 60) },
    )
  })
})

describe('without onEvent', () => {
  afterEach(() => vi.restoreAllMocks())

  it('a missing file is told to the console in a sentence, and its coming is not', async () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {})
    const others = (['log', 'info', 'error'] as const).map((name) => vi.spyOn(console, name))
    const file = new FlagsFile()
    const source = await flagsFromEnvironment(
      { FLAGD_OFFLINE_FLAG_SOURCE_PATH: file.path },
      { domain: 'console file' },
    )
    const decider = source.createDecider({ flag: 'use-redis' })
    onTestFinished(async () => {
      await decider.close()
      await source.close()
      rmSync(file.directory, { recursive: true, force: true })
    })
    // The file first, and then who asks for what is in it.
    await vi.waitFor(() => expect(warn).toHaveBeenCalled())
    await decider.decide({ targetingKey: 'user' })
    expect(warn.mock.calls[0]).toEqual([
      `switchback: flags file: the file "${file.path}" does not exist; there are no flags yet`,
    ])
    const lines = warn.mock.calls.length
    expect(lines).toBeLessThanOrEqual(2)
    file.write(useRedis(100))
    await until(() => decider.health().ok)
    // Whoever read of the problem reads of its end.
    const after = warn.mock.calls.slice(lines).map(([line]) => String(line))
    const back = /^switchback: flags file .*: it answers, \d+ s after the start; the flags decide$/
    expect(after.filter((line) => back.test(line))).toHaveLength(1)
    expect(after.length).toBeLessThanOrEqual(2)
    for (const other of others) expect(other).not.toHaveBeenCalled()
  })

  it('a flagd that is not there is told to the console', async () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {})
    const source = await flagsFromEnvironment(
      { FLAGD_HOST: '127.0.0.1', FLAGD_PORT: '9' },
      { domain: 'console flagd', startMs: 200 },
    )
    onTestFinished(() => source.close())
    expect(warn.mock.calls).toEqual([
      [expect.stringMatching(/^switchback: flagd rpc at 127\.0\.0\.1:9: .*; retrying$/)],
    ])
  })

  it('a decider tells of a provider that does not come', async () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {})
    const initialize = (): Promise<void> => Promise.reject(new Error('no route'))
    const provider = Object.assign(new ScriptedProvider(), { initialize })
    await OpenFeature.setProviderAndWait('console decider', provider).catch(() => {})
    const decider = createDecider({ flag: 'f', domain: 'console decider' })
    onTestFinished(() => decider.close())
    await decider.decide({ targetingKey: 'user' })
    expect(warn.mock.calls).toEqual([
      [expect.stringMatching(/^switchback: flag f: the provider is ERROR/)],
    ])
  })
})
