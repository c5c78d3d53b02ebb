// How fast `cache.copy()` is beside plain pipelining: `node bench/copy.mjs [keys] [rounds]`. All in one run.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { createCacheSwitch, redisCache } from '../build/index.js'

const keys = Number(process.argv[2] ?? 50_000)
const rounds = Number(process.argv[3] ?? 3)
const directory = mkdtempSync(join(tmpdir(), 'switchback-bench-copy-'))
const value = (i) =>
  JSON.stringify({ id: i, name: 'a user', mail: `user_${i}@example.com`, plan: 'beta' })
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

const [a, b] = [await startRedis(), await startRedis()]
const [from, to] = [new Redis(a.port), new Redis(b.port)]
const rates = { pipe: [], plain: [], copy: [] }
try {
  for (let round = 0; round < rounds; round += 1) {
    const prefix = `round ${round}:`
    const cache = createCacheSwitch({
      flag: 'f',
      decider: nobody,
      off: redisCache({ url: `redis://127.0.0.1:${a.port}`, prefix }),
      on: redisCache({ url: `redis://127.0.0.1:${b.port}`, prefix }),
      deadlineMs: 2000,
      onEvent: () => {},
    })
    // A young era moves nothing: that is waited for, not measured.
    await new Promise((resolve) => setTimeout(resolve, 6000))
    for (let i = 0; i < keys; i += 500) {
      const some = Array.from({ length: Math.min(500, keys - i) }, (_, k) => [
        `user:${i + k}`,
        value(i + k),
      ])
      await cache.setMany(some, { ttl: '1h' })
    }
    // What the sets left on the other side names the values: the side of a first flip has nothing at all.
    await clear(to, `${prefix}user:*`)
    rates.pipe.push(pipe(b.port, `piped ${round}:`))
    rates.plain.push(await plain(from, to, `${prefix}user:*`, `plain ${round}:`))
    const cpu = process.cpuUsage()
    const report = await cache.copy({ from: 'off', to: 'on' })
    const { user, system } = process.cpuUsage(cpu)
    console.log(`copy takes ${((user + system) / keys).toFixed(1)} us of processor time a key`)
    if (report.copied !== keys) throw new Error(JSON.stringify(report))
    rates.copy.push((report.copied / report.ms) * 1000)
    await cache.close()
    const last = Object.entries(rates).map(([name, all]) => `${name} ${Math.round(all.at(-1))}/s`)
    console.log(`round ${round + 1}: ${last.join('  ')}`)
  }
  const median = (all) => all.toSorted((x, y) => x - y)[all.length >> 1]
  const [piped, plainly, copied] = [rates.pipe, rates.plain, rates.copy].map(median)
  console.log(`medians of ${rounds} rounds of ${keys} keys, Node ${process.version}:`)
  console.log(
    `redis-cli --pipe (SET only)      ${Math.round(piped)} keys a second, ${(piped / copied).toFixed(1)} times copy`,
  )
  console.log(
    `ioredis, SCAN + MGET + SET       ${Math.round(plainly)} keys a second, ${(plainly / copied).toFixed(1)} times copy`,
  )
  console.log(`cache.copy()                     ${Math.round(copied)} keys a second`)
} finally {
  from.disconnect()
  to.disconnect()
  a.server.kill()
  b.server.kill()
  rmSync(directory, { recursive: true, force: true })
}

/** What redis-cli does with commands that it has already. */
function pipe(port, prefix) {
  const file = join(directory, 'commands')
  const parts = []
  for (let i = 0; i < keys; i += 1) {
    const words = ['SET', `${prefix}user:${i}`, value(i), 'EX', '3600']
    parts.push(
      `*5\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`,
    )
  }
  writeFileSync(file, parts.join(''))
  const startedAt = performance.now()
  const { status } = spawnSync('redis-cli', ['-p', port, '--pipe'], {
    stdio: [openSync(file), 'ignore', 'inherit'],
  })
  if (status !== 0) throw new Error('redis-cli --pipe failed')
  return (keys / (performance.now() - startedAt)) * 1000
}

/** A copy that knows of no traffic: what a script of one's own would do. */
async function plain(source, target, pattern, prefix) {
  const startedAt = performance.now()
  let [cursor, done] = ['0', 0]
  do {
    const [next, names] = await source.scan(cursor, 'MATCH', pattern, 'COUNT', 500)
    cursor = next
    if (names.length === 0) continue
    const values = await source.mget(names)
    const writes = target.pipeline()
    for (const [i, name] of names.entries()) writes.set(prefix + name, values[i], 'EX', 3600)
    await writes.exec()
    done += names.length
  } while (cursor !== '0')
  return (done / (performance.now() - startedAt)) * 1000
}

async function clear(redis, pattern) {
  let cursor = '0'
  do {
    const [next, names] = await redis.scan(cursor, 'MATCH', pattern, 'COUNT', 500)
    cursor = next
    if (names.length > 0) await redis.unlink(names)
  } while (cursor !== '0')
}

async function startRedis() {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address()
  probe.close()
  const server = spawn('redis-server', ['--port', port, '--save', '', '--dir', directory], {
    stdio: 'ignore',
  })
  const client = new Redis(port)
  client.on('error', () => {})
  while ((await client.ping().catch(() => '')) !== 'PONG')
    await new Promise((resolve) => setTimeout(resolve, 50))
  client.disconnect()
  return { port, server }
}
