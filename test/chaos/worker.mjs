/**
 * One application process under chaos: reads, loads, writes and deletes shared keys for many users, and
 * records what it was told. A line is written before each operation and after it, since this process
 * may be killed at any moment. Times are the machine's monotonic clock, in microseconds.
 */
import { openSync, writeSync } from 'node:fs'
import { Cluster, Redis } from 'ioredis'
import { createCacheSwitch, fileCache, flagsFromEnvironment, redisCache } from '../../dist/index.js'

const options = JSON.parse(process.argv[2])
const { id, connection, directory, record, keys, tombstoneTtl, standby, pauseMs, flags, seed } =
  options
const out = openSync(record, 'a')
const now = () => Number(process.hrtime.bigint() / 1000n)
const log = (...fields) => writeSync(out, `${fields.join('\t')}\n`)
const oneLine = (text) => String(text).replaceAll(/\s+/g, ' ')

/** Mulberry32 on a hash of what the generator is for. */
function generator(name) {
  let state = 2_166_136_261
  for (const char of `${seed}/${name}`) {
    state = Math.imul(state ^ char.charCodeAt(0), 16_777_619) >>> 0
  }
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** As if this process saw the flag change whenever it does: any operation may land on either side. */
const randomSides = {
  decide: (context) => {
    const side = context.targetingKey
    return { side, variant: side, reason: 'SPLIT', errorCode: '', source: 'live' }
  },
  targetingKeyOf: (context) => context.targetingKey,
  health: () => ({ ok: true, status: 'READY', since: 0, detail: '' }),
  close: async () => {},
}

/** As a service would have it: nothing outlives the connection that it was sent on. */
const FAST = { maxRetriesPerRequest: 0, socketTimeout: 1000, connectTimeout: 1000 }

function redisClient({ kind, nodes, natMap, name, sentinels }) {
  const client =
    kind === 'cluster'
      ? new Cluster(nodes, {
          natMap,
          enableOfflineQueue: false,
          clusterRetryStrategy: () => 100,
          redisOptions: FAST,
        })
      : new Redis({
          sentinels,
          name,
          natMap,
          enableOfflineQueue: false,
          autoResendUnfulfilledCommands: false,
          retryStrategy: () => 100,
          sentinelRetryStrategy: () => 100,
          ...FAST,
        })
  client.on('error', () => {})
  return client
}

const prefix = 'chaos:'
const quiet = { tombstoneTtl, onWarning: (warning) => log('warning', now(), warning.code) }
const own = connection.kind === 'standalone' ? undefined : redisClient(connection)
const on = redisCache({
  ...(own === undefined ? { url: connection.url } : { client: own }),
  prefix,
  ...quiet,
})
// A planted defect, to show that the checker finds what it looks for.
if (options.planted === 'no-tombstones') {
  on.invalidate = async () => ({ done: true, existed: false, token: 'none' })
}
const source =
  flags === 'random'
    ? undefined
    : await flagsFromEnvironment(flags, {
        onEvent: ({ message }) => log('warning', now(), oneLine(message)),
      })
const cache = createCacheSwitch({
  flag: 'use-redis',
  decider: source?.createDecider({ flag: 'use-redis' }) ?? randomSides,
  off: fileCache({ directory, ...quiet }),
  on,
  standby,
  onEvent: (event) => log('event', now(), event.type, event.side ?? '', event.detail),
})

const state = { running: true, slowest: 0, operations: 0 }
let count = 0
const fresh = () => `${id}.${process.pid}.${(count += 1)}`

async function load(key, random) {
  const value = fresh()
  log('load', key, now(), value)
  if (random() < options.slowLoads) await new Promise((done) => setTimeout(done, random() * 30))
  return value
}

async function client(_, number) {
  const random = generator(`${id}/${options.life}/${number}`)
  const user = () => {
    if (source === undefined) return random() < 0.5 ? 'off' : 'on'
    return `user_${Math.floor(random() * options.users)}`
  }
  let side = ''
  let servedBy = ''
  const hooks = {
    onOperation: (info) => {
      side = info.side
      servedBy = info.servedBy
    },
  }
  while (state.running) {
    const view = cache.for({ targetingKey: user() }, hooks)
    const key = keys[Math.floor(random() * keys.length)]
    const act = random()
    const invokedAt = now()
    try {
      if (act < 0.12) {
        const value = fresh()
        log('set?', key, invokedAt, value)
        await view.set(key, value, { ttl: '10m' })
        log('set', key, invokedAt, now(), value, side, servedBy)
      } else if (act < 0.2) {
        log('delete?', key, invokedAt)
        await view.delete(key)
        log('delete', key, invokedAt, now(), side, servedBy)
      } else {
        const value =
          act < 0.6
            ? await view.get(key)
            : await view.getOrSet(key, () => load(key, random), { ttl: '10m' })
        log('read', key, invokedAt, value ?? '', side, servedBy, now())
      }
    } catch (error) {
      log('failed', key, invokedAt, error.code ?? '', oneLine(error.message))
    }
    state.operations += 1
    state.slowest = Math.max(state.slowest, now() - invokedAt)
    if (pauseMs > 0) await new Promise((done) => setTimeout(done, random() * pauseMs))
    // A hit on the file side is synchronous: let the others have their turn.
    else await new Promise((done) => setImmediate(done))
  }
}

function logVitals() {
  const { rss, heapUsed } = process.memoryUsage()
  const { user, system } = process.cpuUsage()
  const open = process.getActiveResourcesInfo().length
  log('vitals', now(), rss, heapUsed, open, user + system, state.operations, state.slowest)
}

/** What a fresh process is told about every key, by users of both sides. */
async function audit() {
  for (const key of keys) {
    for (const side of ['on', 'off']) {
      const invokedAt = now()
      const value = await cache.for({ targetingKey: side }).get(key)
      log('read', key, invokedAt, value ?? '', side, 'audit', now())
    }
  }
}

const clients = options.audit === true ? [] : Array.from({ length: options.clients }, client)
if (options.audit === true) await audit()
logVitals()
setInterval(logVitals, 1000).unref()
process.on('message', async (message) => {
  if (message === 'health') process.send(cache.health())
  if (message === 'quiesce') {
    state.running = false
    await Promise.all(clients)
    process.send(cache.health())
  }
  if (message === 'end') {
    logVitals()
    await cache.close()
    await source?.close()
    own?.disconnect()
    log('end', now())
    process.disconnect()
  }
})
process.on('disconnect', () => process.exit(0))
process.send('ready')
