import { InMemoryProvider, OpenFeature, ProviderEvents } from '@openfeature/server-sdk'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { readinessOf } from '../../src/app/index.ts'
import { memoryCache } from '../../src/cache/index.ts'
import { isProbeUser, probeUsers } from '../../src/flagfile/index.ts'
import { createDecider, flagsFromEnvironment } from '../../src/flags/index.ts'
import type {
  ConfigurationState,
  FlagDecider,
  FlagsEvent,
  FlagsSource,
  LiveSplit,
  LiveSplitOptions,
} from '../../src/flags/index.ts'
import { startSidecar } from '../../src/sidecar/index.ts'
import { createCacheSwitch } from '../../src/switch/index.ts'
import { createTelemetry } from '../../src/telemetry/index.ts'
import { FlagsFile, useRedis } from '../support/flags-files.ts'
import { SyncServer } from '../support/flags-sync-server.ts'
import { ScriptedProvider, domainOf, fails, off, on, until } from '../support/flags-providers.ts'

afterAll(() => OpenFeature.clearProviders())

const FREE = { evaluation: 0, management: 0, sync: 0, ofrep: 0 }

/** A flags file, and each way in which it can be read. */
async function sourceOf(
  mode: 'file' | 'in-process' | 'rpc',
): Promise<[FlagsFile, FlagsSource, FlagDecider]> {
  const file = new FlagsFile()
  file.write(useRedis(25))
  const sidecar = mode === 'file' ? undefined : await startSidecar({ file: file.path, ports: FREE })
  const port = mode === 'rpc' ? sidecar?.ports.evaluation : sidecar?.ports.sync
  const source = await flagsFromEnvironment(
    mode === 'file'
      ? { FLAGD_OFFLINE_FLAG_SOURCE_PATH: file.path }
      : { FLAGD_RESOLVER: mode, FLAGD_HOST: '127.0.0.1', FLAGD_PORT: `${port}` },
    { onEvent: () => {} },
  )
  const decider = source.createDecider({ flag: 'use-redis', feature: 'users' })
  onTestFinished(async () => {
    await decider.close()
    await source.close()
    await sidecar?.close(0)
    file[Symbol.dispose]()
  })
  return [file, source, decider]
}

function splitOf(decider: FlagDecider): LiveSplit | undefined {
  return decider.health().liveSplit
}

describe.each(['file', 'in-process', 'rpc'] as const)('the live split, %s', (mode) => {
  it('is the share to one per cent, and follows the file', async () => {
    const [file, , decider] = await sourceOf(mode)
    await until(() => splitOf(decider) !== undefined)
    const first = splitOf(decider) as LiveSplit
    expect(first).toMatchObject({ probes: 100, on: 25, ratio: 0.25, kind: 'exact', mode })
    for (const share of [7, 100, 0]) {
      file.write(useRedis(share))
      await until(() => splitOf(decider)?.on === share)
    }
    const last = splitOf(decider) as LiveSplit
    expect(last.since).toBeGreaterThanOrEqual(first.since)
    expect(last.at).toBeGreaterThanOrEqual(last.since)
  })
})

