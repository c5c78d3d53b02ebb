import { execFile } from 'node:child_process'

export interface RunResult {
  readonly ok: boolean
  /** What it wrote, both streams; when it could not be started, why. */
  readonly output: string
}

/** Runs a program to its end, at most `timeoutMs`. Never rejects. */
export function run(
  file: string,
  args: readonly string[],
  options: {
    readonly timeoutMs: number
    readonly env?: Readonly<Record<string, string | undefined>>
    readonly signal?: AbortSignal
  },
): Promise<RunResult> {
  const { timeoutMs, env, signal } = options
  return new Promise((resolve) => {
    execFile(
      file,
      [...args],
      {
        timeout: timeoutMs,
        killSignal: 'SIGKILL',
        maxBuffer: 16 * 1024 * 1024,
        ...(env === undefined ? {} : { env }),
        ...(signal === undefined ? {} : { signal }),
      },
      (error, stdout, stderr) => {
        const text = `${stdout}${stderr}`.trim()
        resolve({ ok: error === null, output: text === '' && error ? error.message : text })
      },
    )
  })
}

/** The last non-empty line, where package managers and servers put the reason. */
export function lastLine(output: string): string {
  return output.trimEnd().split('\n').at(-1)?.trim() ?? ''
}
