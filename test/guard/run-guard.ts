import { Readable } from 'node:stream'
import { main } from '../../src/cli/index.ts'

type Run = (
  argv: readonly string[],
  onOutput?: (text: string) => void,
  signal?: AbortSignal,
) => Promise<{ code: number; stdout: string; stderr: string }>

/** `switchback guard ...` in this process. */
export function guardRunner(env: Readonly<Record<string, string>> = {}): Run {
  return async (argv, onOutput = () => {}, signal = AbortSignal.timeout(20_000)) => {
    const texts = { stdout: '', stderr: '' }
    const code = await main({
      argv: ['guard', ...argv],
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
}
