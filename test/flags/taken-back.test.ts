// What users keep while the flag service does not answer: a rollback that the process has seen is never undone.
import { OpenFeature, ProviderEvents } from '@openfeature/server-sdk'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { isProbeUser } from '../../src/flagfile/index.ts'
import { createDecider, flagsFromEnvironment } from '../../src/flags/index.ts'
import type { DeciderOptions, FlagDecider } from '../../src/flags/index.ts'
import { startSidecar } from '../../src/sidecar/index.ts'
import { FlagsFile, useRedis } from '../support/flags-files.ts'
import { ScriptedProvider, domainOf, fails, off, on, until } from '../support/flags-providers.ts'

afterAll(() => OpenFeature.clearProviders())

const USERS = Array.from({ length: 8 }, (_, i) => ({ targetingKey: `user_${i}` }))
/** Remembered for as long as the test runs. */
const LONG = { rememberMs: 3_600_000 }

const splitOf = (decider: FlagDecider) => decider.health().liveSplit
async function howManyOn(decider: FlagDecider): Promise<number> {
  const decisions = await Promise.all(USERS.map((user) => decider.decide(user)))
  return decisions.filter(({ side }) => side === 'on').length
}
const again = (count: number) => Array.from({ length: count }, () => USERS.length)

/** A decider whose users are all known as `on`, and whose probe users were asked for. */
async function allOn(
  options: Partial<DeciderOptions> = LONG,
): Promise<{ provider: ScriptedProvider; decider: FlagDecider }> {
  const provider = new ScriptedProvider()
  const decider = createDecider({
    flag: 'f',
    domain: await domainOf(provider),
    liveSplit: { everyMs: 0 },
    onEvent: () => {},
    ...options,
  })
  onTestFinished(() => decider.close())
  if (options.liveSplit !== false) await until(() => splitOf(decider)?.ratio === 1)
  expect(await howManyOn(decider)).toBe(USERS.length)
  return { provider, decider }
}

/** The change is announced, and what it brings is seen. */
async function change(
  { provider, decider }: { provider: ScriptedProvider; decider: FlagDecider },
  rule: ScriptedProvider['rule'],
  event: ProviderEvents = ProviderEvents.ConfigurationChanged,
): Promise<void> {
  const asked = provider.asked.length
  provider.rule = rule
  provider.emit(event)
  await until(() => provider.asked.length > asked && splitOf(decider) !== undefined)
}

const SILENCES: readonly (readonly [string, (provider: ScriptedProvider) => void])[] = [
  ['is gone', (provider) => (provider.rule = fails('connection refused'))],
  ['hangs', (provider) => provider.hang()],
  ['says that the rule is broken', (provider) => (provider.rule = fails('no', 'PARSE_ERROR'))],
  [
    'is gone, and the provider says so',
    (provider) => {
      provider.rule = fails('unavailable', 'FLAG_NOT_FOUND')
      provider.emit(ProviderEvents.Stale)
    },
  ],
]

describe.each(SILENCES)('a flag service that %s', (_, silence) => {
  it('after a rollback that was seen: whoever was not asked since is on the old side, and stays there', async () => {
    const one = await allOn({ ...LONG, deadlineMs: 10 })
    await change(one, off)
    expect(splitOf(one.decider)).toMatchObject({ on: 0 })
    silence(one.provider)
    for (let i = 0; i < 5; i++) expect(await howManyOn(one.decider)).toBe(0)
  })
})

describe.each(SILENCES.slice(1, 3))('a flag service that %s', (_, silence) => {
  it('after a widening that was seen: whoever was on the new side stays there', async () => {
    let probes = 0
    const half: ScriptedProvider['rule'] = ({ targetingKey = '' }) => ({
      value: !isProbeUser(targetingKey) || probes++ % 2 === 0,
    })
    const one = await allOn({ ...LONG, deadlineMs: 10 })
    // Down, and up again, with all users asked between.
    await change(one, half)
    await howManyOn(one.decider)
    await change(one, on)
    silence(one.provider)
    const seen = []
    for (let i = 0; i < 5; i++) seen.push(await howManyOn(one.decider))
    expect(seen).toEqual(again(5))
  })

  it('before a change was seen: everybody keeps the side, also through a reconnection that brings none', async () => {
    const one = await allOn({ ...LONG, deadlineMs: 10 })
    await change(one, on, ProviderEvents.Ready)
    silence(one.provider)
    const seen = []
    for (let i = 0; i < 3; i++) seen.push(await howManyOn(one.decider))
    expect(seen).toEqual(again(3))
  })

  it('after a rollback and a widening that were seen: the one is not undone by the other', async () => {
    const one = await allOn({ ...LONG, deadlineMs: 10 })
    await change(one, off)
    // The second change takes nothing from anybody: what the first one took stays taken.
    await change(one, on)
    silence(one.provider)
    expect(await howManyOn(one.decider)).toBe(0)
  })
})

