import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Cell, NEVER, storageKey } from '../../src/cache/index.ts'
import {
  isEnvelope,
  newToken,
  openEnvelope,
  sealEnvelope,
  tombstoneEnvelope,
  valueEnvelope,
} from '../../src/cache/envelope.ts'
import type { SqlValue } from '../../src/cache/file/sqlite/sqlite.ts'
import { Random } from './byte-mutations.ts'
import { fuzzBytes, TIMEOUT } from './fuzzing.ts'
import { guardPrototypes } from './prototypes.ts'
import { openStores, PREFIX, type Stores } from './stores.ts'

guardPrototypes()

let stores: Stores
beforeAll(async () => {
  stores = await openStores()
})
afterAll(() => stores?.[Symbol.asyncDispose]())

const PAYLOADS: readonly string[] = [
  '"UserData for user_0"',
  '{"id":7,"tags":["a","b"],"nested":{"x":null}}',
  '{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}',
  `${'['.repeat(100_000)}${']'.repeat(100_000)}`,
  `${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}`,
  `"${'x'.repeat(1_000_000)}"`,
  '"\ud800 lone"',
  '1e999',
  '',
  'undefined',
]

const now = Date.now()
const whole = (payload: string): Buffer =>
  Buffer.from(sealEnvelope(valueEnvelope(payload, now + 3_600_000), now))

const CORPUS: readonly Buffer[] = [
  ...PAYLOADS.map(whole),
  Buffer.from(sealEnvelope(valueEnvelope('"for ever"', NEVER), now)),
  Buffer.from(sealEnvelope(valueEnvelope('"long ago"', now - 1), now - 2)),
  Buffer.from(sealEnvelope(tombstoneEnvelope(''), now)),
  Buffer.from(sealEnvelope(tombstoneEnvelope(newToken()), now)),
  // Of another version, and of whoever had the key before.
  Buffer.from(whole('"x"').toString().replace(/^2/, '1')),
  Buffer.from(whole('"x"').toString().replace(/^2v/, '2z')),
  Buffer.from('{"value":"plain JSON of another library","expires":1700000000000}'),
  Buffer.from('H4sIAAAAAAAAA8tIzcnJBwCGphA2BQAAAA==', 'base64'),
]
const DICTIONARY = [
  '2v',
  '2b',
  '2x',
  '|',
  NEVER.toString(),
  '0'.repeat(13),
  '000000001',
  '............',
]

describe('what a text may be taken for', () => {
  test('a cell of its own header, or nothing', { timeout: TIMEOUT }, () =>
    fuzzBytes({ corpus: CORPUS, dictionary: DICTIONARY, usual: 4_000 }, (bytes) => {
      const text = bytes.toString()
      const cell: Cell | undefined = openEnvelope(text, now, 60_000)
      if (cell === undefined) return
      expect(text.startsWith('2')).toBe(true)
      if (cell.state === 'value') {
        expect(cell.expiresAt > now).toBe(true)
        // The payload is the text's own end, as long as the header says.
        const stored = text.slice(74)
        expect(stored.length).toBe(Number(text.slice(64, 73)))
        expect(text[1] === 'b' || cell.payload === stored).toBe(true)
      } else expect(cell.payload).toBe('')
    }),
  )
})

/** Whatever stands there: reads do not reject, and what the next load stores is what is read then. */
async function expectMended(side: 'files' | 'redis', key: string): Promise<void> {
  const view = stores.views[side]
  const before = await view.get(key)
  const loaded = { loaded: key }
  const value = await view.getOrSet<unknown>(key, () => loaded)
  if (before === undefined) {
    expect(value).toEqual(loaded)
    expect(await view.get(key)).toEqual(loaded)
  }
  const replaced = { set: key }
  await view.set(key, replaced)
  expect(await view.get(key)).toEqual(replaced)
  await view.delete(key)
  expect(await view.get(key)).toBeUndefined()
}

describe('garbage in the stores', () => {
  let next = 0
  const name = (): string => `key ${next++}`

  test(
    'in Redis it is a miss that the next load mends, or not ours and kept',
    { timeout: TIMEOUT },
    () =>
      fuzzBytes(
        { corpus: CORPUS, dictionary: DICTIONARY, usual: 100, mostStallMs: Infinity, together: 16 },
        async (bytes) => {
          const key = name()
          const stored = PREFIX + storageKey(key)
          await stores.redis.set(stored, bytes)
          await expectMended('redis', key)
          const left = await stores.redis.getBuffer(stored)
          // Of another version or damaged, but a cell: the last delete has left its tombstone there.
          if (isEnvelope(bytes.toString())) expect(left?.toString()).toMatch(/^2x/)
          else expect(left).toEqual(bytes)
        },
      ),
  )

  test('what is not ours is told', async () => {
    const key = name()
    await stores.redis.set(PREFIX + storageKey(key), 'of another program')
    const before = stores.cache.health().on.foreign
    await expectMended('redis', key)
    expect(stores.cache.health().on.foreign).toBeGreaterThan(before)
  })

  test('in the file store, too', { timeout: TIMEOUT }, () =>
    fuzzBytes(
      {
        corpus: PAYLOADS.slice(0, 3).map((text) => Buffer.from(text)),
        usual: 300,
        mostStallMs: Infinity,
      },
      async (bytes) => {
        const key = name()
        await stores.views.files.set(key, { some: 'value' })
        const random = new Random(bytes.reduce((sum, byte) => Math.imul(sum, 31) + byte, 7))
        const column = random.pick([
          'payload',
          'payload',
          'token',
          'kind',
          'expires_at',
          'written_at',
          'successor',
          'size',
        ])
        const garbage: SqlValue = random.pick<SqlValue>([
          bytes,
          bytes.toString(),
          '',
          0,
          -1,
          1e300,
          NEVER,
        ])
        const update = stores.sqlite.prepare(`UPDATE cells SET ${column} = ? WHERE key = ?`)
        expect(update.run(garbage, storageKey(key)).changes).toBe(1)
        await expectMended('files', key)
      },
    ),
  )

  test.each([
    ['a list', ['rpush', 'x']],
    ['a hash', ['hset', 'x', 'y']],
    ['a set', ['sadd', 'x']],
    ['a stream', ['xadd', '*', 'a', 'b']],
  ])('a Redis key of another type does not fail a request: %s', async (_, [command, ...args]) => {
    const key = name()
    await stores.redis.call(command as string, PREFIX + storageKey(key), ...args)
    const view = stores.views.redis
    expect(await view.get(key)).toBeUndefined()
    expect(await view.getOrSet(key, () => 'loaded')).toBe('loaded')
    await view.set(key, 'set')
    expect(await view.get(key)).toBe('set')
    expect(await view.delete(key)).toBe(true)
  })

  test('a value with __proto__ comes back as it is and pollutes nobody', async () => {
    const value = JSON.parse(PAYLOADS[2] as string) as object
    for (const view of Object.values(stores.views)) {
      await view.set('proto', value)
      const read = await view.get<object>('proto')
      expect(Object.keys(read ?? {})).toEqual(['__proto__', 'constructor'])
      expect(Object.getPrototypeOf(read)).toBe(Object.prototype)
    }
  })
})
