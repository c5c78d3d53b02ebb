// How fast `cache.copy()` is beside pipelining alone: `node bench/copy.mjs [keys] [rounds] [plain|cells]`, in turns.
// `plain`: the application's own keys, as it wrote them; `cells`: what the switch has written.
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
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
  const ways = {}
  for (let round = 1; round <= rounds; round += 1) {
    const one = await withRedis(undefined, (source, from) =>
      withRedis(undefined, (target, to) => runRound(source, target, from.pid, to.pid)),
    )
    for (const [name, found] of Object.entries(one)) (ways[name] ??= []).push(found)
    const shown = Object.entries(one).map(([name, { rate, cpu }]) => {
      return `${name} ${Math.round(rate)}/s (${cpu.map((us) => us.toFixed(1)).join(' + ')} us)`
    })
    console.log(`round ${round}: ${shown.join('; ')}`)
  }
  const median = (all) => all.toSorted((x, y) => x - y)[all.length >> 1]
  console.log(
    `medians of ${rounds} rounds, ${keys} ${plain ? 'keys of the application' : 'cells'}: keys a second, how many times copy's; processor time a key of client, source and target, how many times less than copy's`,
  )
  const own = ways['cache.copy()']
  const total = ({ cpu }) => cpu.reduce((sum, us) => sum + us)
  for (const [name, all] of Object.entries(ways)) {
    const rate = median(all.map((one) => one.rate))
    const faster = median(all.map((one, i) => one.rate / own[i].rate))
    const cpu = [0, 1, 2].map((i) => median(all.map((one) => one.cpu[i])).toFixed(1))
    const less = median(all.map((one, i) => total(own[i]) / total(one)))
    console.log(
      `| ${name} | ${Math.round(rate)} | ${faster.toFixed(1)} | ${cpu.join(' + ')} | ${less.toFixed(1)} |`,
    )
  }
  console.log(`Node ${process.version}, all copied`)
} finally {
  rmSync(directory, { recursive: true, force: true })
}

/** Of each way, keys a second and microseconds of processor time a key, of client, source and target. */
async function runRound(source, target, sourcePid, targetPid) {
  if (plain) {
    writeCommands()
    await pipe(source)
  }
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
    if (!plain) {
      const era = await from.hget(`${PREFIX}#state`, 'era')
      writeCommands((i) => cell(i, era))
      await pipe(source)
    }
    const ways = {}
    const time = async (name, run) => {
      const startedAt = performance.now()
      const before = spent(sourcePid, targetPid)
      await run()
      const rate = (keys / (performance.now() - startedAt)) * 1000
      const after = spent(sourcePid, targetPid)
      ways[name] = { rate, cpu: after.map((us, i) => (us - before[i]) / keys) }
      console.log(name, Math.round(rate), ways[name].cpu.map((us) => us.toFixed(1)).join(' + '))
      await to.flushdb('ASYNC')
    }
    await time('redis-cli --pipe, SET only', () => pipe(target, ASIDE))
    await time('raw sockets, SCAN, PTTL, DUMP, RESTORE', () =>
      pipelined(portOf(source), portOf(target), ASIDE, PATTERN),
    )
    await time('ioredis, SCAN, PTTL, DUMP, RESTORE', () => withClient(from, to))
    const rss = () => process.memoryUsage().rss / 2 ** 20
    const before = rss()
    let peak = before
    await time('cache.copy()', async () => {
      const onProgress = () => (peak = Math.max(peak, rss()))
      const report = await cache.copy({ from: 'off', to: 'on', onProgress })
      if (report.copied !== keys) throw new Error(JSON.stringify(report))
    })
    console.log(`${Math.round(before)} MiB resident before copy, ${Math.round(peak)} at its peak`)
    return ways
  } finally {
    await cache.close()
    from.disconnect()
    to.disconnect()
  }
}

/** Microseconds of processor time of this process and its children that have ended, and of both servers. */
function spent(...servers) {
  const own = process.cpuUsage()
  const ticks = (pid, from) => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ')
    return (Number(fields[from]) + Number(fields[from + 1])) * 10_000
  }
  return [own.user + own.system + ticks('self', 13), ...servers.map((pid) => ticks(pid, 11))]
}

function writeCommands(textOf = value) {
  const file = openSync(commands, 'w')
  for (let from = 0; from < keys; from += 10_000) {
    let text = ''
    for (let i = from; i < Math.min(from + 10_000, keys); i += 1) {
      const words = ['SET', `${PREFIX}user:${i}`, textOf(i), 'EX', '3720']
      const parts = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`)
      text += `*${words.length}\r\n${parts.join('')}`
    }
    writeSync(file, text)
  }
  closeSync(file)
}

/** What redis-cli does with commands that it has already. A process that stood still meanwhile would end the era. */
async function pipe(url, db = 0) {
  const file = openSync(commands)
  const args = ['-p', portOf(url), '-n', String(db), '--pipe']
  const [status] = await once(
    spawn('redis-cli', args, { stdio: [file, 'ignore', 'inherit'] }),
    'exit',
  )
  closeSync(file)
  if (status !== 0) throw new Error('redis-cli --pipe failed')
}

/** As the switch writes it in that era. */
function cell(i, era) {
  const [now, payload] = [Date.now(), JSON.stringify(value(i))]
  const token = randomBytes(9).toString('base64url')
  return `2v${token}${now}${era}${now + 3_600_000}............${String(payload.length).padStart(9, '0')}|${payload}`
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
