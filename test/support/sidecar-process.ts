import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { SidecarPorts } from '../../src/sidecar/index.ts'
import { HUNG_MS } from './until.ts'

export interface StartSidecarProcessOptions {
  /** The flags file, or a directory. */
  readonly file: string
  /** @default free ones */
  readonly ports?: Partial<SidecarPorts>
}

/** `switchback sidecar` as a real child process, which ends when this one exits. */
export interface SidecarProcess extends AsyncDisposable {
  /** Stay the same over `restart`. */
  readonly ports: SidecarPorts
  /** Of the running process; the last one when it is dead. */
  readonly pid: number
  readonly alive: boolean
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>
  /** SIGSTOP: accepts connections and bytes (the kernel does), answers nothing. */
  freeze(): void
  /** SIGCONT. */
  thaw(): void
  /** Kills the process when it is alive, and starts it again on the same ports. */
  restart(): Promise<void>
  /** SIGTERM, as an orderly end; resolves to the exit code. */
  stop(): Promise<number>
}

const FREE: SidecarPorts = { evaluation: 0, management: 0, sync: 0, ofrep: 0 }

export async function startSidecarProcess(
  options: StartSidecarProcessOptions,
): Promise<SidecarProcess> {
  let child: ChildProcess
  let ports: SidecarPorts = { ...FREE, ...options.ports }
  const start = async (): Promise<void> => {
    const started = await spawnSidecar(options.file, ports)
    child = started.child
    ports = started.ports
  }
  const kill = async (): Promise<void> => {
    if (!running(child)) return
    const exit = once(child, 'exit')
    child.kill('SIGKILL')
    await exit
  }
  await start()
  return {
    get ports() {
      return ports
    },
    get pid() {
      return child.pid as number
    },
    get alive() {
      return running(child)
    },
    kill,
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
    async restart() {
      await kill()
      // Another connection may have one of the ports for its own end just now.
      for (let left = 40; ; left -= 1) {
        try {
          return await start()
        } catch (error) {
          if (left === 0 || !/Cannot listen/u.test(String(error))) throw error
          await new Promise((resolve) => setTimeout(resolve, 250))
        }
      }
    },
    async stop() {
      if (running(child)) {
        const exit = once(child, 'exit')
        child.kill('SIGTERM')
        child.kill('SIGCONT')
        await exit
      }
      return child.exitCode ?? -1
    },
    [Symbol.asyncDispose]: kill,
  }
}

function running(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null
}

async function spawnSidecar(
  file: string,
  ports: SidecarPorts,
): Promise<{ child: ChildProcess; ports: SidecarPorts }> {
  const args = ['dist/cli/bin.js', 'sidecar', '--json', '--file', file]
  for (const [name, port] of Object.entries(ports)) args.push(`--${name}-port`, String(port))
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const parentGone = (): void => void child.kill('SIGKILL')
  process.once('exit', parentGone)
  child.once('exit', () => process.off('exit', parentGone))
  let errors = ''
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
  const timer = setTimeout(() => child.kill('SIGKILL'), HUNG_MS)
  try {
    for await (const line of createInterface(child.stdout)) {
      const entry = JSON.parse(line) as { ready?: boolean; ports: SidecarPorts }
      if (entry.ready === true) {
        child.stdout.resume()
        return { child, ports: entry.ports }
      }
    }
    throw new Error(`the sidecar did not start: ${errors.trim() || 'no output'}`)
  } finally {
    clearTimeout(timer)
  }
}
