import { type Ended, runCommand } from '../support/run-command.ts'

type Run = (
  argv: readonly string[],
  onOutput?: (text: string) => void,
  signal?: AbortSignal,
) => Promise<Ended>

/** `switchback guard ...` in this process. */
export function guardRunner(env: Readonly<Record<string, string>> = {}): Run {
  return (argv, onOutput = () => {}, signal = AbortSignal.timeout(20_000)) =>
    runCommand(['guard', ...argv], { env, onOutput, signal })
}
