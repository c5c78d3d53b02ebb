import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { historyFile, validate } from '../../src/rollout/index.ts'
import { FLAGS_CORPUS, FLAGS_WORDS } from './flags-corpus.ts'
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

const directory = mkdtempSync(join(tmpdir(), 'switchback-fuzz-control-'))
const file = join(directory, 'use-redis.json')
const original = readFileSync('flags/use-redis.json')
let victim: Victim
let port = 0

const post = (path: string, body: string, ...headers: string[]): Buffer =>
  requestBytes(`POST ${path}`, [JSON_TYPE, ...headers], body)

const CORPUS: readonly Buffer[] = [
  requestBytes('GET /'),
  requestBytes('GET /api/state'),
  requestBytes('GET /api/series?since=1700000000.5'),
  requestBytes('GET /api/events'),
  requestBytes('HEAD /assets/styles.css'),
  requestBytes('GET /openapi.json', ['Origin: http://127.0.0.1', 'Sec-Fetch-Site: same-origin']),
  post('/api/preview', '{"share":25}'),
  post('/api/share', '{"share":30,"who":"ann","reason":"try"}'),
  post('/api/rollback', '{"who":"ann","disable":false}'),
  post('/api/undo', '{}'),
  post('/api/approve', '{"share":10}'),
  Buffer.concat([requestBytes('GET /healthz'), requestBytes('GET /api/history', [LAST])]),
]

beforeAll(async () => {
  writeFileSync(file, original)
  victim = await startVictim(
    ['control', '--json', '--file', file, '--port', '0', '--no-flagd'],
    /"ready":true/,
  )
  port = Number(/"url":"http:\/\/[\d.]+:(\d+)"/.exec(victim.output())?.[1])
  for (let i = 0; i < 10; i++) await Promise.all(CORPUS.map((bytes) => exchange(port, bytes)))
  await victim.report()
})
afterEach(() => writeFileSync(file, original))
afterAll(async () => {
  await victim?.[Symbol.asyncDispose]()
  rmSync(directory, { recursive: true, force: true })
})

async function expectServing(): Promise<void> {
  const answer = await askRaw(port, requestBytes('GET /api/state', [LAST]))
  expect(answer.status).toBe(200)
  expect(() => JSON.parse(Buffer.from(answer.body, 'latin1').toString())).not.toThrow()
  const { longestStallMs } = await victim.expectUnharmed()
  expect(longestStallMs).toBeLessThan(MOST_STALL_MS)
}

describe('bytes at the control page', () => {
  test('damaged requests are answered with 4xx and a problem', { timeout: TIMEOUT }, async () => {
    await fuzzBytes(
      { corpus: CORPUS, dictionary: HTTP_WORDS, usual: 600, mostStallMs: Infinity, together: 8 },
      async (bytes) => {
        const answers = answersIn(await exchange(port, bytes))
        expectProblems(answers)
        for (const { headers, body } of answers) {
          // What comes back is never a page but our own.
          if (!body.includes('<script>alert')) continue
          expect(headers.get('content-type')).toMatch(/^application\/(problem\+)?json/)
          expect(headers.get('x-content-type-options')).toBe('nosniff')
        }
      },
    )
    expect(validate(readFileSync(file, 'utf8'))).toEqual([])
    await expectServing()
  })

  test('any JSON at all as a body', { timeout: TIMEOUT }, async () => {
    const names = fc.constantFrom('share', 'who', 'reason', 'hash', 'disable', '__proto__', 'x')
    const bodies = fc.oneof(
      fc.json(),
      fc.dictionary(names, fc.jsonValue({ maxDepth: 2 })).map((value) => JSON.stringify(value)),
    )
    const paths = fc.constantFrom('preview', 'share', 'rollback', 'undo', 'approve')
    await fc.assert(
      fc.asyncProperty(paths, bodies, async (path, body) => {
        expectProblems([await askRaw(port, post(`/api/${path}`, body, LAST))])
      }),
      parameters(100),
    )
    await expectServing()
  })
})

describe('what the control page reads', () => {
  // With a limit of their own: whatever else was asked for, going back goes through.
  const questions = [
    requestBytes('GET /api/state', [LAST]),
    post('/api/rollback', '{}', LAST),
    requestBytes('GET /api/history', [LAST]),
  ]

  test(
    'damaged flags files are told of, and never a reason for 5xx',
    { timeout: TIMEOUT },
    async () => {
      await fuzzBytes(
        { corpus: FLAGS_CORPUS, dictionary: FLAGS_WORDS, usual: 40, mostStallMs: Infinity },
        async (bytes) => {
          writeFileSync(file, bytes)
          for (const question of questions) expectProblems([await askRaw(port, question)])
        },
      )
      writeFileSync(file, original)
      await expectServing()
    },
  )

  test('damaged histories, too', { timeout: TIMEOUT }, async () => {
    await askRaw(port, post('/api/rollback', '{}', LAST))
    const line = {
      version: 1,
      id: 'abcd1234',
      at: '2026-11-22T00:00:00.000Z',
      who: 'ann',
      via: 'cli',
      action: 'set',
      flag: 'use-redis',
      from: 10,
      to: 25,
      before: 'aa',
      after: 'bb',
      changes: [{ path: ['flags', 'use-redis', 'targeting'], from: 1, to: 2 }],
    }
    const corpus = [
      Buffer.from(`${JSON.stringify(line)}\n`.repeat(3)),
      ...[
        { changes: 7 },
        { changes: [null] },
        { changes: [{ path: 'x' }] },
        { changes: [{ path: [] }] },
        { changes: [{ path: ['__proto__', 'polluted'], from: true }] },
        { changes: [{ path: [{}] }], at: 7, who: {}, id: null },
        { pilot: {}, action: 'pilot' },
        { pilot: 'x', action: 'pilot' },
        { flag: null, at: null, action: {}, from: 'x', to: [] },
      ].map((part) => Buffer.from(`${JSON.stringify({ ...line, ...part })}\n`)),
    ]
    await fuzzBytes(
      { corpus, dictionary: ['null', '__proto__', '[]', '{}'], usual: 15, mostStallMs: Infinity },
      async (bytes) => {
        writeFileSync(file, original)
        writeFileSync(historyFile(file), bytes)
        // Its turn once a second; refused, as most are, it says no more than that.
        expectProblems([await askRaw(port, post('/api/undo', '{}', LAST))])
        for (const question of questions) expectProblems([await askRaw(port, question)])
      },
    )
    rmSync(historyFile(file), { force: true })
    await expectServing()
  })
})
