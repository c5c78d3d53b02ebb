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
}

/** `switchback ...` in this process. */
export async function runCommand(
  argv: readonly string[],
  { env = {}, onOutput = () => {}, signal = new AbortController().signal }: RunOptions = {},
): Promise<Ended> {
  const texts = { stdout: '', stderr: '' }
  const code = await main({
    argv,
    env,
    stdin: Readable.from([]),
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
