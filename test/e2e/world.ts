import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { link, mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { SidecarPorts } from '../../src/sidecar/index.ts'
import { type Ended, runCommand } from '../support/run-command.ts'
import { until } from '../support/until.ts'

export type Mode = 'rpc' | 'in-process' | 'file'

/** A process that a test may stop for a while. */
interface Freezable {
  /** SIGSTOP: the kernel takes its connections, and nobody answers. */
  freeze(): void
  /** SIGCONT. */
  thaw(): void
}

/** An application as a process, asked from outside. */
export interface App extends Freezable {
  readonly mode: Mode
  readonly url: string
  readonly metrics: string
  /** How many of its hundred users go to the new side. */
  onNow(): Promise<number>
  /** How many of a hundred probe users it tells to go there, which follows with a round of questions. */
  onTold(): Promise<number>
  readyz(): Promise<{ readonly status: string; readonly checks: { readonly flags: FlagsCheck } }>
}

interface FlagsCheck {
  readonly ok: boolean
  readonly detail?: string
}

/** A flagd or a sidecar as a process. */
export interface FlagdProcess extends Freezable {
  readonly ports: SidecarPorts
  kill(): Promise<void>
}

export interface World extends AsyncDisposable {
  /** What people edit, and what flagd serves. */
  readonly file: string
  readonly flagd: FlagdProcess
  readonly apps: readonly App[]
  /** The options by which a command finds flagd and the processes. */
  readonly named: readonly string[]
  /** A new file renamed over the old one, as editors save. */
  save(text: string): Promise<void>
  text(): Promise<string>
  run(...argv: string[]): Promise<Ended>
  /**
   * A further flagd, and an application that asks it, which never hear of what is saved from now on: it
   * serves the file of this moment, as one whose single file is mounted.
   */
  withDeadWatch(): Promise<AsyncDisposable & { readonly app: App; run: World['run'] }>
}

export function flagsAt(on: number, more = ''): string {
  return `{
  "flags": {
    "use-redis": {
      "state": "ENABLED",
      "variants": { "on": true, "off": false },
      "defaultVariant": "off",
      "targeting": { "fractional": [["on", ${on}], ["off", ${100 - on}]] }
    }${more}
  }
}
`
}

/** Three applications, one of each mode, over one flags file and one flagd. */
export async function startWorld(on: number): Promise<World> {
  const directory = await mkdtemp(join(tmpdir(), 'switchback-e2e-'))
  const file = join(directory, 'flags', 'use-redis.json')
  await mkdir(join(directory, 'flags'))
  await writeFile(file, flagsAt(on))
  // YAML knows all that JSON is, and refuses a key that stands twice, which flagd's JSON takes.
  const asYaml = join(directory, 'flags', 'use-redis.yaml')
  await symlink('use-redis.json', asYaml)
  const children: ChildProcess[] = []
  const flagd = await startFlagdProcess(file, directory, children)
  const { evaluation, sync, ofrep } = flagd.ports
  const environments: Record<Mode, Record<string, string>> = {
    rpc: { FLAGD_HOST: '127.0.0.1', FLAGD_PORT: String(evaluation) },
    'in-process': {
      FLAGD_RESOLVER: 'in-process',
      FLAGD_HOST: '127.0.0.1',
      FLAGD_SYNC_PORT: String(sync),
    },
    file: { FLAGD_OFFLINE_FLAG_SOURCE_PATH: asYaml },
  }
  const apps = await Promise.all(
    Object.entries(environments).map(([mode, env]) =>
      startApp(mode as Mode, join(directory, mode), env, children),
    ),
  )
  const save = async (text: string): Promise<void> => {
    await writeFile(`${file}.new`, text)
    await rename(`${file}.new`, file)
  }
  const namedOf = (flagdPort: number, those: readonly App[]): string[] => [
    '--flagd',
    `http://127.0.0.1:${flagdPort}`,
    ...those.flatMap(({ metrics }) => ['--metrics', metrics]),
  ]
  const named = namedOf(ofrep, apps)
  const runWith =
    (options: readonly string[]): World['run'] =>
    (...argv) =>
      runCommand([...argv, '--file', file, ...options], { cwd: directory })
  return {
    file,
    flagd,
    apps,
    named,
    save,
    text: () => readFile(file, 'utf8'),
    run: runWith(named),
    async withDeadWatch() {
      const mounted = join(directory, 'mounted.json')
      await link(file, mounted)
      const more: ChildProcess[] = []
      const dead = await startFlagdProcess(mounted, directory, more)
      children.push(...more)
      const port = String(dead.ports.evaluation)
      const env = { FLAGD_HOST: '127.0.0.1', FLAGD_PORT: port }
      const app = await startApp('rpc', join(directory, 'dead watch'), env, more)
      children.push(...more.slice(1))
      return {
        app,
        run: runWith(namedOf(dead.ports.ofrep, [app, ...apps])),
        async [Symbol.asyncDispose]() {
          await Promise.all(more.map(end))
        },
      }
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(children.map(end))
      await rm(directory, { recursive: true, force: true })
    },
  }
}

/** Waits until each application sends so many of its users to the new side, and tells it. */
export function allAt(world: World, on: number): Promise<void> {
  return until(`${on} users of each application are on the new side`, async () => {
    const counts = await Promise.all(world.apps.flatMap((app) => [app.onNow(), app.onTold()]))
    return counts.every((count) => (on === 0 || on === 100 ? count === on : count > 0))
  })
}

async function startApp(
  mode: Mode,
  directory: string,
  env: Record<string, string>,
  children: ChildProcess[],
): Promise<App> {
  const child = spawn(process.execPath, ['test/e2e/app.mjs', directory], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { PATH: process.env['PATH'], ...env },
  })
  children.push(child)
  const [port] = (await once(createInterface(child.stdout), 'line')) as [string]
  const url = `http://127.0.0.1:${port}`
  const get = async (path: string): Promise<unknown> => (await fetch(`${url}${path}`)).json()
  return {
    mode,
    url,
    metrics: `${url}/metrics`,
    async onNow() {
      const sides = (await get('/sides')) as readonly string[]
      return sides.filter((side) => side === 'on').length
    },
    async onTold() {
      const metrics = await (await fetch(`${url}/metrics`)).text()
      return Number(/^switchback_live_split_on\{.*\} (\d+)$/m.exec(metrics)?.[1])
    },
    readyz: async () => (await get('/readyz')) as Awaited<ReturnType<App['readyz']>>,
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
  }
}

