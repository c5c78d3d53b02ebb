import { tracingChannel } from 'node:diagnostics_channel'
import { expect, onTestFinished, test, vi } from 'vitest'
import { type CacheBackend, memoryCache } from '../../src/cache/index.ts'
import { SwitchbackError } from '../../src/errors.ts'
import { createCacheSwitch, type OperationTrace, type SwitchEvent } from '../../src/switch/index.ts'
import { FixedDecider } from '../support/fixed-decider.ts'

const decider = new FixedDecider({ on: 'on' })
const WARNING = new SwitchbackError('SB_REDIS_CLIENT_UNSAFE', 'an option is unsafe.', {
  hint: 'Set it.',
})

/** A backend that has something to say as soon as somebody listens. */
function talking(): CacheBackend {
  return Object.assign(memoryCache(), {
    onWarning: (listener: (warning: SwitchbackError) => void) => listener(WARNING),
  })
}

test('warnings of a backend are events of the cache', async () => {
  const events: SwitchEvent[] = []
  const cache = createCacheSwitch({
    off: memoryCache(),
    on: talking(),
    decider,
    onEvent: (event) => events.push(event),
  })
  expect(events).toEqual([
    {
      type: 'warning',
      level: 'warn',
      side: 'on',
      backend: 'memory',
      code: 'SB_REDIS_CLIENT_UNSAFE',
      detail: 'an option is unsafe. Set it.',
      message: 'warning on (memory): an option is unsafe. Set it.',
    },
  ])
  await cache.close()
})

test('without a listener an event is one line on stderr, and one that throws fails nothing', async () => {
  const warn = vi.spyOn(console, 'warn').mockReturnValue()
  onTestFinished(() => warn.mockRestore())
  const onEvent = (): never => {
    throw new Error('the logger is down')
  }
  for (const options of [{}, { onEvent }]) {
    await createCacheSwitch({ off: memoryCache(), on: talking(), decider, ...options }).close()
  }
  expect(warn.mock.calls).toEqual([
    ['switchback: warning on (memory): an option is unsafe. Set it.'],
    ['switchback: the listener onEvent failed: the logger is down'],
  ])
})

test('what the decider that the switch makes has to say is an event of the cache', async () => {
  const events: SwitchEvent[] = []
  const onEvent = (event: SwitchEvent): void => void events.push(event)
  const cache = createCacheSwitch({ off: memoryCache(), on: memoryCache(), flag: 'none', onEvent })
  await cache.for({ targetingKey: 'somebody' }).get('k')
  await vi.waitFor(() => {
    expect(events[0]).toMatchObject({ type: 'flags', level: 'warn' })
    expect(events[0]?.message).toContain('none')
  })
  await cache.close()
})

test('an operation can be traced, and tells what it did', async () => {
  const channel = tracingChannel<string, OperationTrace>('switchback:operation')
  const told: [string, OperationTrace][] = []
  const handlers = Object.fromEntries(
    ['start', 'end', 'asyncStart', 'asyncEnd', 'error'].map((name) => [
      name,
      (trace: OperationTrace) => told.push([name, { ...trace }]),
    ]),
  ) as unknown as Parameters<typeof channel.subscribe>[0]
  const cache = createCacheSwitch({
    off: memoryCache(),
    on: memoryCache(),
    decider,
    name: 'users',
  })
  const seen: string[] = []
  const user = cache.for(
    { targetingKey: 'on' },
    { onOperation: ({ operation }) => seen.push(operation) },
  )
  channel.subscribe(handlers)
  onTestFinished(() => void channel.unsubscribe(handlers))

  expect(await user.getOrSet('k', () => 1)).toBe(1)
  expect(told.map(([name]) => name)).toEqual(['start', 'end', 'asyncStart', 'asyncEnd'])
  expect(told[0]?.[1]).toEqual({ operation: 'getOrSet', cache: 'users' })
  expect(told.at(-1)?.[1]).toMatchObject({
    operation: 'getOrSet',
    cache: 'users',
    side: 'on',
    outcome: 'miss',
    servedBy: 'origin',
  })

  told.length = 0
  await user.set('k', 2)
  expect(await user.get('k')).toBe(2)
  expect(await user.has('k')).toBe(true)
  expect(await user.delete('k')).toBe(true)
  await user.clear()
  await expect(user.set('k', undefined)).rejects.toThrow('undefined')
  const ends = told.filter(([name]) => name === 'asyncEnd').map(([, { operation }]) => operation)
  expect(ends).toEqual(['set', 'get', 'has', 'delete', 'clear', 'set'])
  expect(told.filter(([name]) => name === 'error')).toHaveLength(1)
  // `onOperation` is told of each as ever.
  expect(seen).toEqual(['getOrSet', 'set', 'get', 'has', 'delete'])

  told.length = 0
  channel.unsubscribe(handlers)
  await user.get('k')
  expect(told).toEqual([])
  expect(seen).toHaveLength(6)
  await cache.close()
})
