// @needs redis
import * as fc from 'fast-check'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { ABSENT, ANY, type CacheBackend, NEVER, redisCache } from '../../../src/cache/index.ts'
import {
  ERA_AT,
  sealEnvelope,
  tombstoneEnvelope,
  valueEnvelope,
} from '../../../src/cache/envelope.ts'
import { digestOf, tokenOfForeign, tokenOfGone } from '../../../src/cache/plain-value.ts'
import {
  PLAIN_CLAIM,
  PLAIN_CLAIMS,
  PLAIN_PUT,
  PLAIN_PUTS,
} from '../../../src/cache/redis/plain/plain-scripts.ts'
import { PUTS_SCRIPT } from '../../../src/cache/redis/many/many-scripts.ts'
import { evaluate, PUT_SCRIPT, type Script } from '../../../src/cache/redis/scripts.ts'
import { inFull } from '../../support/full.ts'
import { startRedis, type TestRedis } from '../../support/redis-server.ts'
import { withWarnings } from '../../support/with-warnings.ts'

// A script for many cells does what the one for each does: the same answers, and the same keyspace afterwards.

let redis: TestRedis
let one: Redis
let many: Redis

beforeAll(async () => {
  redis = await startRedis()
  one = new Redis(redis.url)
  many = new Redis(redis.url, { db: 1 })
})

afterAll(async () => {
  one.disconnect()
  many.disconnect()
  await redis.stop()
})

const ERA = 'era_of_today'
const ERAS = [ERA, 'era_long_ago']
const HOUR = 3_600_000
const TEXTS = ['"a"', '"b"', '', 'no JSON', '\u{1F600}"']
const NOW = Date.now()

type Cell = readonly [string, ...string[]]

/** How a key is made: a command, and when it ends. */
interface Made {
  readonly command: Cell
  readonly ttl: number | undefined
}

/** One cell of the store, and what is asked for it. */
interface Case {
  readonly cell: Made | undefined
  readonly value: Made | undefined
  /** Chosen among those that may be right. */
  readonly expected: number
  readonly envelope: { readonly head: string; readonly tail: string }
  readonly text: string
}

const ttl = fc.constantFrom(undefined, HOUR, 5 * HOUR)
const ends = fc.constantFrom(NEVER, NOW + 2 * HOUR, NOW - HOUR)
const other: fc.Arbitrary<Cell> = fc.constantFrom<Cell[]>(
  ['HSET', 'a', 'b'],
  ['RPUSH', 'a', 'b'],
  ['SADD', 'a'],
  ['SET', ''],
  ['SET', 'of another program'],
  ['SET', `2v${'x'.repeat(40)}`],
  ['SET', `1v${'x'.repeat(59)}|"old"`],
)

/** Of one era or another; written an hour ago, or its age is that of tombstones that have ended. */
function sealed(payload: string | undefined, era: string, expiresAt: number): string {
  const envelope = payload === undefined ? tombstoneEnvelope('') : valueEnvelope(payload, expiresAt)
  const text = sealEnvelope(envelope, NOW - HOUR)
  return text.slice(0, ERA_AT) + era + text.slice(ERA_AT + era.length)
}

const cellOf = (payloads: fc.Arbitrary<string | undefined>): fc.Arbitrary<Made | undefined> =>
  fc.oneof(
    { arbitrary: fc.constant(undefined), weight: 2 },
    {
      arbitrary: fc.record({
        command: fc
          .tuple(payloads, fc.constantFrom(...ERAS), ends)
          .map((args): Cell => ['SET', sealed(...args)]),
        ttl,
      }),
      weight: 4,
    },
    { arbitrary: fc.record({ command: other, ttl }), weight: 1 },
  )

const texts = fc.constantFrom(...TEXTS)
const values: fc.Arbitrary<Made | undefined> = fc.oneof(
  fc.constant(undefined),
  fc.record({ command: texts.map((text): Cell => ['SET', text]), ttl }),
  fc.record({ command: other, ttl }),
)

const caseOf = (payloads: fc.Arbitrary<string | undefined>): fc.Arbitrary<Case> =>
  fc.record({
    cell: cellOf(payloads),
    value: values,
    expected: fc.nat(),
    envelope: fc
      .tuple(texts, ends, fc.integer({ min: 0, max: 15 }))
      // One in sixteen fails in the script itself.
      .map(([text, end, odd]) => {
        const { head, tail } = valueEnvelope(text, end)
        return { head, tail: odd === 0 ? 'broken' : tail }
      }),
    text: texts,
  })

/** What the cell's token may be, so that about every second condition holds. */
function expectedOf({ cell, value, expected }: Case, plain: boolean): string {
  const text = cell?.command[0] === 'SET' ? cell.command[1]! : ''
  const before = text.slice(2, 14)
  const likely = [before, ANY, '?']
  if (plain) {
    const stored = value?.command[0] === 'SET' ? value.command[1]! : undefined
    const isRight = stored !== undefined
    const token = isRight ? tokenOfForeign(digestOf(stored), before) : tokenOfGone(before)
    likely.push(token, token)
  }
  return likely[expected % likely.length]!
}

