import { describe, expect, test } from 'vitest'
import { type CallInfo, type CallStage, createSwitch } from '../../src/calls/index.ts'
import { createTelemetry } from '../../src/telemetry/index.ts'
import { otherSide, type Side } from '../../src/side.ts'
import { FixedDecider } from '../support/fixed-decider.ts'
import { until } from '../support/until.ts'

// A fault is the picked side's; of a second leg, the other side's. A synchronous method can neither reject nor be
// late nor be aborted, and only a stream has a middle to die in.
// Each cell: who answered the caller (or how it failed), how the picked side did where that was not well, `~` whom
// it was compared with and how, `+` the second leg of a write.
const TABLES = `
read           | off            | dual write      | shadow                   | live                     | ramp-down       | complete
works          | old            | old             | old ~new same            | new ~old same            | new             | new
throws         | error failed   | new failed      | new failed               | old failed               | old failed      | error failed
rejects        | error failed   | new failed      | new failed               | old failed               | old failed      | error failed
hangs          | late timed_out | new timed_out   | new timed_out            | old timed_out            | old timed_out   | late timed_out
is slow        | old            | old             | old ~new same            | new ~old same            | new             | new
is aborted     | abort aborted  | abort aborted   | abort aborted            | abort aborted            | abort aborted   | abort aborted
answers wrong  | old            | old             | old ~new mismatch        | new ~old mismatch        | new             | new
says not found | answer         | answer          | answer                   | answer                   | answer          | answer
is out         | old            | new fell_back   | new fell_back            | old fell_back            | old fell_back   | new
flag gone      | old            | old             | old ~new same            | old ~new same            | old             | old

write one      | off            | dual write      | shadow                   | live                     | ramp-down       | complete
works          | old            | old             | old                      | new                      | new             | new
throws         | error failed   | error failed    | error failed             | error failed             | error failed    | error failed
rejects        | error failed   | error failed    | error failed             | error failed             | error failed    | error failed
hangs          | late timed_out | late timed_out  | late timed_out           | late timed_out           | late timed_out  | late timed_out
is slow        | old            | old             | old                      | new                      | new             | new
is aborted     | abort aborted  | abort aborted   | abort aborted            | abort aborted            | abort aborted   | abort aborted
answers wrong  | old            | old             | old                      | new                      | new             | new
says not found | answer         | answer          | answer                   | answer                   | answer          | answer
is out         | old            | old             | old                      | new                      | new             | new
flag gone      | old            | old             | old                      | old                      | old             | old

write both     | off            | dual write      | shadow                   | live                     | ramp-down       | complete
works          | old            | old +done       | old +done                | new +done                | new +done       | new
throws         | error failed   | error failed    | error failed             | error failed             | error failed    | error failed
rejects        | error failed   | error failed    | error failed             | error failed             | error failed    | error failed
hangs          | late timed_out | late timed_out  | late timed_out           | late timed_out           | late timed_out  | late timed_out
is slow        | old            | old +done       | old +done                | new +done                | new +done       | new
is aborted     | abort aborted  | abort aborted   | abort aborted            | abort aborted            | abort aborted   | abort aborted
answers wrong  | old            | old +done       | old +done                | new +done                | new +done       | new
says not found | answer         | answer          | answer                   | answer                   | answer          | answer
is out         | old            | old +done       | old +done                | new +done                | new +done       | new
flag gone      | old            | old +done       | old +done                | old +done                | old +done       | old

second leg     | off            | dual write      | shadow                   | live                     | ramp-down       | complete
works          | old            | old +done       | old +done                | new +done                | new +done       | new
throws         | old            | old +failed     | old +failed              | new +failed              | new +failed     | new
rejects        | old            | old +failed     | old +failed              | new +failed              | new +failed     | new
hangs          | old            | old +failed     | old +failed              | new +failed              | new +failed     | new
is slow        | old            | old +done       | old +done                | new +done                | new +done       | new
is aborted     | old            | old +failed     | old +failed              | new +failed              | new +failed     | new
answers wrong  | old            | old +done       | old +done                | new +done                | new +done       | new
says not found | old            | old +failed     | old +failed              | new +failed              | new +failed     | new
is out         | old            | old +failed     | old +failed              | new +failed              | new +failed     | new
flag gone      | old            | old +done       | old +done                | old +done                | old +done       | old

idempotent     | off            | dual write      | shadow                   | live                     | ramp-down       | complete
works          | old            | old             | old                      | new                      | new             | new
throws         | error failed   | new failed      | new failed               | old failed               | old failed      | error failed
rejects        | error failed   | new failed      | new failed               | old failed               | old failed      | error failed
hangs          | late timed_out | new timed_out   | new timed_out            | old timed_out            | old timed_out   | late timed_out
is slow        | old            | old             | old                      | new                      | new             | new
is aborted     | abort aborted  | abort aborted   | abort aborted            | abort aborted            | abort aborted   | abort aborted
answers wrong  | old            | old             | old                      | new                      | new             | new
says not found | answer         | answer          | answer                   | answer                   | answer          | answer
is out         | old            | new fell_back   | new fell_back            | old fell_back            | old fell_back   | new
flag gone      | old            | old             | old                      | old                      | old             | old

stream         | off            | dual write      | shadow                   | live                     | ramp-down       | complete
works          | old            | old             | old                      | new                      | new             | new
throws         | error failed   | new failed      | new failed               | old failed               | old failed      | error failed
rejects        | error failed   | new failed      | new failed               | old failed               | old failed      | error failed
hangs          | late timed_out | new timed_out   | new timed_out            | old timed_out            | old timed_out   | late timed_out
is slow        | old            | old             | old                      | new                      | new             | new
is aborted     | abort aborted  | abort aborted   | abort aborted            | abort aborted            | abort aborted   | abort aborted
answers wrong  | old            | old             | old                      | new                      | new             | new
dies midway    | error failed   | error failed    | error failed             | error failed             | error failed    | error failed
hangs midway   | late timed_out | late timed_out  | late timed_out           | late timed_out           | late timed_out  | late timed_out
says not found | answer         | answer          | answer                   | answer                   | answer          | answer
is out         | old            | new fell_back   | new fell_back            | old fell_back            | old fell_back   | new
flag gone      | old            | old             | old                      | old                      | old             | old

sync           | off            | dual write      | shadow                   | live                     | ramp-down       | complete
works          | old            | old             | old ~new same            | new ~old same            | new             | new
throws         | error failed   | new failed      | new failed               | old failed               | old failed      | error failed
answers wrong  | old            | old             | old ~new mismatch        | new ~old mismatch        | new             | new
says not found | answer         | answer          | answer                   | answer                   | answer          | answer
is out         | old            | new fell_back   | new fell_back            | old fell_back            | old fell_back   | new
flag gone      | old            | old             | old ~new same            | old ~new same            | old             | old
`

