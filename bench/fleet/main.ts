/**
 * How long until the last process of a fleet decides a rollback: 20 apps behind 5 flagds, each in a network
 * namespace of its own; and how soon frozen ones are named. The rollback is `switchback rollback`, as it is typed.
 * Usage: npm run bench:fleet -- [--rounds 100] [--flagd PATH] [--watch] [--traffic 50]
 *   --flagd   real flagds, which stream from a sidecar beside the flags file; without, 5 sidecars watch the file
 *   --watch   real flagds watch the file themselves, with flagd's fsnotify
 *   --traffic operations per second in each app
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { probeUsers } from '../../src/flagfile/index.ts'
import { type Host, Nets } from '../../test/chaos/nets.ts'

const APPS = 20
const FLAGDS = 5
const WARM_UP = 3
const COMMAND = 'dist/cli/bin.js'

const text = { type: 'string' } as const
const flag = { type: 'boolean', default: false } as const
const { values } = parseArgs({
  options: { rounds: text, flagd: text, traffic: text, watch: flag },
})
const rounds = Number(values.rounds ?? 100)

const directory = mkdtempSync(join(tmpdir(), 'switchback-fleet-'))
const file = join(directory, 'use-redis.json')
writeFileSync(
  file,
  `{ "flags": { "use-redis": { "state": "ENABLED", "variants": { "on": true, "off": false },
  "defaultVariant": "off", "targeting": { "fractional": [["on", 0], ["off", 100]] } } } }\n`,
)
const children = new Set<ChildProcess>()

interface App {
  readonly child: ChildProcess
  readonly address: string
  /** When it last decided for its user, and how. */
  decided: { readonly side: string; readonly at: number }
}

/** One rollback, in ms from the write of the file. */
interface Times {
  /** From the start of the command to the write. */
  readonly command: number
  /** The first and the last app that decides it. */
  readonly first: number
  readonly last: number
  /** What the command says of the last process. */
  readonly confirmed: number
  /** What flagds and apps computed, in ms of all cores, and how long they waited for a core in all. */
  readonly computed: number
  readonly waited: number
}

function launch(host: Host, args: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
  const [program = '', ...rest] = [...host.enter, ...args]
  const child = spawn(program, rest, {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: { ...process.env, OTEL_TRACES_EXPORTER: 'none', ...env },
  })
  children.add(child)
  child.once('exit', () => children.delete(child))
  return child
}

/** Resolves once it prints a line that has this; what it prints later is given to `heard`. */
function ready(child: ChildProcess, has: string, heard?: (line: string) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`${child.spawnargs.join(' ')} ended: ${code}`)))
    createInterface(child.stdout!).on('line', (line) => {
      if (line.includes(has)) resolve()
      else heard?.(line)
    })
  })
}

async function startSidecar(host: Host): Promise<void> {
  const args = ['sidecar', '--json', '--file', file, '--host', '0.0.0.0']
  await ready(launch(host, [process.execPath, COMMAND, ...args]), '"ready":true')
}

async function startFlagd(program: string, host: Host, source: object): Promise<void> {
  const sources = JSON.stringify([source])
  const child = launch(host, [program, 'start', '--sources', sources, '--log-format', 'json'])
  child.stdout!.resume()
  // It answers when it has its flags.
  for (;;) {
    const probe = launch(host, ['bash', '-c', 'exec 3<>/dev/tcp/127.0.0.1/8015'])
    const [code] = (await once(probe, 'exit')) as [number]
    if (code === 0) return
    if (child.exitCode !== null) throw new Error('flagd has ended')
    await delay(50)
  }
}

async function startApp(host: Host, flagd: Host): Promise<App> {
  const child = launch(host, [process.execPath, 'bench/fleet/app.mjs', user], {
    FLAGD_HOST: flagd.address,
    FLAGD_PORT: '8015',
    FLAGD_RESOLVER: 'in-process',
    FLAGD_DEADLINE_MS: '30000',
    FLEET_TRAFFIC: values.traffic ?? '0',
  })
  const app: App = { child, address: host.address, decided: { side: 'off', at: 0 } }
  await ready(child, 'ready', (line) => {
    app.decided = JSON.parse(line) as App['decided']
  })
  return app
}

const now = (): number => performance.timeOrigin + performance.now()

/** Milliseconds that these have computed, and that they waited for a core, by the kernel's own count. */
function work(processes: readonly ChildProcess[]): { computed: number; waited: number } {
  let computed = 0
  let waited = 0
  for (const { pid } of processes) {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      const [ran, queued] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')
      computed += Number(ran) / 1e6
      waited += Number(queued) / 1e6
    }
  }
  return { computed, waited }
}

interface Answer {
  readonly begun: number
  readonly processes: {
    readonly known: number
    readonly deciding: number
    readonly lastMs?: number
    readonly lagging: readonly { readonly process: string; readonly cause: string }[]
  }
}

