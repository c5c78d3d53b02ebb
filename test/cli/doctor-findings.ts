import { main } from '../../src/cli/index.ts'
import { flagsFile } from '../rollout/support.ts'

/** What the doctor finds with these arguments, and with flags that are not served. */
export async function findingsOf(...args: readonly string[]): Promise<Record<string, string>[]> {
  let text = ''
  await main({
    argv: ['doctor', '--no-flagd', '--json', '--file', await flagsFile(), ...args],
    env: {},
    stdin: process.stdin,
    stdout: { write: (part: string) => void (text += part) },
    stderr: { write: (part: string) => void (text += part) },
    signal: new AbortController().signal,
  })
  return (JSON.parse(text) as { findings: Record<string, string>[] }).findings
}
