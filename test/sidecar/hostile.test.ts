import { Client, Metadata, credentials } from '@grpc/grpc-js'
import type { ServiceError } from '@grpc/grpc-js'
import fc from 'fast-check'
import { once } from 'node:events'
import { request } from 'node:http'
import { connect as connectHttp2, constants } from 'node:http2'
import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2'
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { startSidecar } from '../../src/sidecar/index.ts'
import type { Sidecar, SidecarPorts } from '../../src/sidecar/index.ts'
import type { JsonObject } from '../../src/flagfile/index.ts'
import { asker } from '../support/flagd-askers.ts'
import { FREE, flagsFixture, until } from '../support/flagd-server.ts'
import type { FlagServer } from '../support/flagd-server.ts'
import { eventStream, syncStream } from '../support/flagd-streams.ts'
import { inFull } from '../support/full.ts'

const flag = (defaultVariant: string): object => ({
  state: 'ENABLED',
  variants: { on: true, off: false },
  defaultVariant,
})
const fixture = flagsFixture({ flags: { f: flag('on') } })
const LIMIT = 65_536
let sidecar: Sidecar
let server: FlagServer

beforeAll(async () => {
  sidecar = await startSidecar({ file: fixture.file, ports: FREE, maxRequestBytes: LIMIT })
  server = {
    host: '127.0.0.1',
    ports: sidecar.ports,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
})
afterEach(() => alive())
afterAll(async () => {
  await sidecar.close()
  fixture[Symbol.dispose]()
})

/** Every port still answers, which is the expectation of every test here. */
async function alive(): Promise<void> {
  await using v2 = await asker('v2', server)
  expect(await v2.ask('Boolean', 'f', {})).toMatchObject({ value: true })
  await using http = await asker('http', server)
  expect(await http.ask('Boolean', 'f', {})).toMatchObject({ value: true })
  await using ofrep = await asker('ofrep', server)
  expect(await ofrep.ask('Boolean', 'f', {})).toMatchObject({ value: true })
  using sync = syncStream(server)
  expect(await sync.next(0)).toMatchObject({ flags: { f: { state: 'ENABLED' } } })
  expect(await gauge('sidecar_flags')).toBeGreaterThan(0)
}

async function gauge(name: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${sidecar.ports.management}/metrics`)).text()
  return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1])
}

/** Sends bytes as they are; resolves when the other side is done with them or after a moment. */
async function throwAt(port: number, ...chunks: readonly Uint8Array[]): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  let answer = ''
  socket.setEncoding('latin1').on('data', (chunk: string) => (answer += chunk))
  socket.on('error', () => {})
  for (const chunk of chunks) socket.write(chunk)
  await Promise.race([once(socket, 'close'), delay(20)])
  socket.destroy()
  return answer
}

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
const PORTS = [
  'evaluation',
  'management',
  'sync',
  'ofrep',
] as const satisfies (keyof SidecarPorts)[]

describe('bytes', () => {
  test('of any kind, at any port', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...PORTS),
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 200 }), { minLength: 1, maxLength: 3 }),
        async (port, chunks) => void (await throwAt(sidecar.ports[port], ...chunks)),
      ),
      { numRuns: inFull(25, 60) },
    )
  })

  test('after a good HTTP/2 preface: frames of any type, flags, stream and payload', async () => {
    const frame = fc
      .tuple(
        fc.integer({ min: 0, max: 12 }),
        fc.integer({ min: 0, max: 255 }),
        fc.integer({ min: 0, max: 5 }),
        fc.uint8Array({ maxLength: 64 }),
        fc.integer({ min: -3, max: 3 }),
      )
      .map(([type, flags, stream, payload, lie]) => {
        const head = Buffer.alloc(9)
        head.writeUIntBE(Math.max(0, payload.length + lie), 0, 3)
        head[3] = type
        head[4] = flags
        head.writeUInt32BE(stream, 5)
        return Buffer.concat([head, payload])
      })
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('evaluation' as const, 'sync' as const),
        fc.array(frame, { minLength: 1, maxLength: 6 }),
        async (port, frames) => void (await throwAt(sidecar.ports[port], PREFACE, ...frames)),
      ),
      { numRuns: inFull(25, 60) },
    )
  })

  test('a preface in two pieces, and HTTP/1 at the gRPC port that speaks none', async () => {
    const answer = await throwAt(
      sidecar.ports.sync,
      Buffer.from('GET / HTTP/1.1\r\nhost: x\r\n\r\n'),
    )
    expect(answer).toBe('')
    await throwAt(sidecar.ports.evaluation, PREFACE.subarray(0, 5), PREFACE.subarray(5))
  })

  test('a thousand connections that say nothing do not keep others out', async () => {
    const sockets = Array.from({ length: 1_000 }, () =>
      connect(sidecar.ports.evaluation, '127.0.0.1').on('error', () => {}),
    )
    await Promise.all(sockets.map((socket) => once(socket, 'connect')))
    await alive()
    for (const socket of sockets) socket.destroy()
  })
})

describe('gRPC', () => {
  const raw = (payload: Buffer, path: string): Promise<number> => {
    const client = new Client(`127.0.0.1:${sidecar.ports.evaluation}`, credentials.createInsecure())
    return new Promise<number>((resolve) => {
      client.makeUnaryRequest(
        path,
        (value: Buffer) => value,
        (value: Buffer) => value,
        payload,
        new Metadata(),
        { deadline: Date.now() + 10_000 },
        (error: ServiceError | null) => resolve(error?.code ?? 0),
      )
    }).finally(() => client.close())
  }
  const resolve = '/flagd.evaluation.v2.Service/ResolveBoolean'

  test('messages of any bytes are answered with a status', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 100 }), async (bytes) => {
        expect(await raw(Buffer.from(bytes), resolve)).toBeTypeOf('number')
      }),
      { numRuns: inFull(25, 100) },
    )
  })

  test('a message over the limit: RESOURCE_EXHAUSTED', async () => {
    const key = Buffer.alloc(LIMIT + 1, 'x')
    const length = [0x80 | (key.length & 0x7f), 0x80 | ((key.length >> 7) & 0x7f), key.length >> 14]
    expect(await raw(Buffer.concat([Buffer.from([0x0a, ...length]), key]), resolve)).toBe(8)
  })

  test('a context nested ten thousand deep is refused', async () => {
    // Each level wraps a Struct with one entry, "" -> Value{struct_value}, around the one before.
    let inner: Buffer = Buffer.alloc(0)
    const field = (tag: number, content: Buffer): Buffer =>
      Buffer.concat([Buffer.from([tag]), varint(content.length), content])
    while (inner.length < LIMIT - 100) {
      inner = field(0x0a, Buffer.concat([field(0x12, field(0x2a, inner))]))
    }
    expect(await raw(field(0x12, inner), resolve)).not.toBe(0)
  })

  test('an unknown method, and a message with no flag key', async () => {
    expect(await raw(Buffer.alloc(0), '/flagd.evaluation.v2.Service/ResolveAll')).toBe(12)
    expect(await raw(Buffer.alloc(0), '/no.Such/Method')).toBe(12)
    expect(await raw(Buffer.alloc(0), resolve)).toBe(5)
  })

  test('a context with __proto__ changes nothing but itself', async () => {
    await using v2 = await asker('v2', server)
    const context = JSON.parse('{"__proto__":{"polluted":true},"targetingKey":"x"}') as JsonObject
    expect(await v2.ask('Boolean', 'f', context)).toMatchObject({ value: true })
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
  })

  test('calls that are reset at once, and streams that are', async () => {
    const session = rawSession(sidecar.ports.evaluation)
    for (let index = 0; index < 200; index++) {
      const path = index % 2 ? resolve : '/flagd.evaluation.v2.Service/EventStream'
      const stream = rawCall(session, path)
      if (index % 3 === 0) await delay(1)
      stream.close(constants.NGHTTP2_CANCEL)
    }
    session.destroy()
    await until('no stream is left', async () => (await gauge('sidecar_streams')) === 0)
  })
})

describe('streams', () => {
  const many = inFull(250, 1_000)
  test(`${many} at a time: each hears of a change, and none is left when they go`, async () => {
    const open = Array.from({ length: many }, () => eventStream('v2', server))
    await Promise.all(open.map((stream) => stream.next(0, ({ type }) => type === 'provider_ready')))
    expect(await gauge('sidecar_streams')).toBe(many)
    fixture.save({ flags: { f: flag('on'), thousand: flag('off') } })
    const heard = await Promise.all(
      open.map((stream) => stream.next(0, ({ type }) => type === 'configuration_change')),
    )
    expect(new Set(heard.map(({ flags }) => JSON.stringify(flags)))).toEqual(
      new Set(['{"thousand":{"type":"write"}}']),
    )
    for (const stream of open) stream[Symbol.dispose]()
    await until('no stream is left', async () => (await gauge('sidecar_streams')) === 0)
  }, 60_000)

  test('a reader who does not read gets the newest state when it does, and not each in between', async () => {
    // Raw HTTP/2: without a listener nothing is read, and the 64 KiB window stays shut.
    const session = rawSession(sidecar.ports.sync)
    const stream = rawCall(session, '/flagd.sync.v1.FlagSyncService/SyncFlags')
    await using ofrep = await asker('ofrep', server)
    const versions = 25
    for (let version = 1; version <= versions; version++) {
      const bulky = { ...flag('on'), metadata: { version, text: 'x'.repeat(300_000) } }
      fixture.save({ flags: { f: bulky } })
      await until('it is served', async () => {
        return (await ofrep.ask('Boolean', 'f', {})).metadata?.['version'] === version
      })
    }
    let received = Buffer.alloc(0)
    stream.on('data', (chunk: Buffer) => (received = Buffer.concat([received, chunk])))
    await until('it caught up', () => received.includes(`"version":${versions}}`))
    session.destroy()
    const seen = [...received.toString('latin1').matchAll(/"version":(\d+)/g)].map(([, v]) =>
      Number(v),
    )
    expect(seen.length).toBeLessThanOrEqual(3)
    expect(seen).toEqual([...seen].sort((a, b) => a - b))
    fixture.save({ flags: { f: flag('on') } })
  })
})

describe('HTTP', () => {
  const post = (
    port: number,
    path: string,
    body: string | Buffer,
    headers: Record<string, string> = {},
  ): Promise<{ status: number; text: string }> =>
    new Promise((resolve, reject) => {
      const options = { host: '127.0.0.1', port, path, method: 'POST', headers }
      const sent = request(options, (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
        response.on('end', () => {
          resolve({ status: response.statusCode ?? 0, text })
        })
        response.on('error', reject)
      })
      sent.on('error', reject)
      sent.end(body)
    })
  const FLAGS = '/ofrep/v1/evaluate/flags'
  const json = { 'content-type': 'application/json' }

  test('HTTP/JSON wants its content type, as flagd does', async () => {
    const path = '/flagd.evaluation.v2.Service/ResolveBoolean'
    const body = '{"flagKey":"f"}'
    const { evaluation } = sidecar.ports
    const form = { 'content-type': 'application/x-www-form-urlencoded' }
    expect((await post(evaluation, path, body, form)).status).toBe(415)
    expect((await post(evaluation, path, body)).status).toBe(415)
    const utf8 = { 'content-type': 'application/json; charset=utf-8' }
    expect((await post(evaluation, path, body, utf8)).status).toBe(200)
  })

  test('a body over the limit: 413, or 429 in Connect, announced or not', async () => {
    const large = Buffer.alloc(LIMIT + 1, ' ')
    const { ofrep, evaluation } = sidecar.ports
    const chunked = { 'transfer-encoding': 'chunked' }
    expect((await post(ofrep, `${FLAGS}/f`, large)).status).toBe(413)
    expect((await post(ofrep, `${FLAGS}/f`, large, chunked)).status).toBe(413)
    expect((await post(ofrep, FLAGS, large, chunked)).status).toBe(413)
    const path = '/flagd.evaluation.v2.Service/ResolveBoolean'
    expect((await post(evaluation, path, large, { ...chunked, ...json })).status).toBe(429)
  })

  test('bodies of any JSON are answered with 200 or 4xx', async () => {
    const path = '/flagd.evaluation.v1.Service/ResolveBoolean'
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.json(), fc.string()), async (body) => {
        const wrapped = `{"context":${body},"flagKey":"f"}`
        for (const text of [body, wrapped]) {
          expect((await post(sidecar.ports.ofrep, `${FLAGS}/f`, text)).status).toBeLessThan(500)
          expect((await post(sidecar.ports.evaluation, path, text, json)).status).toBeLessThan(500)
        }
      }),
      { numRuns: 40 },
    )
  })

  test('flag keys of any text are answered with 200 or 404', async () => {
    // A slash, escaped or not, ends the key for flagd, and dots are a way up.
    const keys = fc.string({ unit: 'grapheme', minLength: 1 })
    const single = keys.filter((key) => !key.includes('/') && !/^\.{1,2}$/.test(key))
    await fc.assert(
      fc.asyncProperty(single, async (key) => {
        const { status, text } = await post(
          sidecar.ports.ofrep,
          `${FLAGS}/${encodeURIComponent(key)}`,
          '{}',
        )
        expect(status).toBe(key === 'f' ? 200 : 404)
        expect(JSON.parse(text)).toMatchObject({ key })
      }),
      { numRuns: inFull(25, 60) },
    )
    for (const [path, status] of [
      ['a%2Fb', 404],
      ['a//b', 301],
      ['..', 301],
      ['%zz', 400],
    ] as const) {
      expect((await post(sidecar.ports.ofrep, `${FLAGS}/${path}`, '{}')).status).toBe(status)
    }
    expect((await post(sidecar.ports.ofrep, `${FLAGS}/%ff`, '{}')).status).toBe(404)
    expect((await post(sidecar.ports.ofrep, `${FLAGS}/a%00b`, '{}')).status).toBe(404)
  })

  test('JSON nested deeper than flagd takes it: 400', async () => {
    const call = '/flagd.evaluation.v2.Service/ResolveBoolean'
    for (const [depth, status] of [
      [5_000, 200],
      [9_998, 200],
      [10_001, 400],
    ] as const) {
      const deep = `{"flagKey":"f","context":${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}}`
      expect((await post(sidecar.ports.ofrep, `${FLAGS}/f`, deep)).status).toBe(status)
      expect((await post(sidecar.ports.evaluation, call, deep, json)).status).toBe(status)
    }
  })

  test('a body that never ends is not waited for when the sidecar has said no', async () => {
    const target = { host: '127.0.0.1', port: sidecar.ports.ofrep, path: '/nope', method: 'POST' }
    const sent = request(target)
    sent.on('error', () => {})
    sent.write('{')
    const [response] = (await once(sent, 'response')) as [{ statusCode: number; resume(): void }]
    expect(response.statusCode).toBe(404)
    response.resume()
    await once(sent, 'close')
  })
})

function rawSession(port: number): ClientHttp2Session {
  return connectHttp2(`http://127.0.0.1:${port}`).on('error', () => {})
}

/** A gRPC call of an empty message, by hand. */
function rawCall(session: ClientHttp2Session, path: string): ClientHttp2Stream {
  const headers = { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' }
  const stream = session.request({ ...headers, ':path': path }).on('error', () => {})
  stream.end(Buffer.from([0, 0, 0, 0, 0]))
  return stream
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  for (; value > 0x7f; value >>>= 7) bytes.push((value & 0x7f) | 0x80)
  return Buffer.from([...bytes, value])
}
