import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const bin = fileURLToPath(new URL('../../dist/cli/bin.js', import.meta.url))

/** How a command ended and what it printed. */
export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string
  readonly signal?: AbortSignal
  /** Ctrl-C when stdout has this. */
  readonly until?: string
}

/** Runs `switchback` as its users do: the built bin in a process of its own. */
export async function switchback(
  argv: readonly string[],
  options: RunOptions = {},
): Promise<Ended> {
  const child = spawn(process.execPath, [bin, ...argv], {
    cwd: options.cwd,
    env: { PATH: process.env['PATH'], ...options.env },
    stdio: 'pipe',
  })
  options.signal?.addEventListener('abort', () => child.kill('SIGINT'))
  let [stdout, stderr] = ['', '']
  const { until } = options
  let asked = false
  child.stdout.on('data', (chunk) => {
    stdout += chunk
    if (asked || until === undefined || !stdout.includes(until)) return
    asked = true
    child.kill('SIGINT')
  })
  child.stderr.on('data', (chunk) => (stderr += chunk))
  child.stdin.end(options.input ?? '')
  const [code] = await once(child, 'close')
  return { code, stdout, stderr }
}
