/** The cost of an operation with 10,000 and with 1,000,000 entries in the store, all of them asked for alike. */
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { Redis } from 'ioredis'
import Database from 'libsql'
import { fileCache, redisCache } from '../../dist/index.mjs'
import { compare } from '../measure.mjs'
import { withRedis } from '../with-redis.mjs'
import { beside, isWell, number, OFF, ON, switchOf, times, turning } from './sides.mjs'

/** So many by the cache itself; the others are copies of them, made in SQLite: a million writes take minutes. */
const WRITTEN = 10_000
const SIZES = [10_000, 1_000_000]
const VALUE = 'x'.repeat(100)
const PAYLOAD = JSON.stringify(VALUE)
const key = (i) => `user:${i}`
/** Some key of so many, not one after the other. */
const some = (i, size) => key((i * 7_368_787) % size)

export async function entries({ rounds }) {
  const directory = mkdtempSync(join(tmpdir(), 'switchback-bench-'))
  const open = (stages, run) =>
    stages.length === SIZES.length
      ? run(stages)
      : withRedis(
          undefined,
          async (url) => {
            const size = SIZES[stages.length]
            const stage = await filled({ directory: join(directory, String(size)), size, url })
            return open([...stages, stage], run)
          },
          ['--enable-debug-command', 'local'],
        )
  try {
    return await open([], (stages) => compared(stages, rounds))
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

async function compared(stages, rounds) {
  const operations = {
    'hit, user of files': ({ offUser, size }, i) => offUser.get(some(i, size)),
    'set, user of files': ({ offUser, size }, i) => offUser.set(some(i, size), VALUE),
    'hit, user of Redis': ({ onUser, inRedis }, i) => onUser.get(`on:${key(i % inRedis)}`),
    'set, user of Redis': ({ onUser, inRedis }, i) => onUser.set(`on:${key(i % inRedis)}`, VALUE),
  }
  const rows = []
  for (const [name, operation] of Object.entries(operations)) {
    const contenders = stages.map((stage) => ({
      name: number(stage.size),
      run: turning((i) => operation(stage, i)),
      prepare: () => isWell(stage.cache),
    }))
    const count = name.startsWith('set') ? 1000 : 4000
    const results = await compare(contenders, { rounds: Math.min(rounds, 7), count, inFlight: 8 })
    rows.push([name, ...results.map((one) => beside(one.cpuUs, times(one, results[0])))])
  }
  rows.push([
    '`write` of the file store alone, the first 10,000: CPU us',
    ...stages.map((one) => one.fillUs.toFixed(0)),
  ])
  rows.push(['on disk: bytes an entry', ...stages.map((one) => number(one.diskBytes / one.size))])
  for (const { cache } of stages) await cache.close()
  return {
    title:
      'CPU us an operation (beside 10,000 entries in the same round), by entries of the file store and keys of Redis; 100 bytes each, every key asked for alike, 8 in flight',
    headings: ['operation', ...SIZES.map((size) => `${number(size)} entries`)],
    rows,
  }
}

/** Files with so many entries, and a Redis with as many keys, of which some thousand are ours. */
async function filled({ directory, size, url }) {
  const bare = new Redis(url)
  await bare.call('DEBUG', 'POPULATE', String(size), 'filler', '100')
  bare.disconnect()
  const off = fileCache({ directory, maxEntries: 2 * size, maxBytes: 2 ** 32 })
  const on = redisCache({ url })
  const cache = switchOf(off, on)
  const [offUser, onUser] = [cache.for(OFF), cache.for(ON)]
  const inRedis = 2000
  for (let i = 0; i < inRedis; i += 100) {
    const some = Array.from({ length: 100 }, (_, j) => onUser.set(`on:${key(i + j)}`, VALUE))
    await Promise.all(some)
  }
  const entry = { payload: PAYLOAD, expiresAt: Date.now() + 86_400_000 }
  const began = process.cpuUsage()
  for (let i = 0; i < WRITTEN; i += 1) {
    off.write(key(i), entry, { expect: '*', within: 60_000 })
    // Others have their turn: the ticks of the cache.
    if (i % 50 === 0) await nextTurn()
  }
  const { user, system } = process.cpuUsage(began)
  await multiply(join(directory, 'cache.db'), size)
  const diskBytes = readdirSync(directory).reduce(
    (sum, name) => sum + statSync(join(directory, name)).size,
    0,
  )
  return {
    size,
    cache,
    offUser,
    onUser,
    inRedis,
    fillUs: (user + system) / WRITTEN,
    diskBytes,
  }
}

async function multiply(path, size) {
  const sqlite = new Database(path)
  // Tombstones of the keys in Redis are among them.
  const { last } = sqlite.prepare('SELECT max(id) AS last FROM cells').get()
  const columns =
    'kind, token, written_at, expires_at, dies_at, size, used, successor, payload FROM cells'
  const copy = sqlite.prepare(
    `INSERT INTO cells (key, kind, token, written_at, expires_at, dies_at, size, used, successor, payload)
     SELECT 'user:' || (substr(key, 6) + ?), ${columns} WHERE id <= ? AND key GLOB 'user:[0-9]*'`,
  )
  for (let more = WRITTEN; more < size; more += WRITTEN) {
    copy.run(more, last)
    await nextTurn()
  }
  sqlite.exec(
    'UPDATE meta SET entries = (SELECT count(*) FROM cells), bytes = (SELECT sum(size) FROM cells)',
  )
  sqlite.close()
}
