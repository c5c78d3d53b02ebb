#!/usr/bin/env node
/**
 * What an outage and a change of the split cost: the naive composition and Switchback, through the same
 * events, on the same Redis and the same flagd-compatible sidecar, in turn.
 * Usage: npm run build && node bench/outage/run.mjs [scenario]
 */
import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { table } from '../measure.mjs'
import { answers, freePort } from '../with-redis.mjs'
import { startSidecarProcess } from './sidecar-process.mjs'

const USERS = 5000
const RATE = 500

class App {
  static async open(options) {
    const child = fork(join(import.meta.dirname, 'worker.mjs'), [JSON.stringify(options)], {
      stdio: ['ignore', 'inherit', 'ignore', 'ipc'],
    })
    await once(child, 'message')
    return new App(child)
  }
  constructor(child) {
    this.child = child
  }
  async ask(command, parameters = {}) {
    const answer = once(this.child, 'message')
    this.child.send({ command, ...parameters })
    const [result] = await answer
    return result
  }
  async close() {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    const gone = once(this.child, 'exit')
    this.child.send({ command: 'close' })
    await Promise.race([gone, delay(3000).then(() => this.child.kill('SIGKILL'))])
  }
  async kill() {
    const gone = once(this.child, 'exit')
    this.child.kill('SIGKILL')
    await gone
  }
}

/** Load for 15 s; the fault begins after 3 s and ends after 8 s. */
async function during(app, fault, mend) {
  const load = app.ask('load', { seconds: 15, perSecond: RATE })
  await delay(3000)
  await fault()
  await delay(5000)
  await mend()
  return load
}

const scenarios = {
  'healthy, 50 %': async ({ app }) => app.ask('load', { seconds: 5, perSecond: RATE }),
  'Redis hung 5 s': async ({ app, redis }) => during(app, redis.freeze, redis.thaw),
  'Redis killed 5 s': async ({ app, redis }) => during(app, redis.kill, redis.start),
  'flagd killed 5 s': async ({ app, flagd }) => during(app, flagd.kill, flagd.start),
  'flagd hung 5 s': async ({ app, flagd }) => during(app, flagd.freeze, flagd.thaw),
  'flip 0 -> 100 %': async ({ app, setShare }) => {
    await setShare(0)
    await app.ask('readAll')
    await setShare(100)
    return app.ask('readAll')
  },
  'rollback after 1,000 updates': async ({ app, setShare }) => {
    await setShare(0)
    await app.ask('readAll', { count: 1000 })
    await setShare(100)
    await app.ask('updateAll', { count: 1000, version: 1 })
    await setShare(0)
    return app.ask('readAll', { count: 1000 })
  },
  'rollback after a crash amid updates': async (stage) => {
    const { app, setShare, reopen } = stage
    await setShare(0)
    await app.ask('readAll', { count: 1000 })
    await setShare(100)
    void app.ask('updateAll', { count: 1000, version: 2, slowly: true }).catch(() => {})
    await delay(60)
    await app.kill()
    await setShare(0)
    const again = await reopen()
    return again.ask('readAll', { count: 1000 })
  },
}

async function runScenario(name, kind) {
  const directory = mkdtempSync(join(tmpdir(), 'switchback-outage-'))
  const flags = join(directory, 'flags')
  const flagsFile = join(flags, 'use-redis.json')
  const setSplit = (on) => {
    const document = {
      flags: {
        'use-redis': {
          state: 'ENABLED',
          variants: { on: true, off: false },
          defaultVariant: 'off',
          targeting: {
            fractional: [
              ['on', on],
              ['off', 100 - on],
            ],
          },
        },
      },
    }
    writeFileSync(`${flagsFile}.new`, JSON.stringify(document))
    renameSync(`${flagsFile}.new`, flagsFile)
  }
  mkdirSync(flags)
  // A change of the split starts from files only; an outage meets users on both sides.
  setSplit(/flip|rollback/.test(name) ? 0 : 50)
  const redis = await ownRedis()
  const flagd = await startSidecarProcess(flagsFile)
  const options = {
    kind,
    redisUrl: `redis://127.0.0.1:${redis.port}`,
    directory: join(directory, 'cache'),
    originLog: join(directory, 'origin.log'),
    flagd: { rpcPort: flagd.rpcPort },
    users: USERS,
  }
  let app = await App.open(options)
  try {
    await app.ask('warm')
    return await scenarios[name]({
      app,
      redis,
      flagd,
      setShare: async (on) => {
        setSplit(on)
        // The naive composition asks each time; a remembered decision lives for a moment longer.
        await delay(1500)
      },
      reopen: async () => (app = await App.open(options)),
    })
  } finally {
    await app.close()
    await flagd.close()
    await redis.close()
    rmSync(directory, { recursive: true, force: true })
  }
}

async function ownRedis() {
  const port = await freePort()
  let server
  const start = async () => {
    server = spawn('redis-server', ['--port', String(port), '--save', '', '--bind', '127.0.0.1'], {
      stdio: 'ignore',
    })
    await answers(port)
  }
  await start()
  return {
    port,
    start,
    kill: async () => {
      const gone = once(server, 'exit')
      server.kill('SIGKILL')
      await gone
    },
    freeze: () => server.kill('SIGSTOP'),
    thaw: () => server.kill('SIGCONT'),
    close: async () => {
      server.kill('SIGKILL')
    },
  }
}

const ms = (value) =>
  value === undefined
    ? ''
    : value >= 1000
      ? `${(value / 1000).toFixed(1)} s`
      : `${value.toFixed(1)} ms`
const rows = []
const wanted = process.argv[2] ?? ''
for (const name of Object.keys(scenarios).filter((one) => one.includes(wanted))) {
  for (const kind of ['naive', 'switchback']) {
    const r = await runScenario(name, kind)
    console.error(name, kind, JSON.stringify(r))
    rows.push([
      name,
      kind,
      r.failed,
      r.slow ?? '',
      ms(r.p50),
      ms(r.p99),
      ms(r.max),
      r.mostPending ?? '',
      r.rssMiB === undefined ? '' : `${r.rssMiB.toFixed(0)} MiB`,
      r.loads,
      r.stale === undefined ? '' : `${r.stale} of ${r.count}`,
    ])
  }
}
console.log(
  table(
    [
      'event',
      'composition',
      'failed',
      '> 1 s',
      'p50',
      'p99',
      'max',
      'pending',
      'RSS +',
      'origin loads',
      'stale',
    ],
    rows,
  ),
)
