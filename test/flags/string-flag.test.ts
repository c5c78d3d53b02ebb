import { InMemoryProvider, OpenFeature } from '@openfeature/server-sdk'
import { afterAll, expect, it } from 'vitest'
import { createStringFlag, runAs } from '../../src/flags/index.ts'
import type { FlagsEvent } from '../../src/flags/index.ts'
import { ScriptedProvider, domainOf, fails, until } from '../support/flags-providers.ts'

const allowed = ['invalidate', 'mirror'] as const
const options = { flag: 's', allowed, fallback: 'invalidate' } as const

afterAll(() => OpenFeature.clearProviders())

it('is the fallback until the first answer, then the flag, and follows its changes', async () => {
  const flag = (variant: string): object => ({
    s: {
      variants: { invalidate: 'invalidate', mirror: 'mirror' },
      defaultVariant: variant,
      disabled: false,
    },
  })
  const provider = new InMemoryProvider(flag('mirror') as never)
  const events: FlagsEvent[] = []
  const domain = await domainOf(provider)
  const standby = createStringFlag({
    ...options,
    domain,
    rememberMs: 3_600_000,
    onEvent: (event) => events.push(event),
  })
  expect(standby.current()).toBe('invalidate')
  await until(() => standby.current() === 'mirror')
  provider.putConfiguration(flag('invalidate') as never)
  // By the event: nothing is due yet.
  await until(() => standby.current() === 'invalidate')
  provider.putConfiguration(flag('mirror') as never)
  await until(() => standby.current() === 'mirror')
  // No such flag any more.
  provider.putConfiguration({})
  await until(() => standby.current() === 'invalidate')
  expect(events.map(({ message }) => message)).toEqual([
    'flag s: invalidate -> mirror',
    'flag s: mirror -> invalidate',
    'flag s: invalidate -> mirror',
    'flag s: mirror -> invalidate',
  ])
  standby.close()
})

it('stays what it was when the flag makes no sense or the service fails', async () => {
  const provider = new ScriptedProvider()
  provider.rule = () => ({ value: 'mirror' })
  const events: FlagsEvent[] = []
  const standby = createStringFlag({
    ...options,
    domain: await domainOf(provider),
    rememberMs: 0,
    onEvent: (event) => events.push(event),
  })
  await until(() => standby.current() === 'mirror')
  for (const rule of [() => ({ value: 'sideways' }), () => ({ value: 7 }), fails('boom')]) {
    provider.rule = rule
    const asked = provider.asked.length
    await until(() => standby.current() === 'mirror' && provider.asked.length > asked + 2)
  }
  expect(events.filter(({ level }) => level === 'warn').map(({ message }) => message)).toEqual([
    'flag s: "sideways" is not one of invalidate, mirror; mirror stays in force',
  ])
  // A hung service: current() still answers at once, and does not pile up evaluations.
  provider.hang()
  await until(() => standby.current() === 'mirror' && provider.hanging > 0)
  for (let i = 0; i < 1_000; i++) expect(standby.current()).toBe('mirror')
  await Promise.resolve()
  expect(provider.hanging).toBe(1)
  standby.close()
  provider.release()
})

it('is asked without a user, whoever asks', async () => {
  const provider = new ScriptedProvider()
  provider.rule = () => ({ value: 'mirror' })
  const standby = createStringFlag({ ...options, domain: await domainOf(provider), rememberMs: 0 })
  await runAs('user_7', () => until(() => standby.current() === 'mirror'))
  expect(provider.asked.every((context) => Object.keys(context).length === 0)).toBe(true)
  standby.close()
  const asked = provider.asked.length
  standby.current()
  expect(provider.asked).toHaveLength(asked)
})