describe('the live split', () => {
  it('is looked at again without a change from a file, and over rpc only on a change', async () => {
    const [, , fromFile] = await sourceOf('file')
    const [, , overRpc] = await sourceOf('rpc')
    await until(() => splitOf(fromFile) !== undefined && splitOf(overRpc) !== undefined)
    const [file, rpc] = [splitOf(fromFile) as LiveSplit, splitOf(overRpc) as LiveSplit]
    await until(() => (splitOf(fromFile) as LiveSplit).at > file.at)
    expect(splitOf(fromFile)).toEqual({ ...file, at: expect.any(Number) })
    expect(splitOf(overRpc)).toEqual(rpc)
  })

  it('asks for its probe users with the feature and nothing else, and remembers none of them', async () => {
    const provider = new ScriptedProvider()
    provider.rule = off
    const decider = createDecider({
      flag: 'f',
      feature: 'users',
      domain: await domainOf(provider),
      rememberMs: 3_600_000,
    })
    onTestFinished(() => decider.close())
    expect(provider.asked).toEqual([])
    await until(() => splitOf(decider) !== undefined)
    // Another vendor's: a sample, and nobody twice.
    expect(splitOf(decider)).toMatchObject({ probes: 50, on: 0, kind: 'sample', mode: 'provider' })
    expect(provider.asked.length).toBe(50)
    for (const context of provider.asked) {
      expect(context).toEqual({ targetingKey: expect.any(String), feature: 'users' })
      expect(isProbeUser(context.targetingKey as string)).toBe(true)
    }
    const [probe] = probeUsers('f')
    expect(await decider.decide({ targetingKey: probe as string })).toMatchObject({
      source: 'live',
    })
  })

  it('asks nobody before somebody looks, and nobody at all when it is turned off', async () => {
    const provider = new ScriptedProvider()
    const domain = await domainOf(provider)
    const silent = createDecider({ flag: 'f', domain, liveSplit: false })
    const unseen = createDecider({ flag: 'f', domain })
    provider.emit(ProviderEvents.ConfigurationChanged)
    await silent.decide({ targetingKey: 'u' })
    silent.health()
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(provider.asked.length).toBe(1)
    expect(silent.health()).not.toHaveProperty('liveSplit')
    await Promise.all([silent.close(), unseen.close()])
  })

  it('does not know after a change until its users were asked: some of them may have moved already', async () => {
    const provider = new ScriptedProvider()
    provider.rule = on
    const decider = createDecider({ flag: 'f', domain: await domainOf(provider) })
    onTestFinished(() => decider.close())
    await until(() => splitOf(decider) !== undefined)
    const known = splitOf(decider) as LiveSplit
    expect(known.ratio).toBe(1)

    provider.rule = fails('gone')
    const asked = provider.asked.length
    provider.emit(ProviderEvents.ConfigurationChanged)
    await until(() => provider.asked.length > asked)
    expect(splitOf(decider)).toBeUndefined()

    // A mistake in the flag moves nobody either, but was looked at; a deleted flag puts everybody off.
    provider.rule = fails('bad', 'PARSE_ERROR')
    provider.emit(ProviderEvents.ConfigurationChanged)
    await until(() => splitOf(decider) !== undefined)
    expect(splitOf(decider)).toEqual({ ...known, at: expect.any(Number) })
    provider.rule = fails('none', 'FLAG_NOT_FOUND')
    provider.emit(ProviderEvents.ConfigurationChanged)
    await until(() => splitOf(decider)?.on === 0)
  })

  it('does not begin again and again on a provider that hangs, and ends with the decider', async () => {
    const provider = new ScriptedProvider()
    provider.hang()
    const decider = createDecider({ flag: 'f', domain: await domainOf(provider) })
    decider.health()
    await until(() => provider.hanging > 0)
    for (let i = 0; i < 50; i++) provider.emit(ProviderEvents.ConfigurationChanged)
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(provider.hanging).toBeLessThanOrEqual(2)
    await decider.close()
    const asked = provider.asked.length
    provider.release()
    provider.emit(ProviderEvents.ConfigurationChanged)
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(provider.asked.length).toBe(asked)
  })

  it.each([
    [5, 'createDecider: liveSplit cannot be 5'],
    [{ everyMs: 20 }, 'createDecider: liveSplit.everyMs cannot be 20'],
    [{ everyMs: '1000' }, 'createDecider: liveSplit.everyMs cannot be "1000"'],
    [{ everyMs: -1 }, 'createDecider: liveSplit.everyMs cannot be -1'],
  ])('refuses the option %j', (liveSplit, message) => {
    const options = { flag: 'f', liveSplit: liveSplit as LiveSplitOptions }
    expect(() => createDecider(options)).toThrow(
      expect.objectContaining({ code: 'SB_OPTION_INVALID', message }),
    )
  })
})