const STAGES: Readonly<Record<string, readonly [Side, CallStage]>> = {
  off: ['off', 'alone'],
  'dual write': ['off', 'mirror'],
  shadow: ['off', 'compare'],
  live: ['on', 'compare'],
  'ramp-down': ['on', 'mirror'],
  complete: ['on', 'alone'],
}

class NotFound extends Error {}

/** A service whose faults are set by the test; it answers with its own name, unless it is asked for a fact. */
class Service {
  fault = 'works'
  readonly asked: string[] = []
  readonly name: string
  constructor(name: string) {
    this.name = name
  }

  read(signal?: AbortSignal): Promise<string> {
    this.asked.push('read')
    return this.answer(signal)
  }
  writeOne(signal?: AbortSignal): Promise<string> {
    this.asked.push('writeOne')
    return this.answer(signal)
  }
  writeBoth(signal?: AbortSignal): Promise<string> {
    this.asked.push('writeBoth')
    return this.answer(signal)
  }
  idempotent(signal?: AbortSignal): Promise<string> {
    this.asked.push('idempotent')
    return this.answer(signal)
  }
  sync(): string {
    this.asked.push('sync')
    if (this.fault === 'throws') throw new Error('broken')
    if (this.fault === 'says not found') throw new NotFound('404')
    return this.text()
  }
  async *stream(signal?: AbortSignal): AsyncGenerator<string> {
    this.asked.push('stream')
    const first = await this.answer(signal)
    yield first
    if (this.fault === 'dies midway') throw new Error('broken')
    if (this.fault === 'hangs midway') await new Promise(() => {})
    yield 'the end'
  }

  answer(signal: AbortSignal | undefined): Promise<string> {
    switch (this.fault) {
      case 'throws':
        throw new Error('broken')
      case 'rejects':
        return Promise.reject(new Error('broken'))
      case 'says not found':
        return Promise.reject(new NotFound('404'))
      case 'hangs':
        return new Promise(() => {})
      case 'is slow':
        return new Promise((resolve) => setTimeout(() => resolve(this.text()), 5))
      case 'is aborted':
        return new Promise((_, reject) => {
          signal?.addEventListener('abort', () => reject(signal.reason))
        })
      default:
        return Promise.resolve(this.text())
    }
  }

  text(): string {
    return this.fault === 'answers wrong' ? 'something else' : 'the answer'
  }
}

const methodOf: Readonly<
  Record<string, Exclude<keyof Service, 'fault' | 'asked' | 'name' | 'text' | 'answer'>>
> = {
  read: 'read',
  'write one': 'writeOne',
  'write both': 'writeBoth',
  'second leg': 'writeBoth',
  idempotent: 'idempotent',
  stream: 'stream',
  sync: 'sync',
}

