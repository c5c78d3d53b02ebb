import { once } from 'node:events'
import { Readable } from 'node:stream'
import { describe, expect, expectTypeOf, test, vi } from 'vitest'
import { type CallInfo, controlsOf, createSwitch, type Switched } from '../../src/calls/index.ts'
import type { SwitchEvent } from '../../src/switch/index.ts'
import { createTelemetry } from '../../src/telemetry/index.ts'
import { deferred } from '../support/deferred.ts'
import { FixedDecider } from '../support/fixed-decider.ts'
import { until } from '../support/until.ts'

const USERS = { ann: 'on' } as const
const ann = { targetingKey: 'ann' }

class Search {
  readonly #name: string
  constructor(name: string) {
    this.#name = name
  }
  get version(): string {
    return `${this.#name} 1`
  }
  async find(query: string): Promise<{ hits: string[] }> {
    return { hits: [this.#own(query)] }
  }
  close(): Promise<string> {
    return Promise.resolve(this.#name)
  }
  #own(query: string): string {
    return `${query} by ${this.#name}`
  }
}

describe('to business code', () => {
  test('it is the service: its private parts, getters, and methods that nobody named', async () => {
    const search = createSwitch<Search>({
      off: new Search('old'),
      on: new Search('new'),
      decider: new FixedDecider(USERS),
    })
    expectTypeOf(search.find).toEqualTypeOf<(query: string) => Promise<{ hits: string[] }>>()
    expect(await search.find('a')).toEqual({ hits: ['a by old'] })
    const forAnn = search.for(ann)
    expect(await forAnn.find('a')).toEqual({ hits: ['a by new'] })
    expect([search.version, forAnn.version]).toEqual(['old 1', 'new 1'])
    // The service's own member wins over the control of that name.
    expect(await forAnn.close()).toBe('new')
    await controlsOf(search).close()
    await expect(search.find('a')).rejects.toMatchObject({ code: 'SB_CLOSED' })
  })

  test('within: one decision for all calls in it, also when the user is moved meanwhile', async () => {
    const decider = new FixedDecider(USERS)
    const search = createSwitch<Search>({ off: new Search('old'), on: new Search('new'), decider })
    const asked = decider.asked
    const seen = await search.within(ann, async () => {
      const first = await search.find('a')
      decider.sides.set('ann', 'off')
      const { find } = search
      return [first, await find('b'), await search.for(ann).find('c')].flatMap(({ hits }) => hits)
    })
    expect(seen).toEqual(['a by new', 'b by new', 'c by old'])
    expect(decider.asked - asked).toBe(2)
  })

  test('a method that returns no promise has to say so', () => {
    interface Sync {
      size(): number
    }
    const one: Sync = { size: () => 1 }
    const options = { off: one, on: { ...one }, decider: new FixedDecider() }
    // @ts-expect-error size returns a number
    createSwitch<Sync>(options)
    // @ts-expect-error a number is no stream
    createSwitch<Sync>({ ...options, methods: { size: { returns: 'stream' } } })
    const sync = createSwitch<Sync>({ ...options, methods: { size: { returns: 'value' } } })
    expect(sync.size()).toBe(1)
  })

  test.each([
    [{ methods: { find: { kind: 'read', deadlineMs: 0 } } }, 'find.deadlineMs cannot be 0'],
    [{ methods: { find: { kind: 'reed' } } }, 'find.kind cannot be "reed"'],
    [{ methods: { find: { fallback: true } } }, 'find.fallback cannot be true'],
    [{ methods: { find: { kind: 'write', to: 'all' } } }, 'find.to cannot be "all"'],
    [
      { methods: { find: { kind: 'read', compare: { share: 2 } } } },
      'find.compare.share cannot be 2',
    ],
    [{ methods: { fnid: {} } }, 'methods.fnid cannot be undefined'],
    [{ standby: 'miror' }, 'standby cannot be "miror"'],
    [{ on: undefined }, 'on cannot be undefined'],
    [{ deadlineMs: -1 }, 'deadlineMs cannot be -1'],
    [{ deadlinMs: 50 }, 'createSwitch has no option "deadlinMs"'],
  ])('%j is refused', (wrong, message) => {
    const right = { off: new Search('a'), on: new Search('b'), decider: new FixedDecider() }
    const make = (): unknown => createSwitch({ ...right, ...wrong } as never)
    expect(make).toThrow(expect.objectContaining({ code: 'SB_OPTION_INVALID' }))
    expect(make).toThrow(message)
  })
})

test('two switches of one name would hide each other: the second is refused until the first is closed', async () => {
  const telemetry = createTelemetry({ meter: false })
  const make = (name: string, more: object = {}): Switched<Search> => {
    const [off, on] = [new Search('a'), new Search('b')]
    return createSwitch({ name, off, on, telemetry, decider: new FixedDecider(), ...more } as never)
  }
  // One that could not be made has no name.
  expect(() => make('search', { methods: { fnid: {} } })).toThrow('methods.fnid')
  const first = make('search')
  make('mail')
  expect(() => make('search')).toThrow('name cannot be "search"')
  await controlsOf(first).close()
  make('search')
  telemetry.close()
})

test('a side that fails every comparison is told of, once, until it answers one', async () => {
  const events: SwitchEvent[] = []
  let works = false
  const answer = (): Promise<string> => Promise.resolve('same')
  const find = (): Promise<string> => (works ? answer() : Promise.reject(new Error('no index')))
  const search = createSwitch<{ find(): Promise<string> }>({
    off: { find: answer },
    on: { find },
    decider: new FixedDecider(),
    methods: { find: { kind: 'read', compare: { share: 1 } } },
    onEvent: (event) => events.push(event),
  })
  const told = (): number => events.filter(({ type }) => type === 'shadow-failing').length
  const ask = async (calls: number): Promise<void> => {
    // Not all at once: comparisons beyond the limit are dropped.
    for (let i = 0; i < calls; i++) {
      await search.find()
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  // The first comparisons measure the noise of the old side.
  await ask(80)
  await until('it is told', () => told() === 1)
  expect(events[0]).toMatchObject({
    side: 'on',
    detail: expect.stringMatching(/^find: .*no index/),
  })
  works = true
  await ask(10)
  works = false
  await ask(40)
  await until('it is told again', () => told() === 2)
  await controlsOf(search).close()
})

describe('signals', () => {
  interface Vendor {
    send(text: string, options?: { signal?: AbortSignal; urgent?: boolean }): Promise<string>
  }
  function vendors(send: Vendor['send'], deadlineMs = 60_000, signal?: number): Switched<Vendor> {
    const place = signal === undefined ? {} : { signal }
    return createSwitch<Vendor>({
      off: { send },
      on: { send },
      decider: new FixedDecider(),
      deadlineMs,
      onEvent: () => {},
      methods: { send: { kind: 'call', ...place } },
    })
  }

  test('the one for the side is aborted at the deadline, the caller gave none', async () => {
    let seen: AbortSignal | undefined
    const vendor = vendors(
      (_, options) => {
        seen = options?.signal
        return new Promise(() => {})
      },
      20,
      1,
    )
    await expect(vendor.send('a', { urgent: true })).rejects.toMatchObject({ code: 'SB_DEADLINE' })
    expect(seen?.aborted).toBe(true)
    expect(seen?.reason).toMatchObject({ code: 'SB_DEADLINE' })
  })

  test('the caller’s reaches the side, with the other options', async () => {
    const given: unknown[] = []
    const vendor = vendors((_, options) => {
      given.push(options?.urgent)
      return new Promise((_resolve, reject) => {
        options?.signal?.addEventListener('abort', () => reject(options.signal?.reason as Error))
      })
    })
    const controller = new AbortController()
    const sending = vendor.send('a', { signal: controller.signal, urgent: true })
    controller.abort(new Error('enough'))
    await expect(sending).rejects.toThrow('enough')
    expect(given).toEqual([true])
  })
})

test('an argument that is no plain object reaches the side as it is, with a signal or without', async () => {
  class Message {
    readonly #text = 'hello'
    readonly signal = new AbortController().signal
    get text(): string {
      return this.#text
    }
  }
  const seen: unknown[] = []
  const send = async (message: Message): Promise<string> => {
    seen.push(message)
    return message.text
  }
  const mail = createSwitch<{ send: typeof send }>({
    off: { send },
    on: { send },
    decider: new FixedDecider(),
    methods: { send: { kind: 'call', signal: 0 } },
  })
  const message = new Message()
  expect(await mail.send(message)).toBe('hello')
  expect(seen).toEqual([message])
})

test('an `isFailure` that throws takes the error for a failure', async () => {
  const infos: CallInfo[] = []
  const off = { read: () => Promise.reject(null) }
  const vendor = createSwitch<{ read(): Promise<string> }>({
    off,
    on: { read: async () => 'new' },
    decider: new FixedDecider(),
    methods: { read: { kind: 'read', fallback: true } },
    isFailure: (error) => (error as { status: number }).status !== 404,
    onCall: (info) => infos.push(info),
  })
  expect(await vendor.read()).toBe('new')
  expect(infos).toMatchObject([{ outcome: 'failed', servedBy: 'on' }])
})

test.each([{ idempotent: true }, { returns: 'stream' }])(
  'a write to both cannot be %j too',
  (also) => {
    const put = async (): Promise<void> => {}
    const methods = { put: { kind: 'write', to: 'both', ...also } }
    const parts = { off: { put }, on: { put }, decider: new FixedDecider(), methods }
    expect(() => createSwitch(parts as never)).toThrow('put.to cannot be "both"')
  },
)

describe('writes that go to both', () => {
  interface Index {
    put(id: string): Promise<string>
  }

  test('what the other side did not take is told, and the write stands', async () => {
    const events: SwitchEvent[] = []
    const infos: CallInfo[] = []
    const telemetry = createTelemetry({ meter: false })
    const on = { put: vi.fn(() => Promise.reject(new Error('full'))) }
    const index = createSwitch<Index>({
      off: { put: async (id) => `old ${id}` },
      on,
      name: 'index',
      decider: new FixedDecider(),
      telemetry,
      methods: { put: { kind: 'write', to: 'both' } },
      breaker: { window: 2, failures: 2, probeIntervalMs: 1e9 },
      onEvent: (event) => events.push(event),
      onCall: (info) => infos.push(info),
    })
    for (const id of ['1', '2', '3']) expect(await index.put(id)).toBe(`old ${id}`)
    expect(infos.map(({ other, servedBy }) => [other, servedBy])).toEqual(
      Array.from({ length: 3 }, () => ['failed', 'off']),
    )
    // The third did not wait for a side that is out.
    expect(on.put).toHaveBeenCalledTimes(2)
    expect(events.map(({ type }) => type)).toEqual([
      'write-left',
      'side-out',
      'write-left',
      'write-left',
    ])
    expect(events[0]?.message).toBe('write-left on (new): put was done on one side only: full')
    expect(telemetry.prometheus()).toContain(
      'switchback_second_writes_total{switch="index",method="put",side="on",result="failed"} 3',
    )
    await index.close()
  })
})

describe('comparisons', () => {
  interface Prices {
    of(id: string): Promise<{ id: string; price: number; secret: string; at: number }>
  }

  test('say where the sides differ, not what is there, and how noisy a side is by itself', async () => {
    const events: SwitchEvent[] = []
    const telemetry = createTelemetry({ meter: false })
    let at = 0
    const prices = createSwitch<Prices>({
      off: { of: async (id) => ({ id, price: 1, secret: 'hunter2', at: at++ }) },
      on: { of: async (id) => ({ id, price: 2, secret: 'hunter3', at: at++ }) },
      name: 'prices',
      decider: new FixedDecider(),
      telemetry,
      methods: {
        of: {
          kind: 'read',
          compare: { share: 1, equal: (own, other) => own.price === other.price },
        },
      },
      onEvent: (event) => events.push(event),
    })
    const counted = (against: string, result: string): number => {
      const labels = `method="of",against="${against}",result="${result}"`
      const line = `switchback_comparisons_total{switch="prices",${labels}}`
      const found = telemetry
        .prometheus()
        .split('\n')
        .find((one) => one.startsWith(line))
      return Number(found?.split(' ').at(-1) ?? 0)
    }
    for (let i = 0; i < 25; i++) await prices.of('a')
    await until('all', () => counted('itself', 'same') + counted('other', 'mismatch') === 25)
    expect(counted('itself', 'same')).toBe(21)
    expect(events).toHaveLength(1)
    expect(events[0]?.detail).toBe(
      'of: the sides differ at price: number, not number; secret: string, not string; at: number, not number',
    )
    await prices.close()
  })

  test('instances of classes are compared as what they are', async () => {
    const telemetry = createTelemetry({ meter: false })
    const read = async (): Promise<object> => ({
      at: new URL('http://a/'),
      bytes: Buffer.from('a'),
    })
    const files = createSwitch<{ read: typeof read }>({
      off: { read },
      on: { read },
      name: 'files',
      decider: new FixedDecider(),
      telemetry,
      methods: { read: { kind: 'read', compare: { share: 1 } } },
    })
    for (let i = 0; i < 21; i++) await files.read()
    await until('all', () => /against="other",result="same"\} 1/.test(telemetry.prometheus()))
    expect(telemetry.prometheus()).toContain('against="itself",result="same"} 20')
    await files.close()
  })

  test('a side that hangs holds up nobody; above the limit comparisons are shed', async () => {
    const telemetry = createTelemetry({ meter: false })
    const hung = deferred<never>()
    const other = vi.fn(() => hung.promise)
    const prices = createSwitch<{ of(): Promise<number> }>({
      off: { of: async () => 1 },
      on: { of: other },
      name: 'prices',
      decider: new FixedDecider(),
      telemetry,
      maxBackground: 2,
      deadlineMs: 60_000,
      methods: { of: { kind: 'read', compare: { share: 1 } } },
    })
    for (let i = 0; i < 40; i++) {
      expect(await prices.of()).toBe(1)
      if (i < 20) await new Promise((resolve) => setImmediate(resolve))
    }
    await until('both are under way', () => other.mock.calls.length === 2)
    expect(telemetry.prometheus()).toMatch(/against="other",result="shed"\} \d+/)
    hung.reject(new Error('the end'))
    await prices.close()
    expect(telemetry.prometheus()).toContain('against="other",result="failed"} 2')
  })
})

describe('a side that is out', () => {
  test('is asked again by the probe, and serves again', async () => {
    const events: string[] = []
    let dead = true
    const back = deferred<void>()
    const read = async (): Promise<string> => {
      if (dead) throw new Error('no route')
      return 'new'
    }
    const vendor = createSwitch<{ read(): Promise<string> }>({
      off: { read: async () => 'old' },
      on: { read },
      names: { on: 'vendor 2' },
      decider: new FixedDecider(USERS),
      methods: { read: { kind: 'read', fallback: true } },
      breaker: { window: 3, failures: 3, probeIntervalMs: 5 },
      probe: (service) => service.read(),
      onEvent: ({ type, message }) => {
        events.push(message)
        if (type === 'side-back') back.resolve()
      },
    })
    const forAnn = vendor.for(ann)
    for (let i = 0; i < 4; i++) expect(await forAnn.read()).toBe('old')
    expect(vendor.health()).toMatchObject({
      ok: false,
      on: { ok: false, name: 'vendor 2', detail: 'no route' },
    })
    dead = false
    await back.promise
    expect(await forAnn.read()).toBe('new')
    expect(vendor.health()).toMatchObject({ ok: true, on: { outSince: 0, detail: '' } })
    expect(events[0]).toBe('side-out on (vendor 2): no route')
    await vendor.close()
  })
})

describe('a side without a probe', () => {
  test('is back only when a call has succeeded there, and then once', async () => {
    const events: string[] = []
    let dead = true
    const vendor = createSwitch<{ read(): Promise<string> }>({
      off: { read: async () => 'old' },
      on: {
        read: async () => {
          if (dead) throw new Error('no route')
          return 'new'
        },
      },
      decider: new FixedDecider(USERS),
      methods: { read: { kind: 'read', fallback: true } },
      breaker: { window: 3, failures: 3, probeIntervalMs: 1 },
      onEvent: ({ type }) => events.push(type),
    })
    const forAnn = vendor.for(ann)
    // Each time that the breaker closes by itself, the side is tried again, and opens it again.
    for (let tried = 0; tried < 3;) {
      for (let i = 0; i < 3; i++) expect(await forAnn.read()).toBe('old')
      if (!vendor.health().on.ok) tried++
      await until('it is tried again', () => vendor.health().on.ok)
    }
    expect(events).toEqual(['side-out'])
    dead = false
    await until('it serves', async () => (await forAnn.read()) === 'new')
    expect(await forAnn.read()).toBe('new')
    expect(events).toEqual(['side-out', 'side-back'])
    await vendor.close()
  })
})

describe('streams', () => {
  test('who stops early ends the source', async () => {
    let ended = false
    async function* tokens(): AsyncGenerator<string> {
      try {
        yield 'a'
        yield 'b'
      } finally {
        ended = true
      }
    }
    const model = createSwitch<{ ask(): AsyncIterable<string> }>({
      off: { ask: tokens },
      on: { ask: tokens },
      decider: new FixedDecider(),
      methods: { ask: { kind: 'read', returns: 'stream' } },
    })
    for await (const token of model.ask()) {
      expect(token).toBe('a')
      break
    }
    expect(ended).toBe(true)
    await model.close()
  })

  test('a promise of a stream falls back before its first item, and is counted once', async () => {
    const infos: CallInfo[] = []
    const ended: string[] = []
    const source = (...items: readonly (string | Error)[]): Readable => {
      async function* all(): AsyncGenerator<string> {
        for (const item of items) {
          if (item instanceof Error) throw item
          yield item
        }
      }
      return Readable.from(all()).on('close', () => ended.push(items.join()))
    }
    const files = createSwitch<{ open(name: string): Promise<Readable> }>({
      off: {
        open: async (name) => {
          if (name === 'none') throw new Error('no route')
          return source(new Error('torn'))
        },
      },
      on: { open: async () => source('a', 'b') },
      decider: new FixedDecider(),
      methods: { open: { kind: 'read', fallback: true } },
      onCall: (info) => infos.push(info),
      onEvent: () => {},
    })
    for (const name of ['torn', 'none']) {
      const parts: unknown[] = []
      for await (const part of await files.open(name)) parts.push(part)
      expect(parts).toEqual(['a', 'b'])
    }
    expect(infos.map(({ outcome, servedBy }) => [outcome, servedBy])).toEqual([
      ['failed', 'on'],
      ['failed', 'on'],
    ])
    await until('all are closed', () => ended.length === 3)
  })

  test('what the reader throws, and stopping early, say nothing against the side', async () => {
    const events: string[] = []
    async function* tokens(): AsyncGenerator<string> {
      yield 'a'
      yield 'b'
    }
    const model = createSwitch<{ ask(): AsyncGenerator<string> }>({
      off: { ask: tokens },
      on: { ask: tokens },
      decider: new FixedDecider(),
      methods: { ask: { kind: 'read', returns: 'stream' } },
      breaker: { window: 2, failures: 2 },
      onEvent: ({ type }) => events.push(type),
    })
    for (let i = 0; i < 4; i++) {
      const stream = model.ask()
      await stream.next()
      await expect(stream.throw(new Error('client gone'))).rejects.toThrow('client gone')
    }
    expect([events, model.health().off.ok]).toEqual([[], true])
    await model.close()
  })

  test('a promise of a stream keeps what the stream has besides, and is watched while it is read', async () => {
    const infos: CallInfo[] = []
    const files = createSwitch<{ open(name: string): Promise<Readable> }>({
      off: {
        open: async (name) =>
          Readable.from(
            (async function* () {
              yield 'a'
              if (name === 'bad') throw new Error('torn')
              yield 'b'
            })(),
          ),
      },
      on: { open: async () => Readable.from([]) },
      decider: new FixedDecider(),
      onCall: (info) => infos.push(info),
      onEvent: () => {},
    })
    const good: string[] = []
    for await (const part of await files.open('good')) good.push(part as string)
    expect(good).toEqual(['a', 'b'])
    const bad = await files.open('bad')
    await expect(async () => {
      for await (const _ of bad) continue
    }).rejects.toThrow('torn')
    const piped = await files.open('good')
    expect(piped.readableObjectMode).toBe(true)
    piped.resume()
    await once(piped, 'end')
    expect(infos.map(({ outcome }) => outcome)).toEqual(['ok', 'failed', 'ok'])
    await files.close()
  })
})