async function command(host: Host, apps: readonly App[], ...args: string[]): Promise<Answer> {
  const metrics = apps.flatMap(({ address }) => ['--metrics', `http://${address}:3002/metrics`])
  const given = ['--json', '--file', file, '--no-flagd', ...metrics]
  const begun = now()
  const child = launch(host, [process.execPath, COMMAND, ...args, ...given])
  const said: string[] = []
  child.stdout!.on('data', (piece: Buffer) => said.push(piece.toString()))
  await once(child, 'close')
  return { begun, ...(JSON.parse(said.join('')) as Pick<Answer, 'processes'>) }
}

/** All have decided: their lines may come after the command's. */
async function settled(apps: readonly App[], side: string): Promise<void> {
  while (apps.some(({ decided }) => decided.side !== side)) await delay(5)
}

/** One whom a share of 50 % moves: a real split has every second probe user. */
const user = probeUsers('use-redis')[0] as string

const nets = await Nets.make()
if (nets === undefined) throw new Error('network namespaces cannot be made here: root, ip, unshare')
try {
  const control = await nets.host()
  const source = { uri: `${control.address}:8015`, provider: 'grpc' }
  const watched = { uri: file, provider: 'fsnotify' }
  if (values.flagd !== undefined && !values.watch) await startSidecar(control)
  const flagds = await Promise.all(Array.from({ length: FLAGDS }, () => nets.host()))
  await Promise.all(
    flagds.map((host) =>
      values.flagd === undefined
        ? startSidecar(host)
        : startFlagd(values.flagd, host, values.watch ? watched : source),
    ),
  )
  const fleet = [...children]
  const apps: App[] = []
  for (let i = 0; i < APPS; i++) {
    apps.push(await startApp(await nets.host(), flagds[i % FLAGDS] as Host))
  }
  const programs = [...fleet, ...apps.map(({ child }) => child)].filter(
    ({ exitCode }) => exitCode === null,
  )
  const times: Times[] = []
  for (let round = 0; round < rounds + WARM_UP; round++) {
    await command(control, apps, 'set', '50', '--yes')
    await settled(apps, 'on')
    // What a change leaves to do is done.
    await delay(300)
    const before = work(programs)
    const { begun, processes } = await command(control, apps, 'rollback')
    await settled(apps, 'off')
    const after = work(programs)
    const written = Number(statSync(file, { bigint: true }).ctimeNs) / 1e6
    const decided = apps.map((app) => app.decided.at - written)
    if (round < WARM_UP) continue
    times.push({
      command: written - begun,
      first: Math.min(...decided),
      last: Math.max(...decided),
      // Of one that did not answer in time the command waits no longer; the apps tell when they had it.
      confirmed: processes.lastMs ?? Number.POSITIVE_INFINITY,
      computed: after.computed - before.computed,
      waited: after.waited - before.waited,
    })
  }
  const kind =
    values.flagd === undefined
      ? 'sidecars that watch the file'
      : values.watch
        ? 'flagds that watch the file'
        : 'flagds that a sidecar pushes to'
  console.log(`${rounds} rollbacks, ${APPS} apps, ${FLAGDS} ${kind}; all in ms`)
  console.log('| | median | p90 | p99 | most |\n| --- | --- | --- | --- | --- |')
  const row = (name: string, of: (one: Times) => number): void => {
    const sorted = times.map(of).toSorted((a, b) => a - b)
    const at = (share: number): string =>
      (sorted[Math.ceil(share * sorted.length) - 1] ?? Number.NaN).toFixed(0)
    console.log(`| ${name} | ${at(0.5)} | ${at(0.9)} | ${at(0.99)} | ${at(1)} |`)
  }
  row('command started to file written', (one) => one.command)
  row('written to first app decides', (one) => one.first)
  row('written to last app decides', (one) => one.last)
  row('written to confirmed by all', (one) => one.confirmed)
  row('command started to confirmed', (one) => one.command + one.confirmed)
  row('flagds and apps computed', (one) => one.computed)
  row('flagds and apps waited for a core', (one) => one.waited)

  await command(control, apps, 'set', '50', '--yes')
  await settled(apps, 'on')
  for (const { child } of apps.slice(0, 2)) process.kill(child.pid!, 'SIGSTOP')
  const { begun, processes } = await command(control, apps, 'rollback')
  const named = processes.lagging.map((one) => `${one.process} ${one.cause}`)
  console.log(
    `two frozen: ${processes.deciding} of ${processes.known}, ${(now() - begun).toFixed(0)} ms after the start of the command: ${named.join('; ')}`,
  )
} finally {
  for (const child of children) child.kill('SIGKILL')
  nets.close()
  rmSync(directory, { recursive: true, force: true })
}