async function cell(kind: string, fault: string, stage: string): Promise<string> {
  const method = methodOf[kind]!
  const [side, standby] = STAGES[stage]!
  const picked = fault === 'flag gone' ? 'off' : side
  const faulty = kind === 'second leg' ? otherSide(picked) : picked
  const services = { off: new Service('old'), on: new Service('new') }
  const decider = new FixedDecider(fault === 'flag gone' ? {} : { ann: side })
  const telemetry = createTelemetry({ meter: false })
  const infos: CallInfo[] = []
  // What hangs is given up at once; nothing else may be, on a busy machine either.
  const deadlineMs = fault.startsWith('hangs') ? 30 : 60_000
  await using service = createSwitch<Service>({
    ...services,
    decider,
    standby,
    deadlineMs,
    name: 'table',
    telemetry,
    methods: {
      read: { kind: 'read', fallback: true, compare: { share: 1 } },
      writeOne: { kind: 'write' },
      writeBoth: { kind: 'write', to: 'both' },
      idempotent: { kind: 'write', idempotent: true },
      stream: { kind: 'read', fallback: true, returns: 'stream' },
      sync: { kind: 'read', fallback: true, returns: 'value', compare: { share: 1 } },
      text: { returns: 'value' },
    },
    breaker: { window: 1, failures: 1, probeIntervalMs: 1e9 },
    isFailure: (error) => !(error instanceof NotFound),
    onEvent: () => {},
    onCall: (info) => infos.push(info),
  })
  const user = service.for({ targetingKey: 'ann' })
  const compared = (result: string): RegExp =>
    new RegExp(
      `comparisons_total\\{switch="table",method="${method}",against="other",result="${result}"\\} 1`,
    )
  if (standby === 'compare' && (kind === 'read' || kind === 'sync')) {
    // The first ones measure the noise.
    for (let i = 0; i < 20; i++) await user[method as 'read']()
    await until('the noise', () =>
      /against="itself",result="same"\} 20/.test(telemetry.prometheus()),
    )
  }
  if (fault === 'is out') {
    services[faulty].fault = 'throws'
    await Promise.resolve()
      .then(() => (faulty === picked ? user.writeOne() : user.writeBoth()))
      .catch(() => {})
  } else services[faulty].fault = fault
  if (fault === 'is out') services[faulty].fault = 'works'
  infos.length = 0
  const controller = new AbortController()
  const abort = new Error('the caller had enough')
  let got: string
  try {
    if (fault === 'is aborted') setImmediate(() => controller.abort(abort))
    got = await run(user, method, controller.signal)
  } catch (error) {
    got = error === abort ? 'abort' : error instanceof NotFound ? 'answer' : 'error'
    if ((error as { code?: string }).code === 'SB_DEADLINE') got = 'late'
  }
  expect(infos).toHaveLength(1)
  const [info] = infos as [CallInfo]
  expect(info.side).toBe(picked)
  if (got === 'the answer' || got === 'something else') {
    got = info.servedBy === 'on' ? 'new' : 'old'
    const text = services[info.servedBy as Side].text()
    const wrong = fault === 'answers wrong' && faulty === picked
    expect(text).toBe(wrong ? 'something else' : 'the answer')
  } else
    expect(info.servedBy).toBe(got === 'answer' || method === 'stream' ? info.servedBy : 'none')
  let expected = got
  if (info.outcome !== 'ok') expected += ` ${info.outcome}`
  if (/old$|new$/.test(expected) && standby === 'compare' && (kind === 'read' || kind === 'sync')) {
    const text = (): string => telemetry.prometheus()
    await until(
      'a comparison',
      () => compared('same').test(text()) || compared('mismatch').test(text()),
    )
    const other = otherSide(picked) === 'on' ? 'new' : 'old'
    expected += ` ~${other} ${compared('same').test(text()) ? 'same' : 'mismatch'}`
  }
  if (info.other !== 'none') expected += ` +${info.other}`
  const second = services[otherSide(picked)].asked.filter((name) => name === method).length
  if (kind.startsWith('write')) expect(second).toBe(info.other === 'none' ? 0 : 1)
  return expected
}

async function run(user: Service, method: string, signal: AbortSignal): Promise<string> {
  if (method === 'stream') {
    const items: string[] = []
    for await (const item of user.stream(signal)) items.push(item)
    expect(items).toHaveLength(2)
    return items[0]!
  }
  const result: unknown = user[method as 'read'](signal)
  if (method === 'sync') expect(result).toBeTypeOf('string')
  return (await result) as string
}

const tables = TABLES.trim()
  .split('\n\n')
  .map((table) => table.split('\n').map((row) => row.split('|').map((text) => text.trim())))

for (const [[kind, ...stages], ...rows] of tables as [string[], ...string[][]][]) {
  describe(`a ${kind} whose side`, () => {
    test.each(rows)('%s', async (fault, ...expected) => {
      const found: string[] = []
      for (const stage of stages) found.push(await cell(kind!, fault!, stage))
      expect(found).toEqual(expected)
    })
  })
}
