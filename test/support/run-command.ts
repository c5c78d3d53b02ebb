import { Readable } from 'node:stream'
import { main } from '../../src/cli/index.ts'

/** How a command ended. */
export interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>
  /** Called with each piece of its output. */
  readonly onOutput?: (text: string) => void
  /** @default none */
  readonly signal?: AbortSignal
  /** Where it runs; a directory of one command at a time. @default where the tests run */
  readonly cwd?: string
  /** What it reads from stdin. @default nothing */
  readonly input?: string
}

/**
 * `switchback ...` in this process: a tenth of what a process of its own costs, for tests of what a
 * command says and writes.
 */
export async function runCommand(
  argv: readonly string[],
  { cwd, ...options }: RunOptions = {},
): Promise<Ended> {
  if (cwd === undefined) return run(argv, options)
  const before = process.cwd()
  if (within !== undefined) throw new Error(`another command runs in ${within}`)
  process.chdir(cwd)
  within = cwd
  try {
    return await run(argv, options)
  } finally {
    within = undefined
    process.chdir(before)
  }
}

let within: string | undefined

async function run(argv: readonly string[], options: Omit<RunOptions, 'cwd'>): Promise<Ended> {
  const { env = {}, onOutput = () => {}, signal = new AbortController().signal, input } = options
  const texts = { stdout: '', stderr: '' }
  const code = await main({
    argv,
    env,
    stdin: Readable.from(input === undefined ? [] : [input]),
    stdout: {
      write: (text: string) => {
        texts.stdout += text
        onOutput(text)
      },
    },
    stderr: { write: (text: string) => void (texts.stderr += text) },
    signal,
  })
  return { code, ...texts }
}

/** What it prints with `--json`, of a command that says nothing else. */
export async function jsonOf(ended: Promise<Ended>): Promise<Record<string, any>> {
  const { stdout, stderr } = await ended
  if (stderr !== '') throw new Error(stderr)
  return JSON.parse(stdout) as Record<string, any>
}