/** A provider that knows its configuration, and refuses it when told. */
class ConfiguredProvider extends InMemoryProvider {
  state: ConfigurationState = {
    since: Date.parse('2026-01-01T00:00:00Z'),
    hashOf: (flag) => (flag === 'f' ? '0123456789abcdef' : undefined),
    refused: undefined,
  }

  constructor() {
    const variants = { on: true, off: false }
    super({ f: { variants, defaultVariant: 'on', disabled: false } })
  }

  configuration(): ConfigurationState {
    return this.state
  }

  refuse(reason: string): void {
    this.state = { ...this.state, refused: { reason, since: Date.parse('2026-01-02T03:04:05Z') } }
  }

  mend(): void {
    this.state = { ...this.state, refused: undefined }
  }
}

interface Fed {
  readonly decider: FlagDecider
  readonly put: (content: object | string) => void
  readonly warned: string[]
}

/** Fed with whatever a test says, by a file or by a sync stream. */
async function fed(mode: 'file' | 'in-process', first: object | string): Promise<Fed> {
  const warned: string[] = []
  const onEvent = ({ level, message }: FlagsEvent): void => {
    if (level === 'warn') warned.push(message)
  }
  const file = new FlagsFile()
  file.write(first)
  const [server, port] = await SyncServer.start()
  server.content = typeof first === 'string' ? first : JSON.stringify(first)
  const source = await flagsFromEnvironment(
    mode === 'file'
      ? { FLAGD_OFFLINE_FLAG_SOURCE_PATH: file.path }
      : { FLAGD_RESOLVER: mode, FLAGD_HOST: '127.0.0.1', FLAGD_PORT: `${port}` },
    { onEvent },
  )
  const decider = source.createDecider({ flag: 'use-redis', onEvent: () => {} })
  onTestFinished(async () => {
    await decider.close()
    await source.close()
    await server[Symbol.asyncDispose]()
    file[Symbol.dispose]()
  })
  const put = (content: object | string): void => {
    if (mode === 'file') file.write(content)
    else server.send(content)
  }
  return { decider, put, warned }
}

const refusedIn = (decider: FlagDecider): string | undefined =>
  decider.health().configuration?.refused?.reason

describe.each(['file', 'in-process'] as const)('a configuration that is refused, %s', (mode) => {
  it('leaves the last good one in force, says so, and is over with the next good one', async () => {
    const { decider, put } = await fed(mode, useRedis(25))
    await until(() => splitOf(decider)?.on === 25)
    const good = decider.health()
    expect(good).toMatchObject({ ok: true, configuration: { refused: undefined } })
    expect(good.configuration?.hash).toMatch(/^[0-9a-f]{16,}$/)
    expect(splitOf(decider)?.hash).toBe(good.configuration?.hash)

    put('{"flags":{"use-redis":{"state":"ENABLED","defaultVariant":')
    await until(() => refusedIn(decider) !== undefined)
    const refused = decider.health()
    expect(refused.ok).toBe(false)
    expect(refused.detail).toMatch(/^serving the last good flags since 20\d\d-[-0-9T:.]+Z: /)
    expect(refused.detail).toContain(refusedIn(decider))
    expect(refused.configuration?.hash).toBe(good.configuration?.hash)
    // Still looked at, and still the same.
    await until(() => splitOf(decider)!.at > (refused.liveSplit as LiveSplit).at)
    expect(splitOf(decider)?.on).toBe(25)

    put(useRedis(10))
    await until(() => splitOf(decider)?.on === 10)
    expect(decider.health()).toMatchObject({ ok: true, detail: '', status: 'READY' })
    expect(refusedIn(decider)).toBeUndefined()
    expect(decider.health().configuration?.hash).not.toBe(good.configuration?.hash)
  })

  it('at the start is told with its cause, and is no "last good flags"', async () => {
    const { decider, put, warned } = await fed(mode, '{"flags":5}')
    const { ok, detail } = decider.health()
    expect(ok).toBe(false)
    expect(detail).toMatch(/^no flags are in force: /)
    expect(warned.filter((line) => line.includes(refusedIn(decider) as string)).length).toBe(1)
    put(useRedis(100))
    await until(() => decider.health().ok && splitOf(decider)?.on === 100)
  })
})

