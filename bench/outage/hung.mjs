#!/usr/bin/env node
/**
 * Redis hangs under closed-loop load: what the users of the Redis side feel before and after the breaker
 * opens, beside the same reads on the file side. Usage: npm run build && node bench/outage/hung.mjs
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { createCacheSwitch, createTelemetry, fileCache, redisCache } from '../../dist/index.mjs'
import { table } from '../measure.mjs'
import { answers, freePort } from '../with-redis.mjs'

const KEYS = Array.from({ length: 2000 }, (_, i) => `user:${i}`)
const IN_FLIGHT = 64
const SECONDS = Number(process.argv[2] ?? 60)

const port = await freePort()
const server = spawn(
  'redis-server',
  ['--port', String(port), '--save', '', '--bind', '127.0.0.1'],
  {
    stdio: 'ignore',
  },
)
await answers(port)
const directory = mkdtempSync(join(tmpdir(), 'switchback-hung-'))
const answer = (side) => ({
  side,
  variant: side,
  reason: 'SPLIT',
  errorCode: '',
  source: 'remembered',
})
const cache = createCacheSwitch({
  flag: 'use-redis',
  decider: {
    decide: (context) => answer(context.targetingKey),
    targetingKeyOf: (context) => context.targetingKey,
    health: () => ({ ok: true, status: 'READY', since: 0, detail: '' }),
    close: async () => {},
  },
  off: fileCache({ directory }),
  on: redisCache({ url: `redis://127.0.0.1:${port}` }),
  telemetry: createTelemetry(),
  // The file side is warm, so that what is measured is the switch and not the origin.
  standby: 'mirror',
})
const off = cache.for({ targetingKey: 'off' })
const on = cache.for({ targetingKey: 'on' })
const value = { name: 'somebody', text: 'x'.repeat(1000) }
for (const key of KEYS) await on.set(key, value)
await delay(500)

/** Reads, 64 at once, for so many seconds; one in ten writes when asked. */
async function load(view, seconds, writes) {
  const latencies = []
  let failed = 0
  let i = 0
  const end = performance.now() + seconds * 1000
  const client = async () => {
    while (performance.now() < end) {
      const key = KEYS[(i += 7) % KEYS.length]
      const start = performance.now()
      try {
        if (writes && i % 10 === 0) await view.set(key, value)
        else await view.get(key)
      } catch {
        failed += 1
      }
      latencies.push(performance.now() - start)
      // A file is read at once: let timers and sockets have their turn, as a server would.
      if (i % 4 === 0) await new Promise((done) => setImmediate(done))
    }
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, client))
  latencies.sort((a, b) => a - b)
  const at = (share) => `${latencies[Math.floor((latencies.length - 1) * share)].toFixed(2)} ms`
  return [
    Math.round(latencies.length / seconds).toLocaleString('en'),
    failed,
    at(0.5),
    at(0.99),
    at(1),
  ]
}

const rows = []
const add = (what, cells) => rows.push([what, ...cells])
add('file side, healthy', await load(off, 5))
add('Redis side, healthy', await load(on, 5))
const rssBefore = process.memoryUsage().rss
server.kill('SIGSTOP')
add('Redis hung: first second', await load(on, 1))
add('Redis hung: then 5 s, reads', await load(on, 5))
add('file side, again', await load(off, 5))
add(`Redis hung: ${SECONDS} s, a tenth writes`, await load(on, SECONDS, true))
const grown = (process.memoryUsage().rss - rssBefore) / 2 ** 20
server.kill('SIGCONT')
console.log(table(['phase', 'ops/s', 'failed', 'p50', 'p99', 'max'], rows))
console.log(`\nRSS grew by ${grown.toFixed(1)} MiB; owed at the end: ${cache.health().on.owed}`)
await cache.close()
server.kill('SIGKILL')
rmSync(directory, { recursive: true, force: true })
process.exit(0)