async function startFlagdProcess(
  file: string,
  home: string,
  children: ChildProcess[],
): Promise<FlagdProcess> {
  const [evaluation = 0, management = 0, sync = 0, ofrep = 0] = await freePorts(4)
  const binary = process.env['FLAGD_BIN']
  const sources = JSON.stringify([{ uri: file, provider: 'file' }])
  const ports = { evaluation, management, sync, ofrep }
  const [program, ...args] = binary
    ? [
        binary,
        'start',
        '--sources',
        sources,
        '-p',
        evaluation,
        '-m',
        management,
        '-g',
        sync,
        '-r',
        ofrep,
      ]
    : [
        process.execPath,
        'dist/cli/bin.js',
        'sidecar',
        '--file',
        file,
        ...Object.entries(ports).flatMap(([name, port]) => [`--${name}-port`, port]),
      ]
  const child = spawn(String(program), args.map(String), {
    stdio: 'ignore',
    env: { PATH: process.env['PATH'], HOME: home, OTEL_TRACES_EXPORTER: 'none' },
  })
  children.push(child)
  await until('flagd is ready', async () => {
    const answer = await fetch(`http://127.0.0.1:${management}/readyz`).catch(() => undefined)
    return answer?.ok === true
  })
  return {
    ports,
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
    kill: () => end(child),
  }
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => once(server.close(), 'close')))
  return ports
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = once(child, 'exit')
  child.kill('SIGKILL')
  await exit
}