it('a file and a sync stream of the same content have one hash', async () => {
  const [byFile, byStream] = [
    await fed('file', useRedis(30)),
    await fed('in-process', useRedis(30)),
  ]
  const hashes = [byFile, byStream].map(({ decider }) => decider.health().configuration?.hash)
  expect(hashes[0]).toBe(hashes[1])
  expect(hashes[0]).not.toBe('')
})

describe('a refused configuration', () => {
  it('is never green: health, readiness and metrics say so, until it ends without a flap', async () => {
    const provider = new ConfiguredProvider()
    const domain = await domainOf(provider)
    const events: string[] = []
    const decider = createDecider({
      flag: 'f',
      domain,
      feature: 'users',
      onEvent: ({ message }) => events.push(message),
    })
    const telemetry = createTelemetry({ meter: false })
    const cache = createCacheSwitch({
      decider,
      off: memoryCache(),
      on: memoryCache(),
      telemetry,
    })
    onTestFinished(async () => {
      await cache.close()
      await decider.close()
      telemetry.close()
    })
    const metric = (name: string): string | undefined =>
      new RegExp(`^${name}[{ ].*$`, 'm').exec(telemetry.prometheus())?.[0]
    await until(() => splitOf(decider) !== undefined)
    expect(decider.health()).toMatchObject({ ok: true, configuration: { refused: undefined } })
    expect(metric('switchback_flags_up')).toMatch(/ 1$/)
    expect(metric('switchback_flags_refused')).toBe(
      'switchback_flags_refused{flag="f",feature="users"} 0',
    )
    expect(metric('switchback_flags_refused_info')).toBeUndefined()
    expect(metric('switchback_live_split_on')).toBe(
      'switchback_live_split_on{flag="f",feature="users"} 50',
    )
    expect(metric('switchback_live_split_info')).toBe(
      'switchback_live_split_info{flag="f",feature="users",kind="sample",mode="provider",hash="0123456789abcdef"} 1',
    )

    provider.refuse(`"flags.json" is\nno JSON ${'x'.repeat(500)}`)
    const detail =
      /^serving the last good flags since 2026-01-02T03:04:05.000Z: "flags.json" is no JSON x+\.\.\.$/
    const health = decider.health()
    expect(health).toMatchObject({ ok: false, status: 'READY' })
    expect(health.detail).toMatch(detail)
    expect(health.configuration?.refused?.reason.length).toBe(200)
    expect(readinessOf(cache.health())).toMatchObject({
      status: 'degraded',
      checks: { flags: { ok: false, configuration: { hash: '0123456789abcdef' } } },
    })
    expect(metric('switchback_flags_up')).toMatch(/ 0$/)
    expect(metric('switchback_flags_refused')).toMatch(/ 1$/)
    expect(metric('switchback_flags_refused_info')).toMatch(
      /reason="\\"flags.json\\" is no JSON x+\.\.\."} 1$/,
    )
    expect(metric('switchback_flags_refused_since_seconds')).toMatch(/ 1767323045$/)
    // Who decides is another question: the last good flags do.
    expect(await decider.decide({ targetingKey: 'u' })).toMatchObject({ side: 'on' })

    const said = events.length
    provider.mend()
    expect(decider.health()).toMatchObject({ ok: true, detail: '' })
    expect(metric('switchback_flags_up')).toMatch(/ 1$/)
    expect(metric('switchback_flags_refused_info')).toBeUndefined()
    expect(events.slice(said)).toEqual(['flag f: the provider in-memory answers'])
  })

  it('before there were any flags is not told as the last good ones', async () => {
    const provider = new ConfiguredProvider()
    provider.state = { ...provider.state, since: undefined }
    provider.refuse('is empty')
    const decider = createDecider({ flag: 'f', domain: await domainOf(provider) })
    onTestFinished(() => decider.close())
    expect(decider.health()).toMatchObject({
      ok: false,
      detail: 'no flags are in force: is empty',
    })
  })
})
