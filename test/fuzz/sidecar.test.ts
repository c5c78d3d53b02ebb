import { once } from 'node:events'
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { connect as connectHttp2 } from 'node:http2'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { evaluationV2 } from '../../src/sidecar/grpc/protocol.ts'
import { grpcEndpoint } from '../../src/sidecar/http/endpoint.ts'
import type { SidecarPorts } from '../../src/sidecar/index.ts'
import { asker } from '../support/flagd-askers.ts'
import type { FlagServer } from '../support/flagd-server.ts'
import { fuzzBytes, TIMEOUT } from './fuzzing.ts'
import {
  FLAG,
  frame,
  framesIn,
  grpcMessage,
  headerBlockOf,
  PREFACE,
  recordCall,
  TYPE,
} from './h2-frames.ts'
import { answersIn, exchange, HTTP_WORDS, JSON_TYPE, LAST, requestBytes } from './raw-http.ts'
import { MOST_STALL_MS } from './stall.ts'
import { startVictim, type Victim } from './victim.ts'

const directory = mkdtempSync(join(tmpdir(), 'switchback-fuzz-sidecar-'))
const file = join(directory, 'flags.json')
const RESOLVE = '/flagd.evaluation.v2.Service/ResolveBoolean'
const EVENTS = '/flagd.evaluation.v2.Service/EventStream'
const SYNC = '/flagd.sync.v1.FlagSyncService/SyncFlags'
let victim: Victim
let ports: SidecarPorts
let server: FlagServer
let call: Buffer
let version = 0

beforeAll(async () => {
  save()
  victim = await startVictim(
    [
      'sidecar',
      '--json',
      '--file',
      file,
      ...['evaluation', 'management', 'sync', 'ofrep'].flatMap((name) => [`--${name}-port`, '0']),
    ],
    /"ready":true/,
  )
  const ready = victim
    .output()
    .split('\n')
    .find((line) => line.includes('"ready":true'))
  ports = (JSON.parse(ready ?? '') as { ports: SidecarPorts }).ports
  server = { host: '127.0.0.1', ports, [Symbol.asyncDispose]: () => Promise.resolve() }
  const context = { fields: { targetingKey: { stringValue: 'user_0' } } }
  const request = evaluationV2['ResolveBoolean']?.requestSerialize({ flagKey: 'f', context })
  call = await recordCall(RESOLVE, request ?? Buffer.alloc(0))
  for (let i = 0; i < 30; i++) {
    await Promise.all([...Array(8)].map(() => flood(ports.evaluation, call)))
    await alive()
  }
  await victim.report()
})
afterEach(async () => {
  await alive()
  await victim.expectUnharmed()
})
afterAll(async () => {
  await victim?.[Symbol.asyncDispose]()
  rmSync(directory, { recursive: true, force: true })
})

/** Other flags, by a rename as an editor does. */
function save(padding = 0): void {
  const metadata = { version: version++, text: 'x'.repeat(padding) }
  const f = { state: 'ENABLED', variants: { on: true, off: false }, defaultVariant: 'on', metadata }
  writeFileSync(`${file}.new`, JSON.stringify({ flags: { f } }))
  renameSync(`${file}.new`, file)
}

async function alive(): Promise<void> {
  for (const protocol of ['v2', 'http', 'ofrep'] as const) {
    await using one = await asker(protocol, server)
    expect(await one.ask('Boolean', 'f', {})).toMatchObject({ value: true })
  }
}

/**
 * Bytes as fast as they are taken, until all were and nothing more comes back, or the sidecar has had
 * enough. Node's HTTP/2 reads no more of a connection that it has given up, not even its end.
 */
function flood(port: number, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const quiet = setTimeout(() => socket.destroy(), 2_000)
    socket.on('error', () => {}).on('data', () => quiet.refresh())
    socket.on('close', () => {
      clearTimeout(quiet)
      resolve()
    })
    socket.write(bytes, () => setTimeout(() => socket.destroy(), 20))
  })
}

