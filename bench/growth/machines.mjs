/** What 1, 10, 50 and 100 machines cost one Redis: at rest, and for each write of one of them. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { median } from '../measure.mjs'
import { withRedis } from '../with-redis.mjs'
import { between, look } from './redis-info.mjs'
import { number, paced } from './sides.mjs'

const MACHINES = [1, 10, 50, 100]
/** In each process: a Redis sees connections, and not who has them. */
const TOGETHER = 25
const MS = 2000
const PER_SECOND = 200
const RATES = [200, 500, 1000, 2000]
const TEXT = 'x'.repeat(990)

export async function machines({ rounds }) {
  return withRedis(undefined, async (url) => {
    const redis = new Redis(url)
    const fleet = new Fleet([url])
    const samples = []
    let bend
    try {
      for (const n of MACHINES) {
        await fleet.grow(n)
        const measured = await inRounds(redis, fleet, rounds)
        const { clientBytes, clients, trackedKeys } = await look(redis)
        samples.push({ n, measured, clientBytes, clients, trackedKeys })
      }
      bend = []
      for (const rate of RATES) bend.push({ rate, ...(await atWork(redis, fleet, rate)) })
    } finally {
      fleet.end()
      redis.disconnect()
    }
    return [grown(samples), bent(bend, MACHINES.at(-1))]
  })
}

async function inRounds(redis, fleet, rounds) {
  const measured = []
  for (let round = 0; round < Math.min(rounds, 3); round += 1) {
    measured.push(await atWork(redis, fleet, PER_SECOND))
  }
  return measured
}

/** The same for processes between two Redis, each of which asks both five times a second. */
export async function pairs({ rounds }) {
  return withRedis(undefined, (a) =>
    withRedis(undefined, async (b) => {
      const redis = new Redis(b)
      const fleet = new Fleet([b, a])
      const rows = []
      try {
        for (const n of MACHINES) {
          await fleet.grow(n)
          const measured = await inRounds(redis, fleet, rounds)
          const of = (value) => median(measured.map(value))
          rows.push([
            n,
            number(of((one) => one.idle.commands / one.idle.seconds)),
            percent(of((one) => one.idle.cpuUs / one.idle.seconds / 1e6)),
            percent(of((one) => one.busy.cpuUs / one.busy.seconds / 1e6)),
            `${of((one) => one.busy.cpuUs / one.busy.seconds / (one.bare.cpuUs / one.bare.seconds)).toFixed(2)} x`,
            number(of((one) => one.writeBytes)),
            percent(of((one) => one.clientRest)),
          ])
        }
      } finally {
        fleet.end()
        redis.disconnect()
      }
      return {
        title: 'Processes between two Redis: what the new one does; its own CPU (INFO)',
        headings: [
          'processes',
          'commands/s at rest',
          'of a core at rest',
          `with ${PER_SECOND} sets a second`,
          'beside as many bare SETs',
          'bytes out a set',
          'all processes: of a core at rest',
        ],
        rows,
      }
    }),
  )
}

/** At rest, then while one machine writes, then while a bare client does: all in Redis' own figures. */
async function atWork(redis, fleet, rate) {
  const [before, began] = [await fleet.cpuUs(), await look(redis)]
  await delay(MS)
  const [rested, rest] = [await fleet.cpuUs(), await look(redis)]
  const writes = await fleet.write(rate, MS)
  const [wrote, written] = [await fleet.cpuUs(), await look(redis)]
  const set = (i) => redis.set(`bare:${i % 1000}`, TEXT, 'PX', 60_000)
  await paced(set, rate, MS)
  const bare = between(written, await look(redis))
  const idle = between(began, rest)
  const busy = between(rest, written)
  return {
    idle,
    busy,
    bare,
    perSecond: writes / busy.seconds,
    // What it sends at rest it sends then too.
    writeBytes: (busy.sentBytes - (idle.sentBytes / idle.seconds) * busy.seconds) / writes,
    clientRest: (rested - before) / idle.seconds / 1e6,
    clientCores: (wrote - rested) / busy.seconds / 1e6,
  }
}

function grown(samples) {
  const rows = samples.map(({ n, measured, clientBytes, clients }) => {
    const of = (value) => median(measured.map(value))
    const [rest, busy] = ['idle', 'busy'].map((name) =>
      of((one) => one[name].cpuUs / one[name].seconds / 1e6),
    )
    return [
      n,
      number(of((one) => one.idle.commands / one.idle.seconds)),
      percent(rest),
      percent(busy),
      `${of((one) => one.busy.cpuUs / one.busy.seconds / (one.bare.cpuUs / one.bare.seconds)).toFixed(2)} x`,
      number(of((one) => one.writeBytes)),
      percent(of((one) => one.clientRest)),
      percent(of((one) => one.clientCores)),
      `${(clientBytes / clients / 1024).toFixed(1)} KiB`,
    ]
  })
  return {
    title: `Machines with old sides of their own on one Redis; ${PER_SECOND} sets of 1 KiB a second by one of them; Redis' own CPU and bytes (INFO)`,
    headings: [
      'machines',
      'commands/s at rest',
      'of a core at rest',
      'with the sets',
      'beside as many bare SETs',
      'bytes out a set',
      'all machines: of a core at rest',
      'with the sets',
      'Redis: memory a connection',
    ],
    rows,
  }
}

function bent(bend, n) {
  return {
    title: `${n} machines, more writes a second: until it bends`,
    headings: [
      'sets/s wanted',
      'sets/s done',
      'pushes/s',
      'Redis: of a core',
      'CPU us a push, all else in it',
      'MB/s out',
      'all machines: of a core',
    ],
    rows: bend.map(({ rate, perSecond, busy, clientCores }) => [
      number(rate),
      number(perSecond),
      number(perSecond * (n - 1)),
      percent(busy.cpuUs / busy.seconds / 1e6),
      us(busy.cpuUs / busy.seconds / (perSecond * (n - 1))),
      (busy.sentBytes / busy.seconds / 1e6).toFixed(1),
      percent(clientCores),
    ]),
  }
}

const us = (value) => value.toFixed(value < 10 ? 1 : 0)
const percent = (share) => `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`

/** Processes with machines in them. */
class Fleet {
  #urls
  #workers = []
  #count = 0

  constructor(urls) {
    this.#urls = urls
  }

  async grow(count) {
    while (this.#count < count) {
      if (this.#count % TOGETHER === 0 || this.#count === 1) {
        const worker = fork(join(import.meta.dirname, 'machines-worker.mjs'), this.#urls)
        await once(worker, 'message')
        this.#workers.push(worker)
      }
      const room = this.#count === 0 ? 1 : TOGETHER - (this.#count % TOGETHER)
      const added = Math.min(room, count - this.#count)
      await ask(this.#workers.at(-1), { what: 'add', count: added })
      this.#count += added
    }
  }

  write(perSecond, ms) {
    return ask(this.#workers[0], { what: 'write', perSecond, ms })
  }

  async cpuUs() {
    const all = await Promise.all(this.#workers.map((worker) => ask(worker, { what: 'cpu' })))
    return all.reduce((sum, { user, system }) => sum + user + system, 0)
  }

  end() {
    for (const worker of this.#workers) worker.kill('SIGKILL')
  }
}

async function ask(worker, question) {
  const answered = once(worker, 'message')
  worker.send(question)
  const [{ result }] = await answered
  return result
}