/** Type, content and expiry of all that there is, but for the times that a script stamps. */
async function everything(
  client: Redis,
): Promise<Record<string, readonly [string, string, number]>> {
  const keys = (await client.keys('*')).toSorted()
  const look = async (key: string): Promise<[string, readonly [string, string, number]]> => {
    const all = [client.type(key), client.dumpBuffer(key), client.pttl(key)] as const
    const [type, dump, left] = await Promise.all(all)
    const content = type === 'string' ? masked((await client.get(key))!) : dump.toString('hex')
    return [key, [type, content, halfHours(left)]]
  }
  return Object.fromEntries(await Promise.all(keys.map(look)))
}

/** A test does not take that long, and what differs is hours apart. */
const halfHours = (ms: number): number => Math.round(ms / (HOUR / 2))
const since = (time: string): string =>
  Number(time) === NEVER ? time : String(halfHours(Number(time) - NOW))

/** Of a cell: when it was written, and when it ends. */
const masked = (text: string): string =>
  text.replace(
    /^(2[vbx].{12})(\d{13})(.{12})(\d{13})/,
    (_, head: string, written: string, era: string, end: string) =>
      `${head} ${since(written)} ${era} ${since(end)} `,
  )

interface Kind {
  readonly single: Script
  readonly all: Script
  readonly names: 1 | 2
  readonly argsOf: (one: Case, expected: string) => readonly string[]
  /** Answers that are met in each run of the test. */
  readonly met: readonly string[]
}

const put = ({ envelope: { head, tail } }: Case, expected: string): readonly string[] => [
  expected,
  head,
  tail,
]
/** Refused, done, foreign, and an error in the script. */
const WRITES = ['0', '1', '6', 'error']
const KINDS: Readonly<Record<string, Kind>> = {
  'writes of cells': {
    single: PUT_SCRIPT,
    all: PUTS_SCRIPT,
    names: 1,
    argsOf: put,
    met: WRITES,
  },
  'writes of plain values': {
    single: PLAIN_PUT,
    all: PLAIN_PUTS,
    names: 2,
    argsOf: (one, expected) => [...put(one, expected), one.text],
    met: WRITES,
  },
  'marks of plain values that move': {
    single: PLAIN_CLAIM,
    all: PLAIN_CLAIMS,
    names: 2,
    argsOf: ({ envelope: { head } }, expected) => [expected, head, String(NOW - HOUR)],
    met: ['', '2', '9999999999999'],
  },
}

async function build(client: Redis, cases: readonly Case[], names: 1 | 2): Promise<void> {
  await client.flushdb()
  await client.hset('state', 'era', ERA, 'ttl', String(HOUR))
  const make = (key: string, made: Made | undefined): Promise<unknown> | undefined => {
    if (made === undefined) return undefined
    const [command, ...rest] = made.command
    const done = client.call(command, key, ...rest)
    return made.ttl === undefined ? done : Promise.all([done, client.pexpire(key, made.ttl)])
  }
  await Promise.all(
    cases.flatMap(({ cell, value }, i) => [
      make(`cell ${i}`, cell),
      names === 2 ? make(`value ${i}`, value) : undefined,
    ]),
  )
}

/** Without the time, and of an error only that it is one: its text names the script. */
const answerOf = (reply: unknown): string => {
  if (reply instanceof Error || String(reply).startsWith('-')) return 'error'
  const text = String(reply)
  return text.length > 13 ? String(Number(text) % 10) : text && since(text)
}

describe.each(Object.entries(KINDS))('%s', (_, { single, all, names, argsOf, met }) => {
  test('many have the answers of each, and leave the same behind', async () => {
    const digests = texts.map((text) => digestOf(text))
    const payloads = fc.oneof(fc.constant(undefined), names === 2 ? digests : texts)
    const property = fc.asyncProperty(
      fc.array(caseOf(payloads), { minLength: 20, maxLength: 40 }),
      fc.constantFrom(ERA, ERA, ERA, ERA, ...ERAS),
      fc.constantFrom(NEVER, NEVER, NEVER, NOW - HOUR),
      async (cases, era, deadline) => {
        await build(one, cases, names)
        await build(many, cases, names)
        const args = cases.map((each) => argsOf(each, expectedOf(each, names === 2)))
        const namesOf = (i: number): string[] =>
          names === 2 ? [`cell ${i}`, `value ${i}`] : [`cell ${i}`]
        const run = ([expected, head, tail, ...text]: readonly string[], i: number) => {
          const own = [expected!, String(deadline), head!, tail!, '60000', era, ...text]
          const reply = evaluate(one, single, [...namesOf(i), 'state'], own)
          return reply.catch((error: unknown) => error)
        }
        const answers = (await Promise.all(args.map(run))).map(answerOf)
        const keys = [...cases.flatMap((__, i) => namesOf(i)), 'state']
        const shared = [String(deadline), '60000', era]
        const packed = args.flatMap(([expected, head, ...rest]) => [`${head}${expected}`, ...rest])
        const found = await evaluate(many, all, keys, [...shared, ...packed])
        const each = Array.isArray(found) ? found : cases.map(() => found)
        expect(each.map(answerOf)).toEqual(answers)
        expect(await everything(many)).toEqual(await everything(one))
        for (const answer of answers) seen.set(answer, (seen.get(answer) ?? 0) + 1)
      },
    )
    const seen = new Map<string, number>()
    await fc.assert(property, { numRuns: inFull(10, 150) })
    // Each answer was met, so that the equality says something.
    expect([...seen.keys()]).toEqual(expect.arrayContaining([...met]))
  })
})

