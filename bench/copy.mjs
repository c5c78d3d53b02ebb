// How fast `cache.copy()` is beside pipelining alone: `node bench/copy.mjs [keys] [rounds] [plain|cells]`, in turns.
// `plain`: the application's own keys, as it wrote them; `cells`: what the switch has written.
import { spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { createCacheSwitch, redisCache } from '../build/index.js'
import { pipelined } from './copy/pipelined.mjs'
import { withRedis } from './with-redis.mjs'

const keys = Number(process.argv[2] ?? 50_000)
const rounds = Number(process.argv[3] ?? 3)
const plain = process.argv[4] !== 'cells'
const PREFIX = 'shop:'
const PATTERN = `${PREFIX}user:*`
/** Of the target: a copy that knows of no traffic goes there. */
const ASIDE = 1
const directory = mkdtempSync(join(tmpdir(), 'switchback-bench-copy-'))
const commands = join(directory, 'commands')
const nobody = {
  decide: () => ({
    side: 'off',
    variant: 'off',
    reason: 'STATIC',
    errorCode: '',
    source: 'default',
  }),
  targetingKeyOf: () => undefined,
  health: () => ({ ok: true, status: 'READY', since: 0, detail: '' }),
  close: async () => {},
}
const value = (i) =>
  JSON.stringify({ id: i, name: 'a user', mail: `user_${i}@example.com`, plan: 'beta' })
const portOf = (url) => new URL(url).port

try {
  writeCommands()
  const rates = {}
  for (let round = 1; round <= rounds; round += 1) {
    const one = await withRedis(undefined, (source) =>
      withRedis(undefined, (target) => runRound(source, target)),
    )
    for (const [name, rate] of Object.entries(one)) (rates[name] ??= []).push(rate)
    const shown = Object.entries(one).map(([name, rate]) => `${name} ${Math.round(rate)}/s`)
    console.log(`round ${round}: ${shown.join('; ')}`)
  }
  const median = (all) => all.toSorted((x, y) => x - y)[all.length >> 1]
  console.log(
    `medians of ${rounds} rounds, ${keys} ${plain ? 'keys of the application' : 'cells'}:`,
  )
  const copied = median(rates['cache.copy()'])
  for (const [name, all] of Object.entries(rates)) {
    const ratios = all.map((rate, i) => rate / rates['cache.copy()'][i])
    console.log(`| ${name} | ${Math.round(median(all))} | ${median(ratios).toFixed(1)} |`)
  }
  console.log(`Node ${process.version}, ${copied > 0 ? 'all copied' : ''}`)
} finally {
  rmSync(directory, { recursive: true, force: true })
}

/** Keys a second of each way. */
async function runRound(source, target) {
  if (plain) pipe(source)
  const cache = createCacheSwitch({
    flag: 'f',
    decider: nobody,
    off: redisCache({ url: source, prefix: PREFIX, ...(plain && { values: 'plain' }) }),
    on: redisCache({ url: target, prefix: PREFIX }),
    deadlineMs: 2000,
    onEvent: () => {},
  })
  const [from, to] = [new Redis(source), new Redis(target, { db: ASIDE })]
  try {
    // A young era moves nothing: that is waited for, not measured.
    await delay(6000)
    if (!plain) await fill(cache, target)
    const rates = {}
    const time = async (name, run) => {
      const startedAt = performance.now()
      await run()
      rates[name] = (keys / (performance.now() - startedAt)) * 1000
      await to.flushdb()
    }
    await time('redis-cli --pipe, SET only', () => pipe(target, ASIDE))
    await time('raw sockets, SCAN, PTTL, DUMP, RESTORE', () =>
      pipelined(portOf(source), portOf(target), ASIDE, PATTERN),
    )
    await time('ioredis, SCAN, PTTL, DUMP, RESTORE', () => withClient(from, to))
    const cpu = process.cpuUsage()
    await time('cache.copy()', async () => {
      const report = await cache.copy({ from: 'off', to: 'on' })
      if (report.copied !== keys) throw new Error(JSON.stringify(report))
    })
    const { user, system } = process.cpuUsage(cpu)
    const { rss } = process.memoryUsage()
    const each = ((user + system) / keys).toFixed(1)
    console.log(`copy takes ${each} us of processor time a key; ${Math.round(rss / 2 ** 20)} MiB`)
    return rates
  } finally {
    await cache.close()
    from.disconnect()
    to.disconnect()
  }
}

function writeCommands() {
  const file = openSync(commands, 'w')
  for (let from = 0; from < keys; from += 10_000) {
    let text = ''
    for (let i = from; i < Math.min(from + 10_000, keys); i += 1) {
      const words = ['SET', `${PREFIX}user:${i}`, value(i), 'EX', '3600']
      const parts = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`)
      text += `*${words.length}\r\n${parts.join('')}`
    }
    writeSync(file, text)
  }
  closeSync(file)
}

/** What redis-cli does with commands that it has already. */
function pipe(url, db = 0) {
  const file = openSync(commands)
  const args = ['-p', portOf(url), '-n', String(db), '--pipe']
  const { status } = spawnSync('redis-cli', args, { stdio: [file, 'ignore', 'inherit'] })
  closeSync(file)
  if (status !== 0) throw new Error('redis-cli --pipe failed')
}

/** As the switch writes them. What that leaves on the other side is taken away: a first flip finds nothing there. */
async function fill(cache, target) {
  for (let i = 0; i < keys; i += 500) {
    const some = Array.from({ length: Math.min(500, keys - i) }, (_, k) => i + k)
    await cache.setMany(
      some.map((k) => [`user:${k}`, value(k)]),
      { ttl: '1h' },
    )
  }
  const redis = new Redis(target)
  for (let i = 0; i < keys; i += 500) {
    const some = Array.from({ length: Math.min(500, keys - i) }, (_, k) => i + k)
    await redis.unlink(some.map((k) => `${PREFIX}user:${k}`))
  }
  redis.disconnect()
}

/** The same with the client that most have. */
async function withClient(from, to) {
  let cursor = '0'
  do {
    const [next, names] = await from.scan(cursor, 'MATCH', PATTERN, 'COUNT', 500)
    cursor = next
    if (names.length === 0) continue
    const reads = from.pipeline()
    for (const name of names) reads.pttl(name).dumpBuffer(name)
    const answers = await reads.exec()
    const writes = to.pipeline()
    for (const [i, name] of names.entries())
      writes.restore(name, Math.max(0, answers[2 * i][1]), answers[2 * i + 1][1])
    await writes.exec()
  } while (cursor !== '0')
}
