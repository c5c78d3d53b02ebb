import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished } from 'vitest'
import { until } from '../provision/support.ts'
import { ask } from './support.ts'

const BIN = new URL('../../dist/cli/bin.js', import.meta.url).pathname
const FLAGS = new URL('../../flags/use-redis.json', import.meta.url).pathname

export interface Child {
  readonly pid: number
  readonly stdout: () => string
  readonly stderr: () => string
  /** Resolves to the exit code, or to the signal that ended it. */
  readonly ended: Promise<number | string>
  kill(signal: NodeJS.Signals): void
}

/** Runs `switchback` as a process of its own. Ends with the test. */
export function runCli(args: readonly string[], env: Record<string, string> = {}): Child {
  const child = spawn(process.execPath, [BIN, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...clean(process.env), ...env },
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    stdout += chunk
  })
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk
  })
  const ended = once(child, 'close').then(
    ([code, signal]: unknown[]) => (code ?? signal) as number | string,
  )
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await ended
  })
  return {
    pid: child.pid ?? 0,
    stdout: () => stdout,
    stderr: () => stderr,
    ended,
    kill: (signal) => void child.kill(signal),
  }
}

/** What is configured on this machine is nothing of the test's. */
function clean(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(env).filter(
      ([name]) => !/^(FLAGD_|REDIS_URL|SWITCHBACK_|PORT$|HOST$|METRICS_|LOG_LEVEL)/.test(name),
    ),
  )
}

export interface RunningService extends Child {
  readonly url: string
  readonly metricsUrl: string
  readonly flagsFile: string
  /** Replaces the flags file as an editor does. */
  edit(change: (text: string) => string): void
  /** The sides of these users, by the response header; every answer must be right. */
  sidesOf(users: readonly string[]): Promise<Map<string, string>>
}

/**
 * `switchback start` on free ports, on a copy of the flags file, alone on this machine: without the
 * control page and the sample traffic, unless they are asked for.
 */
export async function startApp(
  args: readonly string[] = [],
  env: Record<string, string> = {},
  companions: readonly string[] = ['--no-control', '--no-traffic'],
): Promise<RunningService> {
  const directory = mkdtempSync(join(tmpdir(), 'switchback-e2e-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  const flagsFile = join(directory, 'use-redis.json')
  cpSync(FLAGS, flagsFile)
  const child = runCli(
    [
      ...'start --isolated --port 0 --metrics-port 0 --flags'.split(' '),
      directory,
      '--cache-dir',
      join(directory, 'cache'),
      ...companions,
      ...args,
    ],
    env,
  )
  await until('the service tells where it is', () => {
    if (child.stderr().startsWith('error:')) throw new Error(child.stderr())
    return child.stdout().includes('Ctrl-C')
  })
  const url = /service\s+(http:\S+)/.exec(child.stdout())?.[1] ?? ''
  const metricsUrl = /metrics\s+(http:\S+)/.exec(child.stdout())?.[1] ?? ''
  return {
    ...child,
    url,
    metricsUrl,
    flagsFile,
    edit(change) {
      const text = change(readFileSync(flagsFile, 'utf8'))
      writeFileSync(`${flagsFile}.new`, text)
      renameSync(`${flagsFile}.new`, flagsFile)
    },
    async sidesOf(users) {
      const sides = new Map<string, string>()
      for (let i = 0; i < users.length; i += 50) {
        const batch = users.slice(i, i + 50)
        const answers = await Promise.all(batch.map((user) => ask(`${url}/users/${user}`)))
        for (const [j, answer] of answers.entries()) {
          const user = batch[j] ?? ''
          expect(answer).toMatchObject({ status: 200, body: { data: `UserData for ${user}` } })
          sides.set(user, answer.side ?? '')
        }
      }
      return sides
    },
  }
}

/** Sets the weights of `on` and `off` as a person does: two numbers in the text. */
export function split(on: number): (text: string) => string {
  return (text) =>
    text
      .replace(/(\["on",\s*)\d+/, (_, start: string) => `${start}${on}`)
      .replace(/(\["off",\s*)\d+/, (_, start: string) => `${start}${100 - on}`)
}