describe.each([
  ['cells', {}],
  ['plain values', { values: 'plain' } as const],
])('many writes: %s', (kind, options) => {
  const prefix = `${kind}:`
  const open = (): CacheBackend => withWarnings(redisCache({ client: one, prefix, ...options }))
  const writeAll = (cache: CacheBackend, keys: readonly string[], payload: string) => {
    const entry = { payload, expiresAt: Date.now() + HOUR }
    const writes = keys.map((key) => ({ key, entry, seen: ABSENT }))
    return cache.many!.write(writes, 10_000)
  }
  /** How many commands named a key of the test: what the cache asks each second by itself names none. */
  const sentWith = (command: 'eval' | 'evalsha'): (() => number) => {
    const spy = vi.spyOn(one, command)
    onTestFinished(() => spy.mockRestore())
    return () => {
      const calls: readonly (readonly unknown[])[] = spy.mock.calls
      const count = calls.filter((args) => args.some((arg) => /:k\d+$/.test(String(arg))))
      spy.mockClear()
      return count.length
    }
  }
  const keysFrom = (from: number, count: number): string[] =>
    Array.from({ length: count }, (_, i) => `k${from + i}`)

  test('one command for a hundred, each with its own outcome, also when Redis has forgotten it', async () => {
    await one.flushall()
    const [evals, evalshas] = [sentWith('eval'), sentWith('evalsha')]
    const cache = open()
    await cache.ping()
    const taken = await cache.write(
      'k7',
      { payload: '"taken"', expiresAt: NEVER },
      { expect: ANY, within: 10_000 },
    )
    await one.hset(`${prefix}k8`, 'another', 'program')
    await one.script('FLUSH')
    evals()
    const written = await writeAll(cache, keysFrom(0, 100), '"v"')
    expect(evals()).toBe(1)
    for (const [i, each] of written.entries()) {
      const outcome = each!
      const read = await cache.read(`k${i}`)
      if (i === 7) expect([outcome.written, read.token]).toEqual([false, taken.token])
      else if (i === 8) expect(outcome).toEqual({ written: false, token: '', foreign: true })
      else expect([outcome.written, read.token, read.payload]).toEqual([true, outcome.token, '"v"'])
    }
    evalshas()
    await writeAll(cache, keysFrom(100, 250), '"v"')
    expect(evalshas()).toBe(3)
    // Large values with fewer at once.
    evalshas()
    await writeAll(cache, keysFrom(400, 10), JSON.stringify('x'.repeat(50_000)))
    expect(evalshas()).toBe(5)
    expect((await cache.read('k409')).payload).toHaveLength(50_002)
    await cache.close()
  })

  test('without memory each of them fails, and nothing lands', async () => {
    await one.flushall()
    const cache = open()
    await cache.ping()
    const before = (await one.keys('*')).toSorted()
    await one.config('SET', 'maxmemory', '1')
    try {
      const written = await writeAll(cache, keysFrom(0, 20), '"v"')
      expect(written).toEqual(keysFrom(0, 20).map(() => undefined))
      const entry = { payload: '"v"', expiresAt: NEVER }
      const alone = cache.write('k0', entry, { expect: '', within: 10_000 })
      await expect(alone).rejects.toMatchObject({ code: 'SB_REDIS_OUT_OF_MEMORY' })
      expect((await one.keys('*')).toSorted()).toEqual(before)
    } finally {
      await one.config('SET', 'maxmemory', '0')
    }
    await cache.close()
  })

  test('of another era none is written, and those of the next turn are', async () => {
    await one.flushall()
    const cache = open()
    await cache.ping()
    const keys = keysFrom(0, 20)
    // Its state is gone with all else, which no process has heard.
    await one.flushall()
    const lost = await writeAll(cache, keys, '"v"')
    const refused = { written: false, token: '' }
    expect(lost).toEqual(keys.map(() => refused))
    const written = await writeAll(cache, keys, '"v"')
    expect(written.every((each) => each?.written)).toBe(true)
    await cache.close()
  })
})
