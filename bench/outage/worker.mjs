/** One application process. Obeys its parent: warm, load, update, read everything, report. */
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { openNaive } from './naive.mjs'
import { openSwitchback } from './switchback.mjs'

const options = JSON.parse(process.argv[2])
const { kind, originLog, users } = options
const cache = await (kind === 'naive' ? openNaive : openSwitchback)(options)

/** The origin outlives the process: what was written, and what of it the cache acknowledged. */
const origin = new Map()
const acknowledged = new Map()
if (existsSync(originLog)) {
  for (const line of readFileSync(originLog, 'utf8').split('\n')) {
    const [what, user, version] = line.split(' ')
    if (what === 'write') origin.set(user, Number(version))
    if (what === 'ack') acknowledged.set(user, Number(version))
  }
}
let loads = 0
const load = (user) => async () => {
  loads += 1
  const version = origin.get(user) ?? 0
  await delay(5)
  return { user, version, text: 'x'.repeat(200) }
}
const name = (i) => `user_${i}`
const read = (user) => cache.getOrSet(user, `user:${user}`, load(user))
const update = async (user, version) => {
  origin.set(user, version)
  appendFileSync(originLog, `write ${user} ${version}\n`)
  await cache.set(user, `user:${user}`, { user, version, text: 'x'.repeat(200) })
  acknowledged.set(user, version)
  appendFileSync(originLog, `ack ${user} ${version}\n`)
}

async function each(count, inFlight, run) {
  let next = 0
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      while (next < count) await run(name(next++))
    }),
  )
}

const commands = {
  async warm() {
    await each(users, 64, read)
    return {}
  },
  async readAll({ count = users }) {
    const before = loads
    let stale = 0
    let failed = 0
    await each(count, 64, async (user) => {
      try {
        const value = await read(user)
        if (value.version < (acknowledged.get(user) ?? 0)) stale += 1
      } catch {
        failed += 1
      }
    })
    return { loads: loads - before, stale, failed, count }
  },
  async updateAll({ count, version, slowly }) {
    if (!slowly) await each(count, 64, (user) => update(user, version))
    else {
      for (let i = 0; i < count; i += 1) {
        await update(name(i), version)
        if (i % 100 === 99) await delay(1)
      }
    }
    return {}
  },
  /** Open loop: a fixed number of operations a second, whatever they take, 90 % reads. */
  async load({ seconds, perSecond }) {
    const latencies = []
    let failed = 0
    let pending = 0
    let mostPending = 0
    const before = loads
    const rssBefore = process.memoryUsage().rss
    const start = performance.now()
    const total = seconds * perSecond
    const done = []
    for (let i = 0; i < total; i += 1) {
      const due = start + (i * 1000) / perSecond
      if (performance.now() < due) await delay(Math.max(0, due - performance.now()))
      const user = name((i * 7919) % users)
      const began = performance.now()
      pending += 1
      mostPending = Math.max(mostPending, pending)
      const operation =
        i % 10 === 0
          ? cache.set(user, `user:${user}`, {
              user,
              version: origin.get(user) ?? 0,
              text: 'x'.repeat(200),
            })
          : read(user)
      done.push(
        operation
          .catch(() => (failed += 1))
          .finally(() => {
            pending -= 1
            latencies.push(performance.now() - began)
          }),
      )
    }
    const pendingAtEnd = pending
    await Promise.race([Promise.all(done), delay(60_000)])
    latencies.sort((a, b) => a - b)
    const at = (share) =>
      latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))]
    return {
      operations: total,
      failed,
      slow: latencies.filter((ms) => ms > 1000).length + pending,
      p50: at(0.5),
      p99: at(0.99),
      max: pending > 0 ? Infinity : at(1),
      mostPending,
      pendingAtEnd,
      loads: loads - before,
      rssMiB: (process.memoryUsage().rss - rssBefore) / 2 ** 20,
    }
  },
}

process.on('message', async ({ command, ...parameters }) => {
  if (command === 'close') {
    await Promise.race([cache.close(), delay(1000)])
    process.exit(0)
  }
  process.send(await commands[command](parameters))
})
process.on('disconnect', () => process.exit(0))
process.send('ready')
