/**
 * One application process under chaos: reads, loads, writes and deletes shared keys, each operation on a
 * side of its own choice, and records what it was told. A line is written before each operation and
 * after it, since this process may be killed at any moment. Times are the machine's monotonic clock.
 */
import { openSync, writeSync } from 'node:fs'
import { fileCache, redisCache } from '../../dist/cache/index.js'
import { createCacheSwitch } from '../../dist/switch/index.js'

const options = JSON.parse(process.argv[2])
const { id, redisUrl, directory, record, keys, tombstoneTtl, standby, pauseMs } = options
const out = openSync(record, 'a')
const now = () => Number(process.hrtime.bigint() / 1000n)
const log = (...fields) => writeSync(out, `${fields.join('\t')}\n`)

/** Each process sees the flag change whenever it does: any operation may land on either side. */
const decider = {
  decide: (context) => {
    const side = context.targetingKey
    return { side, variant: side, reason: 'SPLIT', errorCode: '', source: 'live' }
  },
  targetingKeyOf: (context) => context.targetingKey,
  health: () => ({ ok: true, status: 'READY', since: 0, detail: '' }),
  close: async () => {},
}

const cache = createCacheSwitch({
  flag: 'use-redis',
  decider,
  off: fileCache({ directory, tombstoneTtl, onWarning: () => {} }),
  on: redisCache({ url: redisUrl, prefix: 'chaos:', tombstoneTtl, onWarning: () => {} }),
  standby,
  onEvent: (event) => log('event', now(), event.type, event.side ?? '', event.detail),
})

const state = { running: true }
let count = 0
let slowest = 0
const fresh = () => `${id}.${process.pid}.${(count += 1)}`

async function load(key) {
  const value = fresh()
  log('load', key, now(), value)
  if (Math.random() < 0.2) await new Promise((done) => setTimeout(done, Math.random() * 30))
  return value
}

async function client() {
  while (state.running) {
    const view = cache.for({ targetingKey: Math.random() < 0.5 ? 'off' : 'on' })
    const key = keys[Math.floor(Math.random() * keys.length)]
    const act = Math.random()
    const invokedAt = now()
    try {
      if (act < 0.12) {
        const value = fresh()
        log('set?', key, invokedAt, value)
        await view.set(key, value, { ttl: '10m' })
        log('set', key, invokedAt, now(), value)
      } else if (act < 0.2) {
        log('delete?', key, invokedAt)
        await view.delete(key)
        log('delete', key, invokedAt, now())
      } else if (act < 0.6) {
        const value = await view.get(key)
        log('read', key, invokedAt, value ?? '')
      } else {
        const value = await view.getOrSet(key, () => load(key), { ttl: '10m' })
        log('read', key, invokedAt, value)
      }
    } catch (error) {
      log('failed', key, invokedAt, error.code ?? '', String(error.message).replaceAll(/\s+/g, ' '))
    }
    slowest = Math.max(slowest, now() - invokedAt)
    if (pauseMs > 0) await new Promise((done) => setTimeout(done, Math.random() * pauseMs))
    // A hit on the file side is synchronous: let the others have their turn.
    else await new Promise((done) => setImmediate(done))
  }
}

const clients = Array.from({ length: options.clients }, client)
process.send({ type: 'ready' })
process.on('message', async (message) => {
  if (message !== 'stop') return
  state.running = false
  await Promise.all(clients)
  log('end', slowest, process.memoryUsage().rss, JSON.stringify(cache.health()))
  await cache.close()
  process.disconnect()
})
process.on('disconnect', () => process.exit(0))
