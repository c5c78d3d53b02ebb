import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { startSidecar } from '../../src/sidecar/index.ts'
import type { SidecarPorts } from '../../src/sidecar/index.ts'
import { HUNG_MS, pause } from './until.ts'

/** Something that serves flags over flagd's protocols: the sidecar, or a real flagd. */
export interface FlagServer extends AsyncDisposable {
  readonly host: string
  readonly ports: SidecarPorts
}

/** A server that the tests start on a file of their own. */
export interface ServerKind {
  readonly name: 'sidecar' | 'flagd'
  /** Milliseconds after which an edit that is *not* to be served has surely been looked at. */
  readonly settled: number
  start(file: string): Promise<FlagServer>
}

const sidecar: ServerKind = {
  name: 'sidecar',
  settled: 250,
  async start(file) {
    const running = await startSidecar({ file, ports: FREE })
    return {
      host: '127.0.0.1',
      ports: running.ports,
      [Symbol.asyncDispose]: () => running.close(),
    }
  },
}

export const FREE: SidecarPorts = { evaluation: 0, management: 0, sync: 0, ofrep: 0 }

const flagd = (binary: string): ServerKind => ({
  name: 'flagd',
  // It looks at the file once a second.
  settled: 2_500,
  start: (file) => startFlagd(binary, file),
})

/** The sidecar, and the real flagd when `FLAGD_BIN` names its binary. */
export function serverKinds(): readonly ServerKind[] {
  const binary = process.env['FLAGD_BIN']
  if (binary) return [sidecar, flagd(binary)]
  console.warn('FLAGD_BIN is not set: the expectations run against the sidecar only, no real flagd')
  return [sidecar]
}

/** A flagd that runs already and serves test/flagd/flags.json, when `FLAGD_HOST` names it. */
export function remoteServer(): FlagServer | undefined {
  const { FLAGD_HOST: host, FLAGD_PORT, FLAGD_SYNC_PORT, FLAGD_OFREP_PORT } = process.env
  const { FLAGD_MANAGEMENT_PORT } = process.env
  if (!host) return undefined
  return {
    host,
    ports: {
      evaluation: Number(FLAGD_PORT ?? 8013),
      management: Number(FLAGD_MANAGEMENT_PORT ?? 8014),
      sync: Number(FLAGD_SYNC_PORT ?? 8015),
      ofrep: Number(FLAGD_OFREP_PORT ?? 8016),
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}

/** @throws when it exits, or does not become ready */
async function startFlagd(binary: string, file: string): Promise<FlagServer> {
  const [evaluation, management, sync, ofrep] = (await freePorts(4)) as [
    number,
    number,
    number,
    number,
  ]
  const sources = JSON.stringify([{ uri: file, provider: 'file' }])
  const args = [
    'start',
    '--sources',
    sources,
    '--port',
    evaluation,
    '--management-port',
    management,
  ]
  args.push('--sync-port', sync, '--ofrep-port', ofrep)
  const home = mkdtempSync(join(tmpdir(), 'flagd-home-'))
  const child = spawn(binary, args.map(String), {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], HOME: home, OTEL_TRACES_EXPORTER: 'none' },
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => (output = (output + chunk.toString()).slice(-4_000)))
  }
  const spawned = once(child, 'spawn')
  const stop = async (): Promise<void> => {
    await kill(child)
    rmSync(home, { recursive: true, force: true })
  }
  const onExit = (): void => void child.kill('SIGKILL')
  process.once('exit', onExit)
  child.once('exit', () => process.off('exit', onExit))
  try {
    await spawned
    await until(`flagd is ready\n${output}`, async () => {
      if (child.exitCode !== null) throw new Error(`flagd exited ${child.exitCode}\n${output}`)
      return (await fetch(`http://127.0.0.1:${management}/readyz`)).ok
    })
  } catch (error) {
    await stop()
    throw error
  }
  return {
    host: '127.0.0.1',
    ports: { evaluation, management, sync, ofrep },
    [Symbol.asyncDispose]: stop,
  }
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const exit = once(child, 'exit')
  child.kill('SIGKILL')
  await exit
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer())
  await Promise.all(servers.map((server) => once(server.listen(0, '127.0.0.1'), 'listening')))
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => once(server.close(), 'close')))
  return ports
}

/** Polls until `condition` holds; connection errors count as "not yet". */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
): Promise<void> {
  const begun = performance.now()
  let last: unknown
  for (;;) {
    const looked = performance.now()
    try {
      if (await condition()) return
      last = undefined
    } catch (error) {
      if (error instanceof Error && error.message.startsWith('flagd exited')) throw error
      last = error
    }
    if (performance.now() - begun > HUNG_MS)
      throw new Error(`not within ${HUNG_MS} ms: ${what}`, { cause: last })
    await pause(begun, looked)
  }
}

/** A flags file in a directory of its own. */
export interface FlagsFixture extends Disposable {
  readonly file: string
  readonly directory: string
  /** A new file renamed over the old one, as editors and tools save. */
  save(content: string | object, mtime?: Date): void
  /** Opened, cut and written, as `>` does. */
  overwrite(content: string | object): void
}

export function flagsFixture(content: string | object): FlagsFixture {
  const directory = mkdtempSync(join(tmpdir(), 'switchback-flags-'))
  const file = join(directory, 'flags.json')
  const text = (value: string | object): string =>
    typeof value === 'string' ? value : JSON.stringify(value, null, 2)
  writeFileSync(file, text(content))
  return {
    file,
    directory,
    save(next, mtime) {
      const temporary = join(dirname(file), '.flags.json.tmp')
      writeFileSync(temporary, text(next))
      if (mtime) utimesSync(temporary, mtime, mtime)
      renameSync(temporary, file)
    },
    overwrite: (next) => writeFileSync(file, text(next)),
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  }
}
