import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

export interface ControlProcessOptions {
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

/** `switchback control` as a real child process, which dies with this one. */
export interface ControlProcess extends AsyncDisposable {
  readonly url: string
  /** Lines of stderr so far. */
  readonly errors: readonly string[]
  /** SIGKILL. */
  kill(): Promise<void>
  /** SIGTERM; resolves to the exit code. */
  stop(): Promise<number | null>
}

export async function startControlProcess(options: ControlProcessOptions): Promise<ControlProcess> {
  const args = ['dist/cli/bin.js', 'control', '--json', ...options.args]
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
  })
  const parentGone = (): void => void child.kill('SIGKILL')
  process.once('exit', parentGone)
  child.once('exit', () => process.off('exit', parentGone))
  const errors: string[] = []
  createInterface(child.stderr).on('line', (line) => errors.push(line))
  for await (const line of createInterface(child.stdout)) {
    const entry = JSON.parse(line) as { ready?: boolean; url: string }
    if (entry.ready !== true) continue
    child.stdout.resume()
    const kill = (): Promise<void> => end(child, 'SIGKILL')
    return {
      url: entry.url,
      errors,
      kill,
      async stop() {
        await end(child, 'SIGTERM')
        return child.exitCode
      },
      [Symbol.asyncDispose]: kill,
    }
  }
  throw new Error(`the control page did not start: ${errors.join('\n')}`)
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = once(child, 'exit')
  child.kill(signal)
  await exit
}
