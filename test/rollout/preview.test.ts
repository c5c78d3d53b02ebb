import { Readable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import {
  createEvaluator,
  parseUsers,
  preview,
  readFlags,
  setShare,
  type User,
} from '../../src/rollout/index.ts'

function flags(targeting: unknown): string {
  return JSON.stringify({
    flags: {
      'use-redis': {
        state: 'ENABLED',
        variants: { on: true, off: false },
        defaultVariant: 'off',
        targeting,
      },
    },
  })
}

const flag = 'use-redis'
const at = (percent: number) =>
  setShare(
    readFlags(
      flags({
        fractional: [
          ['on', 10],
          ['off', 90],
        ],
      }),
    ),
    { flag, percent },
  ).after

describe('preview', () => {
  it('counts as a real flagd does', async () => {
    // Measured on flagd 0.16.1 for user_0 to user_9999.
    const users = 10_000
    const up = await preview({ flag, before: at(10), after: at(25), users })
    expect(up.on).toEqual({ before: 1033, after: 2545 })
    expect(up.joins.count).toBe(1512)
    expect(up.leaves.count).toBe(0)
    const half = await preview({ flag, before: at(25), after: at(50), users })
    expect(half.on).toEqual({ before: 2545, after: 5047 })
    expect(half.joins.examples).toHaveLength(5)
    const down = await preview({ flag, before: at(25), after: at(10), users })
    expect([down.joins.count, down.leaves.count]).toEqual([0, 1512])
  })

  it('tells that swapping the entries moves nearly everyone', async () => {
    const before = readFlags(
      flags({
        fractional: [
          ['on', 10],
          ['off', 90],
        ],
      }),
    )
    const after = readFlags(
      flags({
        fractional: [
          ['off', 90],
          ['on', 10],
        ],
      }),
    )
    const moves = await preview({ flag, before, after, users: 10_000 })
    expect(moves.on.before).toBe(1033)
    expect(moves.leaves.count).toBe(1033)
    expect(moves.joins.count).toBeGreaterThan(900)
  })

  it('lets the event loop breathe, reports progress and can be stopped', async () => {
    const stop = new AbortController()
    const seen: number[] = []
    const running = preview({
      flag,
      before: at(10),
      after: at(25),
      users: 1_000_000_000,
      onProgress(done) {
        seen.push(done)
        if (seen.length === 2) stop.abort(new Error('enough'))
      },
      signal: stop.signal,
    })
    await expect(running).rejects.toThrow('enough')
    expect(seen[1]).toBeGreaterThan(seen[0] ?? Infinity)
  })

  it('takes users from any source, with their attributes', async () => {
    const before = at(10)
    const pilot = { in: [{ var: 'plan' }, ['beta']] }
    const rule = {
      fractional: [
        ['on', 10],
        ['off', 90],
      ],
    }
    const after = readFlags(flags({ if: [pilot, 'on', rule] }))
    const input = Readable.from(['user_0\n\n{"targetingKey":"user', '_1","plan":"beta"}\r\nuser_2'])
    const moves = await preview({ flag, before, after, users: parseUsers(input) })
    expect(moves.users).toBe(3)
    expect(moves.joins).toEqual({ count: 1, examples: ['user_1'] })
  })

  it('counts a user once who is listed twice, and says so', async () => {
    const twice = ['a', { targetingKey: 'b', plan: 'x' }, 'a', { targetingKey: 'b', plan: 'x' }]
    const users = [...twice, ['a', 'c'], { targetingKey: 'b', plan: 'y' }]
    const moves = await preview({ flag, before: at(0), after: at(100), users })
    expect(moves).toMatchObject({ users: 4, repeated: 3, joins: { count: 4 } })
    const made = await preview({ flag, before: at(0), after: at(100), users: 10 })
    expect(made).toMatchObject({ users: 10, repeated: 0 })
  })

  it('says which attributes of the rule no user has', async () => {
    const split = { fractional: [{ cat: [{ var: 'tenant.id' }, 'x'] }, ['on', 1], ['off', 1]] }
    const beta = { in: [{ var: ['plan', 'none'] }, ['beta']] }
    const known = { '!=': [{ var: 'targetingKey' }, { var: '$flagd.flagKey' }] }
    const document = readFlags(
      JSON.stringify({
        $evaluators: { emails: { in: ['@x', { var: 'email' }] } },
        flags: {
          [flag]: {
            state: 'ENABLED',
            variants: { on: true, off: false },
            defaultVariant: 'off',
            targeting: { if: [{ and: [beta, known, { $ref: 'emails' }] }, 'on', split] },
          },
        },
      }),
    )
    const ask = async (users: number | User[]): Promise<readonly string[]> =>
      (await preview({ flag, before: document, after: document, users })).lacking
    expect(await ask(['a', 'b'])).toEqual(['email', 'plan', 'tenant'])
    expect(await ask(['a', { targetingKey: 'b', plan: 'x', tenant: { id: 7 } }])).toEqual(['email'])
    expect((await preview({ flag, before: at(1), after: at(2), users: ['a'] })).lacking).toEqual([])
  })

  it('reads the same users wherever the pieces of the stream end', async () => {
    const text = 'a\n{"targetingKey":"é","plan":"x"}\r\n\r\n  b \rc\r\r\nd\r'
    const bytes = Buffer.from(text)
    for (let size = 1; size <= bytes.length; size++) {
      const pieces: Buffer[] = []
      for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size))
      const read: User[] = []
      const input = Readable.from(pieces, { objectMode: false })
      for await (const users of parseUsers(input)) read.push(...users)
      expect(read).toEqual(['a', { targetingKey: 'é', plan: 'x' }, 'b', 'c', 'd'])
    }
  })

  it('gives up on a line without an end', async () => {
    let read = 0
    const endless = Readable.from(
      (function* () {
        for (;;) yield read++ === 0 ? 'a\n' : 'x'.repeat(65_536)
      })(),
      { objectMode: false },
    )
    const users = parseUsers(endless)
    await expect(preview({ flag, before: at(10), after: at(25), users })).rejects.toThrow(
      expect.objectContaining({
        code: 'SB_USERS_INVALID',
        message: expect.stringContaining('line 2'),
      }),
    )
    expect(read).toBeLessThan(100)
  })

  it('names the line that is no user', async () => {
    const users = parseUsers(Readable.from(['a\n{"key":"b"}\n']))
    await expect(preview({ flag, before: at(10), after: at(25), users })).rejects.toThrow(
      expect.objectContaining({
        code: 'SB_USERS_INVALID',
        message: expect.stringContaining('line 2'),
      }),
    )
  })

  const utf16 = (text: string) => Buffer.from(`\uFEFF${text}`, 'utf16le')
  it.each<[string, Buffer | string, string, string]>([
    [
      'a JSON array on one line',
      '[{"targetingKey":"a"},{"targetingKey":"b"}]\n',
      'line 1 is not a user: "[{',
      "jq -rc '.[]'",
    ],
    ['a JSON array in lines', '[\n  "a",\n  "b"\n]', 'line 1 is not a user: "["', "jq -rc '.[]'"],
    ['a key in quotes', 'user_6\n\n"user_7"\n', 'line 3 is not a user: "\\"user_7\\""', 'jq -r'],
    ['CSV in quotes', '"user_7","beta"\n', 'line 1', "cut -d, -f1 | tr -d '\"'"],
    ['null', 'a\nnull\n', 'line 2 is not a user: "null"', 'a targeting key, or {'],
    ['true', 'true', 'line 1 is not a user: "true"', 'a targeting key, or {'],
    ['false', 'false\r\n', 'line 1 is not a user: "false"', 'a targeting key, or {'],
    ['NUL', 'a\nb\0c\n', 'line 2 is not a user: "b\\u0000c"', 'UTF-8'],
    ['UTF-16', utf16('user_1\nuser_2\n'), 'line 1 is not a user', 'iconv -f UTF-16 -t UTF-8'],
    ['Latin-1', Buffer.from('a\nRen\u00E9\n', 'latin1'), 'line 2 is not a user: "Ren', 'iconv'],
    ['a header', 'user_id\nuser_1\n', 'line 1 is not a user: "user_id"', 'tail -n +2'],
    ['a header after a mark', '\uFEFFid\r\n7\r\n', 'line 1 is not a user: "id"', 'tail -n +2'],
    ['a table', 'userId;plan\n7;beta\n', 'line 1 is not a user', "cut -d ';' -f1"],
    ['another table', 'customer-id,name\n7,x\n', 'line 1', "cut -d ',' -f1"],
    ['no line', '', 'the list of users has no user', 'one user a line'],
    ['empty lines', '\uFEFF\n \r\n', 'the list of users has no user', 'one user a line'],
  ])('%s is no list of users', async (_, content, message, hint) => {
    const input = Readable.from([Buffer.from(content)], { objectMode: false })
    const moves = preview({ flag, before: at(10), after: at(25), users: parseUsers(input) })
    await expect(moves).rejects.toThrow(
      expect.objectContaining({
        code: 'SB_USERS_INVALID',
        message: expect.stringContaining(message),
        hint: expect.stringContaining(hint),
      }),
    )
  })

  it.each(['david,pro', 'David;pro', 'DAVID,pro', 'grid\t1', 'sid,a', 'madrid,x', 'Ingrid,y'])(
    'takes %j for a user: no column is called so',
    async (line) => {
      const read: User[] = []
      const input = Readable.from([Buffer.from(`${line}\nb,pro\n`)], { objectMode: false })
      for await (const users of parseUsers(input)) read.push(...users)
      expect(read).toEqual([line, 'b,pro'])
    },
  )

  const columns = [
    'userId',
    'UserID',
    'user_id',
    'USER_ID',
    'id',
    'Id',
    'ID',
    'customerId',
    'userid',
  ]
  it.each([
    ...columns,
    'UUID',
    'Email',
    'externalUserId',
    'User Id',
    'TARGETING_KEY',
    'targetingkey',
  ])('takes %j before others for a column', async (column) => {
    const input = Readable.from([Buffer.from(`${column},plan\n7,pro\n`)], { objectMode: false })
    const reading = async (): Promise<void> => {
      for await (const users of parseUsers(input)) expect(users).toEqual([])
    }
    await expect(reading()).rejects.toThrow('line 1 is not a user')
  })

  it('takes as a key what only has such words and signs in it', async () => {
    const keys = [
      'david',
      'grid',
      'a,b',
      'user',
      'id',
      'nullable',
      'a"b"',
      'x[1]',
      '42',
      'Null',
      'é',
    ]
    const read: User[] = []
    const input = Readable.from([Buffer.from(`\uFEFF${keys.join('\n')}`)], { objectMode: false })
    for await (const users of parseUsers(input)) read.push(...users)
    expect(read).toEqual(keys)
  })

  it('gives non-ASCII users what flagd gives them, by the bytes of their UTF-8', () => {
    const evaluate = createEvaluator(at(50), flag)
    const bytes = (text: string) => Buffer.from(text, 'utf8').toString('latin1')
    const plain = (key: string) => (murmur3(`${flag}${bytes(key)}`) * 100) / 2 ** 32 < 50
    const users = Array.from({ length: 500 }, (_, index) => `用户_${index}_é`)
    expect(users.map((user) => evaluate(user) === 'on')).toEqual(users.map(plain))
  })

  it('still compares non-ASCII attributes and names rightly', () => {
    const text = JSON.stringify({
      flags: {
        größe: {
          state: 'ENABLED',
          variants: { groß: 'L', klein: 'S' },
          defaultVariant: 'klein',
          targeting: { if: [{ in: [{ var: 'straße' }, ['Höhe']] }, 'groß', null] },
        },
      },
    })
    const evaluate = createEvaluator(readFlags(text), 'größe')
    const user: User = { targetingKey: 'ü', straße: 'Höhe' }
    expect([evaluate(user), evaluate('ü')]).toEqual(['groß', 'klein'])
  })
})

/** MurmurHash3 x86 32, seed 0, over Latin-1 text: https://en.wikipedia.org/wiki/MurmurHash */
function murmur3(text: string): number {
  const data = Buffer.from(text, 'latin1')
  let hash = 0
  const mix = (k: number) => {
    const rotated = Math.imul(k, 0xcc_9e_2d_51)
    return Math.imul((rotated << 15) | (rotated >>> 17), 0x1b_87_35_93)
  }
  const blocks = data.length - (data.length % 4)
  for (let index = 0; index < blocks; index += 4) {
    hash ^= mix(data.readUInt32LE(index))
    hash = (hash << 13) | (hash >>> 19)
    hash = (Math.imul(hash, 5) + 0xe6_54_6b_64) | 0
  }
  let tail = 0
  for (let index = data.length - 1; index >= blocks; index--)
    tail = (tail << 8) | (data[index] ?? 0)
  if (data.length > blocks) hash ^= mix(tail)
  hash ^= data.length
  hash = Math.imul(hash ^ (hash >>> 16), 0x85_eb_ca_6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2_b2_ae_35)
  return (hash ^ (hash >>> 16)) >>> 0
}
