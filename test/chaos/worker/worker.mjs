/**
 * One application process under chaos: reads, loads, writes and deletes shared keys for users of both
 * sides, and holds every answer to the truth outside. It may be killed at any moment.
 */
import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { join } from 'node:path'
import { CheckedCache } from './checked-cache.mjs'
import { Client, generator } from './client.mjs'
import { cacheMaker, redisClient } from './connect.mjs'
import { Notes, Stopwatch } from './note.mjs'
import { Counters, Truth } from './truth.mjs'

const options = JSON.parse(process.argv[2])
const { keys, seed, id, life, connection } = options
const lib = await import(pathToFileURL(join(options.package, 'dist', 'index.js')).href)
const notes = new Notes(options)
const truth = new Truth(options)
const counters = new Counters(options)
const stopwatch = new Stopwatch(options, notes)
const cache = new CheckedCache({ options, truth, counters, notes, stopwatch })
const random = generator(`${seed}/${id}/${life}`)
const oneLine = (text) => String(text).replaceAll(/\s+/gu, ' ')

const own = connection.kind === 'standalone' ? undefined : redisClient(connection)
const source =
  options.flags === 'random'
    ? undefined
    : await lib.flagsFromEnvironment(options.flags, {
        onEvent: ({ message }) => notes.log('warning', '', oneLine(message)),
      })
/** How often the cache said that only this process, or this machine, knows what is pending. */
let untold = 0
/** Of how far a write may reach, what only this process (and no other machine) knows. */
options.aloneAt =
  options.old !== undefined ? ['process'] : options.machines && ['machine', 'process']
const make = cacheMaker(lib, options, {
  notes,
  source,
  own,
  random,
  onUntold: () => {
    untold += 1
  },
})

/** One switch, or two of different names on one directory. */
const slots = []
for (const name of options.names) slots.push({ name, cache: make(name) })

/** How many users are on the new side just now, as this process has it. */
let share = 0.5
const STAGES = [0, 0.02, 0.5, 0.5, 0.98, 1]
const nextStage = () => {
  share = STAGES[Math.floor(random() * STAGES.length)]
  setTimeout(nextStage, 200 + random() * 3000).unref()
}
nextStage()

function view(name, random) {
  const slot = slots.find((one) => one.name === name)
  const user =
    source === undefined
      ? random() < share
        ? 'on'
        : 'off'
      : `user_${Math.floor(random() * options.users)}`
  const { cache } = slot
  return {
    name: slot.name,
    for: (hooks) => cache.for({ targetingKey: user }, hooks),
    current: () => slot.cache === cache,
    untold: () => untold,
  }
}

/** A deploy within one process: another switch takes the place of the first, which is closed. */
async function recycle() {
  const slot = slots[Math.floor(random() * slots.length)]
  const old = slot.cache
  slot.cache = make(slot.name)
  truth.forget()
  slot.closing = old
  if (random() < 0.5) await delay(random() * 200)
  await old.close()
  const outcome = await old
    .for({ targetingKey: 'off' })
    .set('after close', 1)
    .then(
      () => 'resolved',
      (error) => error.code,
    )
  if (outcome !== 'SB_CLOSED') notes.find('afterClose', { name: outcome })
}

const state = { running: true }

async function run(number) {
  const draw = generator(`${seed}/${id}/${life}/${number}`)
  const client = new Client({ cache, view, options, random: draw })
  while (state.running) {
    try {
      await client.operate()
    } catch (error) {
      // Orderly: the operation was begun on a switch that was closed meanwhile.
      if (error.code === 'SB_CLOSED' && options.recycleMs > 0) continue
      notes.find(refused(error) ? 'refused' : 'failed', {
        name: error.code ?? error.name,
        detail: oneLine(error.message),
      })
      await delay(100)
    }
  }
}

/** The settings of the processes do not go together, and the package says so instead of guessing. */
function refused({ code }) {
  return options.refusals.includes(code)
}

/** What a fresh process is told about every key, by users of both sides. */
async function audit() {
  for (const key of keys) {
    for (const side of ['on', 'off']) {
      const fresh = cache.fresh(slots[0].name, key)
      await nextTurn()
      const one = slots[0]
      const seen = {
        name: one.name,
        for: (hooks) => one.cache.for({ targetingKey: side }, hooks),
        current: () => true,
      }
      await cache.get(seen, key, fresh)
    }
  }
}

/** Whether values that were stored can be read again, now that all is well. Misses of 20, by side. */
async function warmth() {
  const misses = {}
  for (const side of ['off', 'on']) {
    const user = slots[0].cache.for({ targetingKey: side })
    misses[side] = 0
    for (let i = 0; i < 20; i += 1) {
      const key = `warmth of ${id} ${side} ${i}`
      await user.set(key, i, { ttl: '1m' })
      if ((await user.get(key)) !== i) misses[side] += 1
    }
  }
  return { misses, health: slots[0].cache.health() }
}

let settled
function vitals() {
  if (truth.alone && (options.machines === undefined || !state.running)) {
    const { off, on } = slots[0].cache.health()
    if (off.owed + on.owed === 0 && off.ok && on.ok) truth.told()
  }
  const { rss } = process.memoryUsage()
  if (process.uptime() > 5) settled ??= rss
  if (settled !== undefined) counters.atLeast('grownBytes', rss - settled)
  counters.flush()
}

/** Once a second, for the tables of a soak. */
function logVitals() {
  const took = cache.took.toSorted((a, b) => a - b)
  cache.took = []
  const quantile = (q) => (took[Math.floor(q * (took.length - 1))] ?? 0).toFixed(3)
  const { user, system } = process.cpuUsage()
  const open = process.getActiveResourcesInfo().length
  const measured = [quantile(0.5), quantile(0.99), quantile(1), process.memoryUsage().rss, open]
  notes.log('vitals', '', user + system, took.length, ...measured)
}

const clients =
  options.audit === true ? [] : Array.from({ length: options.clients }, (_, i) => run(i))
if (options.audit === true) await audit()
setInterval(vitals, 50).unref()
setInterval(logVitals, 1000).unref()
const recycling =
  options.recycleMs > 0
    ? (async () => {
        while (state.running) {
          await delay(random() * 2 * options.recycleMs)
          await recycle()
        }
      })()
    : undefined

const answers = {
  health: () => slots[0].cache.health(),
  warmth,
  quiesce: async () => {
    state.running = false
    await Promise.all([...clients, recycling])
    return slots[0].cache.health()
  },
  end: async () => {
    for (const { cache } of slots) await cache.close()
    await source?.close()
    own?.disconnect()
    vitals()
    notes.log('end', '')
    setImmediate(() => process.disconnect())
    return 'ended'
  },
}
process.on('message', async ({ number, question }) => {
  const answer = await Promise.resolve()
    .then(() => answers[question]())
    .catch((error) => ({ failed: oneLine(error.stack) }))
  process.send({ number, answer })
})
process.on('disconnect', () => process.exit(0))
process.send({ number: 0, answer: 'ready' })