describe('bytes', () => {
  test('damaged gRPC calls, frame by frame', { timeout: TIMEOUT }, async () => {
    const corpus = [call, await recordCall(EVENTS, Buffer.alloc(0)), ...framesIn(call)]
    const dictionary = framesIn(call)
    for (const port of [ports.evaluation, ports.sync]) {
      await fuzzBytes(
        { corpus, dictionary, usual: 120, mostStallMs: Infinity, together: 8 },
        async (bytes) => {
          await flood(port, bytes)
          const greeting = [PREFACE, frame(TYPE.settings, 0, 0, Buffer.alloc(0))]
          await flood(port, Buffer.concat([...greeting, bytes]))
        },
      )
    }
    expect((await victim.expectUnharmed()).longestStallMs).toBeLessThan(MOST_STALL_MS)
  })

  test('damaged HTTP requests at every port that speaks it', { timeout: TIMEOUT }, async () => {
    const body = '{"flagKey":"f","context":{"targetingKey":"user_0","n":1e308,"l":[1,{"a":null}]}}'
    const corpus = [
      requestBytes(`POST ${RESOLVE}`, [JSON_TYPE], body),
      requestBytes('POST /ofrep/v1/evaluate/flags/f', [JSON_TYPE], body),
      requestBytes('POST /ofrep/v1/evaluate/flags', [JSON_TYPE, 'If-None-Match: "a", W/"b"'], body),
      requestBytes('GET /metrics'),
      requestBytes('GET /readyz'),
    ]
    for (const port of [ports.evaluation, ports.ofrep, ports.management]) {
      await fuzzBytes(
        { corpus, dictionary: HTTP_WORDS, usual: 120, mostStallMs: Infinity, together: 8 },
        async (bytes) => {
          // What begins as HTTP/2 does is answered in it.
          if (port === ports.evaluation && bytes.subarray(0, 4).equals(PREFACE.subarray(0, 4)))
            return
          for (const { status } of answersIn(await exchange(port, bytes))) {
            expect(status).toBeLessThan(500)
          }
        },
      )
    }
    expect((await victim.expectUnharmed()).longestStallMs).toBeLessThan(MOST_STALL_MS)
  })
})

describe('floods', () => {
  const nothing = Buffer.alloc(0)
  const many = (count: number, make: (index: number) => Buffer): Buffer =>
    Buffer.concat(Array.from({ length: count }, (_, index) => make(index)))
  const opened = (rest: Buffer): Buffer =>
    Buffer.concat([PREFACE, frame(TYPE.settings, 0, 0, nothing), rest])
  /** Each of these takes a HEADERS frame without END_HEADERS before it. */
  const begun = (): Buffer => frame(TYPE.headers, 0, 1, headerBlockOf(call))
  const started = (stream: number): Buffer =>
    frame(TYPE.headers, FLAG.endHeaders, stream, headerBlockOf(call))

  const FLOODS: readonly (readonly [name: string, make: () => Buffer])[] = [
    ['PING', () => many(100_000, () => frame(TYPE.ping, 0, 0, Buffer.alloc(8)))],
    ['SETTINGS', () => many(100_000, () => frame(TYPE.settings, 0, 0, nothing))],
    ['acknowledgements of nothing', () => many(50_000, () => frame(TYPE.settings, 1, 0, nothing))],
    ['PRIORITY', () => many(50_000, (i) => frame(TYPE.priority, 0, 2 * i + 1, Buffer.alloc(5)))],
    [
      'streams that are reset at once',
      () =>
        many(10_000, (i) =>
          Buffer.concat([
            started(2 * i + 1),
            frame(TYPE.reset, 0, 2 * i + 1, Buffer.from([0, 0, 0, 8])),
          ]),
        ),
    ],
    ['streams that are never ended', () => many(3_000, (i) => started(2 * i + 1))],
    [
      'CONTINUATION',
      () =>
        Buffer.concat([
          begun(),
          many(50_000, () => frame(TYPE.continuation, 0, 1, Buffer.from('0001610161', 'hex'))),
        ]),
    ],
    [
      'empty CONTINUATION',
      () => Buffer.concat([begun(), many(100_000, () => frame(TYPE.continuation, 0, 1, nothing))]),
    ],
    [
      'empty DATA',
      () => Buffer.concat([started(1), many(100_000, () => frame(TYPE.data, 0, 1, nothing))]),
    ],
    [
      'WINDOW_UPDATE',
      () => many(100_000, () => frame(TYPE.windowUpdate, 0, 0, Buffer.from([0, 0, 0, 1]))),
    ],
    [
      'headers that unpack to a hundred times their size',
      () => {
        // One entry of 4,000 bytes in the dynamic table, and thousands of references to it.
        const entry = Buffer.concat([
          Buffer.from([0x40, 0x01, 0x61, 0x7f, 0xa1, 0x1e]),
          Buffer.alloc(4_000, 'x'),
        ])
        const bomb = Buffer.concat([entry, Buffer.alloc(12_000, 0xbe)])
        return many(20, (i) => frame(TYPE.headers, FLAG.endHeaders, 2 * i + 1, bomb))
      },
    ],
    [
      'a message that says it is of 4 GiB',
      () =>
        Buffer.concat([
          started(1),
          frame(TYPE.data, 0, 1, Buffer.from([0, 0xff, 0xff, 0xff, 0xff])),
          many(60, () => frame(TYPE.data, 0, 1, Buffer.alloc(1_000))),
        ]),
    ],
    [
      'a compressed message of nothing known',
      () =>
        Buffer.concat([
          started(1),
          frame(
            TYPE.data,
            1,
            1,
            Buffer.concat([Buffer.from([1]), grpcMessage(Buffer.alloc(9)).subarray(1)]),
          ),
        ]),
    ],
  ]

  test.each(FLOODS)('%s', async (_, make) => {
    const bytes = opened(make())
    let shortest = Infinity
    const before = (await victim.report()).rss
    for (let attempt = 0; attempt < 3 && shortest >= MOST_STALL_MS; attempt++) {
      await Promise.all([flood(ports.evaluation, bytes), alive()])
      const { longestStallMs, rss } = await victim.expectUnharmed()
      shortest = Math.min(shortest, longestStallMs)
      expect(rss - before).toBeLessThan(200 * 2 ** 20)
    }
    expect(shortest).toBeLessThan(MOST_STALL_MS)
  })
})

