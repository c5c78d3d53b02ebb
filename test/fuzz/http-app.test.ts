import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fuzzBytes, parameters, TIMEOUT } from './fuzzing.ts'
import {
  answersIn,
  askRaw,
  exchange,
  expectProblems,
  HTTP_WORDS,
  JSON_TYPE,
  LAST,
  requestBytes,
} from './raw-http.ts'
import { MOST_STALL_MS } from './stall.ts'
import { startVictim, type Victim } from './victim.ts'
import { anyText } from '../support/any-text.ts'

// @needs redis
const directory = mkdtempSync(join(tmpdir(), 'switchback-fuzz-app-'))
let victim: Victim
let port = 0
let metricsPort = 0

beforeAll(async () => {
  cpSync('flags/use-redis.json', join(directory, 'use-redis.json'))
  victim = await startVictim(
    [
      ...'start --isolated --port 0 --metrics-port 0 --no-control --no-traffic'.split(' '),
      ...'--log-level info --origin-latency 0 --flags'.split(' '),
      directory,
      '--cache-dir',
      join(directory, 'cache'),
    ],
    /Ctrl-C/,
  )
  port = Number(/service\s+http:\S+?:(\d+)/.exec(victim.output())?.[1])
  metricsPort = Number(/metrics\s+http:\S+?:(\d+)/.exec(victim.output())?.[1])
  // What is compiled at the first request stalls once.
  for (let i = 0; i < 20; i++) await Promise.all(CORPUS.map((bytes) => exchange(port, bytes)))
  await victim.report()
})
afterAll(async () => {
  await victim?.[Symbol.asyncDispose]()
  rmSync(directory, { recursive: true, force: true })
})

const CORPUS: readonly Buffer[] = [
  requestBytes('GET /users/user_0'),
  requestBytes('HEAD /users/user_0'),
  requestBytes('PUT /users/user_1', [JSON_TYPE], '{"data":"new"}'),
  requestBytes('DELETE /users/user_1/cache'),
  requestBytes('GET /readyz'),
  requestBytes('GET /users/%F0%9F%91%A9%E2%80%8D%F0%9F%9A%80?x=1&x=2'),
  requestBytes('PUT /users/user_2', [JSON_TYPE, 'Transfer-Encoding: chunked'], undefined),
  Buffer.concat([
    requestBytes('PUT /users/user_3', [JSON_TYPE, 'Transfer-Encoding: chunked']),
    Buffer.from('5;ext=1\r\n{"dat\r\n9\r\na":"new"}\r\n0\r\nTrailer: x\r\n\r\n'),
  ]),
  Buffer.concat([
    requestBytes('GET /users/a'),
    requestBytes('PUT /users/a', [JSON_TYPE], '{"data":"x"}'),
    requestBytes('GET /healthz', ['Connection: close']),
  ]),
]

/** It lives, answers others at once, and no loop stood still. */
async function expectServing(): Promise<void> {
  const answer = await askRaw(port, requestBytes('GET /users/user_0', [LAST]))
  expect(answer).toMatchObject({ status: 200, body: expect.stringContaining('user_0') })
  const { longestStallMs } = await victim.expectUnharmed()
  expect(longestStallMs).toBeLessThan(MOST_STALL_MS)
}

describe('bytes at the service', () => {
  test('damaged requests are answered with 4xx and a problem', { timeout: TIMEOUT }, async () => {
    await fuzzBytes(
      { corpus: CORPUS, dictionary: HTTP_WORDS, usual: 700, mostStallMs: Infinity, together: 8 },
      async (bytes) => expectProblems(answersIn(await exchange(port, bytes))),
    )
    await expectServing()
    expect(victim.output()).not.toContain('"level":50')
  })

  test('in pieces they are answered alike', { timeout: TIMEOUT }, async () => {
    await fuzzBytes(
      { corpus: CORPUS, dictionary: HTTP_WORDS, usual: 60, mostStallMs: Infinity, together: 8 },
      async (bytes) => {
        const chunks = Array.from({ length: Math.min(bytes.length, 40) }, (_, i) =>
          bytes.subarray(i, i === 39 ? undefined : i + 1),
        )
        expectProblems(answersIn(await exchange(port, chunks)))
      },
    )
    await expectServing()
  })

  test('the metrics listener outlives them', { timeout: TIMEOUT }, async () => {
    const corpus = [requestBytes('GET /metrics'), requestBytes('HEAD /metrics')]
    await fuzzBytes(
      { corpus, dictionary: HTTP_WORDS, usual: 150, mostStallMs: Infinity, together: 8 },
      async (bytes) => {
        for (const { status } of answersIn(await exchange(metricsPort, bytes))) {
          expect(status).toBeLessThan(500)
        }
      },
    )
    await expectServing()
  })
})

describe('requests', () => {
  test(
    'any user id in any spelling: their own data, or a problem',
    { timeout: TIMEOUT },
    async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.oneof(anyText(), fc.string({ unit: 'grapheme' }), fc.webPath()),
          async (text) => {
            // Others have been written by the tests before.
            const id = `any ${text}`
            let encoded: string
            try {
              encoded = encodeURIComponent(id)
            } catch {
              return
            }
            const answer = await askRaw(port, requestBytes(`GET /users/${encoded}`, [LAST]))
            expectProblems([answer])
            const { status, body, headers } = answer
            if (status !== 200) return
            const answered = Buffer.from(body, 'latin1').toString()
            expect(JSON.parse(answered)).toEqual({ id, data: `UserData for ${id}` })
            expect(headers.get('content-type')).toBe('application/json; charset=utf-8')
          },
        ),
        parameters(200),
      )
      await expectServing()
    },
  )

  test('any JSON at all as a body', { timeout: TIMEOUT }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.json(), anyText()), async (body) => {
        const bytes = requestBytes('PUT /users/any', [JSON_TYPE, LAST], body)
        expectProblems([await askRaw(port, bytes)])
      }),
      parameters(150),
    )
    await expectServing()
  })

  test.each([
    ['nested deep', `{"data":${'['.repeat(30_000)}`],
    ['nested deep and closed', `{"data":${'['.repeat(30_000)}${']'.repeat(30_000)}}`],
    ['of many keys', `{${Array.from({ length: 5_000 }, (_, i) => `"k${i}":1`).join(',')}}`],
    ['with __proto__', '{"data":"x","__proto__":{"polluted":true}}'],
    ['with a constructor', '{"data":"x","constructor":{"prototype":{"polluted":true}}}'],
    ['of 1 MiB', `{"data":"${'x'.repeat(1_048_576)}"}`],
    ['of lone surrogates', String.raw`{"data":"\ud800\udfff"}`],
  ])('a body %s', async (_, body) => {
    const bytes = requestBytes('PUT /users/body', [JSON_TYPE, LAST], body)
    expectProblems([await askRaw(port, bytes)])
    await expectServing()
  })

  test('five hundred that never end do not keep others out', async () => {
    const slow = Array.from({ length: 500 }, (_, i) => {
      const socket = connect(port, '127.0.0.1').on('error', () => {})
      socket.write(
        i % 2 === 0 ? 'GET /users/slow HTTP/1.1\r\nHost: a\r\nX: ' : CORPUS[2]!.subarray(0, -3),
      )
      return socket
    })
    await expectServing()
    for (const socket of slow) socket.destroy()
  })
})