describe('a change that is announced while the flag service falls silent', () => {
  it('is in doubt a rollback', async () => {
    const one = await allOn({ ...LONG, deadlineMs: 10 })
    one.provider.rule = fails('connection refused')
    one.provider.emit(ProviderEvents.ConfigurationChanged)
    // Whoever asks before the probe users holds what he had, until it is clear that nobody can know.
    await until(async () => (await howManyOn(one.decider)) === 0)
    expect(splitOf(one.decider)).toBeUndefined()
  })

  it('is one without probe users, too', async () => {
    const one = await allOn({ ...LONG, liveSplit: false })
    one.provider.rule = fails('connection refused')
    one.provider.emit(ProviderEvents.ConfigurationChanged)
    expect(await howManyOn(one.decider)).toBe(0)
  })

  it('is none when the provider only came back, and went again', async () => {
    const one = await allOn()
    const asked = one.provider.asked.filter(isProbe).length
    one.provider.rule = fails('connection refused')
    one.provider.emit(ProviderEvents.Ready)
    // A second try: what came of the first one is known.
    await until(() => one.provider.asked.filter(isProbe).length > asked + 2)
    expect(await howManyOn(one.decider)).toBe(USERS.length)
  })
})

describe('a user who held the new side while the probe users were being asked', () => {
  it('has left it when the rollback is reported, though the flag service has gone', async () => {
    const one = await allOn({ ...LONG, deadlineMs: 60_000 })
    const waiting: (() => void)[] = []
    one.provider.resolveBooleanEvaluation = async (_flag, _value, { targetingKey = '' }) => {
      if (!isProbeUser(targetingKey)) throw new Error('connection refused')
      await new Promise<void>((resolve) => waiting.push(resolve))
      return { value: false, variant: 'off' }
    }
    one.provider.emit(ProviderEvents.ConfigurationChanged)
    await until(() => waiting.length > 0)
    expect(await howManyOn(one.decider)).toBe(USERS.length)
    await until(() => {
      for (const go of waiting.splice(0)) go()
      return splitOf(one.decider)?.on === 0
    })
    expect(await howManyOn(one.decider)).toBe(0)
  })

  it('is not answered by what was asked before the change', async () => {
    const one = await allOn({ rememberMs: 0, deadlineMs: 60_000 })
    one.provider.hang()
    const before = one.decider.decide({ targetingKey: 'user_0' })
    await until(() => one.provider.hanging === 1)
    one.provider.emit(ProviderEvents.ConfigurationChanged)
    const after = one.decider.decide({ targetingKey: 'user_0' })
    expect(after).not.toBe(before)
    one.provider.release()
    await Promise.all([before, after])
  })
})

describe('a rollback that nothing announces', () => {
  it('counts as soon as the probe users show it', async () => {
    const one = await allOn({ ...LONG, liveSplit: { everyMs: 100 } })
    one.provider.rule = off
    await until(() => splitOf(one.decider)?.on === 0)
    one.provider.rule = fails('connection refused')
    expect(await howManyOn(one.decider)).toBe(0)
  })
})

it('over rpc: a rollback that is confirmed stays when flagd dies', async () => {
  const file = new FlagsFile()
  file.write(useRedis(100))
  const ports = { evaluation: 0, management: 0, sync: 0, ofrep: 0 }
  const sidecar = await startSidecar({ file: file.path, ports })
  const source = await flagsFromEnvironment(
    { FLAGD_HOST: '127.0.0.1', FLAGD_PORT: `${sidecar.ports.evaluation}`, FLAGD_RESOLVER: 'rpc' },
    { domain: 'taken-back', onEvent: () => {} },
  )
  const decider = source.createDecider({ flag: 'use-redis' })
  onTestFinished(async () => {
    await decider.close()
    await source.close()
    await sidecar.close(0)
    file[Symbol.dispose]()
  })
  await until(() => splitOf(decider)?.on === 100)
  await until(async () => (await howManyOn(decider)) === USERS.length)
  file.write(useRedis(0))
  await until(() => splitOf(decider)?.on === 0)
  await sidecar.close(0)
  await until(() => decider.health().status !== 'READY')
  expect(await howManyOn(decider)).toBe(0)
})

function isProbe({ targetingKey = '' }: { targetingKey?: string }): boolean {
  return isProbeUser(targetingKey)
}