test('a request that arrives byte by byte is no HTTP/2 for its first letter', async () => {
  const body = '{"flagKey":"f"}'
  const bytes = requestBytes(`POST ${RESOLVE}`, [JSON_TYPE, LAST], body)
  const socket = connect(ports.evaluation, '127.0.0.1').setNoDelay(true)
  const received: Buffer[] = []
  socket.on('data', (chunk: Buffer) => received.push(chunk))
  for (const byte of bytes) {
    await new Promise((resolve) => socket.write(Buffer.from([byte]), resolve))
    await new Promise((resolve) => setImmediate(resolve))
  }
  await once(socket, 'close')
  expect(answersIn(Buffer.concat(received))).toMatchObject([{ status: 200 }])
})

test('a connection that broke the protocol is let go, though its end is not read', async () => {
  const address = { host: '127.0.0.1', port: 0 }
  const services = [[evaluationV2, {}]] as const
  const options = { services, maxRequestBytes: 1_000, pingInterval: 100 }
  const endpoint = await grpcEndpoint(address, options)
  try {
    // The preface once more is a frame that is too large: an answer of GOAWAY, and silence.
    await exchange(endpoint.port, [PREFACE, frame(TYPE.settings, 0, 0, Buffer.alloc(0)), PREFACE])
  } finally {
    await endpoint.close(0)
  }
})

test('a call of no method and its reset in one packet do not end the process', async () => {
  const nowhere = headerBlockOf(await recordCall('/no.Such/Method', Buffer.alloc(0)))
  const reset = (stream: number): Buffer => frame(TYPE.reset, 0, stream, Buffer.from([0, 0, 0, 8]))
  const calls = [1, 3, 5].flatMap((stream) => [
    frame(TYPE.headers, FLAG.endHeaders, stream, nowhere),
    reset(stream),
  ])
  const greeting = [PREFACE, frame(TYPE.settings, 0, 0, Buffer.alloc(0))]
  for (const port of [ports.evaluation, ports.sync]) {
    for (let time = 0; time < 5; time++) await flood(port, Buffer.concat([...greeting, ...calls]))
  }
})

test('a thousand streams that nobody reads, and flags that change: memory is bounded', async () => {
  save(100_000)
  const session = connectHttp2(`http://127.0.0.1:${ports.sync}`).on('error', () => {})
  const headers = { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' }
  for (let i = 0; i < 1_000; i++) {
    const stream = session.request({ ...headers, ':path': SYNC }).on('error', () => {})
    stream.end(grpcMessage(Buffer.alloc(0)))
  }
  await new Promise((resolve) => session.ping(resolve))
  const { rss } = await victim.report()
  for (let i = 0; i < 10; i++) {
    save(100_000)
    await alive()
  }
  const after = await victim.expectUnharmed()
  // Kept for each of a thousand, ten versions of 100 KB would be a gigabyte.
  expect(after.rss - rss).toBeLessThan(300 * 2 ** 20)
  session.destroy()
}, 60_000)
