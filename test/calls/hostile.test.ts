// What an application may do to a switch without meaning to.
import { describe, expect, test } from 'vitest'
import { type CallInfo, createSwitch, type SwitchOptions } from '../../src/calls/index.ts'
import type { SwitchEvent } from '../../src/switch/index.ts'
import { createTelemetry } from '../../src/telemetry/index.ts'
import { FixedDecider } from '../support/fixed-decider.ts'

interface Find {
  find(signal?: AbortSignal): Promise<unknown>
}
type FindOptions = Partial<SwitchOptions<Find>>

function make(off: Find['find'], on: Find['find'], more: FindOptions = {}) {
  const events: SwitchEvent[] = []
  const infos: CallInfo[] = []
  const service = createSwitch<Find>({
    off: { find: off },
    on: { find: on },
    decider: new FixedDecider(),
    onEvent: (event) => events.push(event),
    onCall: (info) => infos.push(info),
    ...more,
  })
  return { service, events, infos }
}

const READ: FindOptions = { methods: { find: { kind: 'read', fallback: true } } }
const BOTH: FindOptions = { methods: { find: { kind: 'write', to: 'both' } } }
const late = (signal: AbortSignal | undefined): Promise<never> =>
  new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))

describe('an error that has no text', () => {
  const odd = new Proxy({}, { get: (_, name) => fail(String(name)) })
  const fail = (name: string): never => {
    throw new Error(`nobody may read ${name}`)
  }
  test.each([
    ['without a prototype', Object.create(null)],
    ['that answers nothing', odd],
  ])('%s: the other side is asked, and closing ends', async (_, error: unknown) => {
    const { service, infos } = make(
      () => Promise.reject(error),
      async () => 'new',
      READ,
    )
    expect(await service.find()).toBe('new')
    expect(infos).toMatchObject([{ outcome: 'failed', servedBy: 'on' }])
    await service.close()
    const both = make(
      async () => 'old',
      () => Promise.reject(error),
      BOTH,
    )
    expect(await both.service.find()).toBe('old')
    expect(both.infos).toMatchObject([{ outcome: 'ok', other: 'failed' }])
  })
})

describe('an abort while the other side is asked', () => {
  test('hides no failure of the picked one', async () => {
    const broken = new Error('no route')
    const { service, infos } = make(() => Promise.reject(broken), late, READ)
    const caller = new AbortController()
    const finding = service.find(caller.signal)
    setImmediate(() => caller.abort())
    await expect(finding).rejects.toBe(broken)
    expect(infos).toMatchObject([{ outcome: 'failed', servedBy: 'none' }])
  })

  test('does not undo what the picked one has written', async () => {
    const { service, infos } = make(async () => 'old', late, BOTH)
    const caller = new AbortController()
    const writing = service.find(caller.signal)
    setImmediate(() => caller.abort())
    expect(await writing).toBe('old')
    expect(infos).toMatchObject([{ outcome: 'ok', servedBy: 'off', other: 'failed' }])
  })
})

test('an error that is an answer is one from the other side as well', async () => {
  const missing = Object.assign(new Error('no such user'), { status: 404 })
  const { service, infos } = make(
    () => Promise.reject(new Error('no route')),
    () => Promise.reject(missing),
    { ...READ, isFailure: (error) => (error as typeof missing).status !== 404 },
  )
  await expect(service.find()).rejects.toBe(missing)
  expect(infos).toMatchObject([{ outcome: 'failed', servedBy: 'on' }])

  const fails = (error: Error) => (): string => {
    throw error
  }
  const sync = createSwitch<{ find(): string }>({
    off: { find: fails(new Error('no route')) },
    on: { find: fails(missing) },
    decider: new FixedDecider(),
    methods: { find: { kind: 'read', fallback: true, returns: 'value' } },
    isFailure: (error) => error !== missing,
  })
  expect(() => sync.find()).toThrow(missing)
})

test.each([
  [{ deadlineMs: Infinity }, 'deadlineMs cannot be'],
  [{ deadlineMs: '300' }, 'deadlineMs cannot be "300"'],
  [{ methods: { find: { deadlineMs: 2 ** 31 } } }, 'find.deadlineMs cannot be 2147483648'],
  [{ breaker: { failures: 20 } }, 'breaker.failures cannot be 20'],
  [{ breaker: { window: 40 } }, 'breaker.window cannot be 40'],
  [{ breaker: { probeMs: 40 } }, 'createSwitch: breaker has no option "probeMs"'],
])('%j is refused: timers and windows would do something else', (wrong, message) => {
  const find = async (): Promise<number> => 1
  expect(() => make(find, find, wrong as never)).toThrow(message)
})

describe('a comparison', () => {
  async function compared(
    off: () => unknown,
    on: () => unknown,
    compare: object = {},
  ): Promise<{ counted: string[]; told: string[] }> {
    const telemetry = createTelemetry({ meter: false })
    const { service, events } = make(
      async () => off(),
      async () => on(),
      {
        name: 'find',
        telemetry,
        methods: { find: { kind: 'read', compare: { share: 1, ...compare } } },
      },
    )
    for (let i = 0; i < 21; i++) await service.find()
    // They begin in the next turn, and what they ask here answers at once.
    for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve))
    await service.close()
    const lines = telemetry.prometheus().split('\n')
    const counted = lines.filter((line) => /comparisons_total.*method="find"/.test(line))
    telemetry.close()
    return {
      counted: counted.map((line) => line.replace(/.*against="(.*)",result="(.*)"\} /, '$1 $2 ')),
      told: events.map(({ detail }) => detail),
    }
  }

  test('of streams compares nothing, and opens none', async () => {
    let opened = 0
    const open = async function* (): AsyncGenerator<number> {
      opened++
      yield 1
    }
    expect(await compared(open, open)).toEqual({ counted: [], told: [] })
    expect(opened).toBe(0)
  })

  test('by an `equal` that returns a promise has failed: it would find everything the same', async () => {
    const { counted, told } = await compared(
      () => 1,
      () => 2,
      { equal: async () => false },
    )
    expect(counted).toEqual(['itself failed 20', 'other failed 1'])
    expect(told).toEqual([expect.stringContaining('equal returned a promise')])
  })

  test('says where maps and dates differ', async () => {
    const result = (n: number) => () => ({ at: new Date(n), by: new Map([[1, n]]) })
    expect((await compared(result(1), result(2))).told).toEqual([
      'find: the sides differ at at: object, not object; by: object, not object',
    ])
  })

  test('is counted once, also of what cannot be walked through', async () => {
    const nested = (): object => {
      let one: object = { end: Math.random() }
      for (let i = 0; i < 20_000; i++) one = { one }
      return one
    }
    const [old, fresh] = [nested(), nested()]
    const equal = (a: unknown, b: unknown): boolean => a === b
    expect(
      await compared(
        () => old,
        () => fresh,
        { equal },
      ),
    ).toEqual({
      counted: ['itself same 20', 'other mismatch 1'],
      told: ['find: the sides differ at what `equal` compares'],
    })
  })
})
