import { spawn } from 'node:child_process'
import { messageOf, SwitchbackError } from '../../errors.ts'
import { type Environment, usageError } from '../framework/command.ts'

/** How one git command ended. */
export interface GitAnswer {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
  /** The first line that says what is wrong; `''` when nothing is. */
  readonly why: string
}

export interface GitOptions {
  /** Given to it on its standard input. */
  readonly input?: string
  readonly env?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal | undefined
}

/** A remote that does not answer must not keep a person waiting for ever. */
const LONGEST_MS = 60_000

/** The git command in one directory. */
export class Git {
  readonly #directory: string
  readonly #env: Environment
  #own: string | undefined

  constructor(directory: string, env: Environment) {
    this.#directory = directory
    this.#env = env
  }

  /** @throws {SwitchbackError} `SB_USAGE` when git is not installed */
  async run(args: readonly string[], options: GitOptions = {}): Promise<GitAnswer> {
    const { input = '', env = {}, signal } = options
    // Not AbortSignal.any: what that attaches to a long-lived signal is never removed.
    const end = new AbortController()
    const stop = (): void => end.abort()
    const timer = setTimeout(stop, LONGEST_MS)
    signal?.addEventListener('abort', stop, { once: true })
    if (signal?.aborted === true) stop()
    const child = spawn('git', args, {
      cwd: this.#directory,
      // It asks for no password here, and answers in English, whatever the user's language is.
      env: { ...this.#env, LC_ALL: 'C', GIT_TERMINAL_PROMPT: '0', ...env },
      signal: end.signal,
    })
    let [stdout, stderr] = ['', '']
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    // A command that ends without reading it closes the pipe.
    child.stdin.on('error', () => {}).end(input)
    try {
      const code = await new Promise<number>((resolve, reject) => {
        child.on('error', reject)
        child.on('close', (number) => resolve(number ?? 1))
      })
      return { code, stdout, stderr, why: code === 0 ? '' : reasonOf(stderr) }
    } catch (error) {
      if (signal?.aborted === true) throw signal.reason
      if (!end.signal.aborted)
        throw usageError(`cannot run git: ${messageOf(error)}`, 'install git')
      stderr = `no answer within ${LONGEST_MS / 1000} s`
      return { code: 1, stdout, stderr, why: stderr }
    } finally {
      clearTimeout(timer)
      signal?.removeEventListener('abort', stop)
    }
  }

  /** Its own directory, of this working tree. */
  async directory(): Promise<string> {
    this.#own ??= await this.ask(['rev-parse', '--absolute-git-dir'])
    return this.#own
  }

  /**
   * Its output, without the line break at the end.
   *
   * @throws {SwitchbackError} `SB_GIT_FAILED`
   */
  async ask(args: readonly string[], options: GitOptions = {}): Promise<string> {
    const { code, stdout, why } = await this.run(args, options)
    if (code === 0) return stdout.replace(/\n$/, '')
    const [command = ''] = args
    throw new SwitchbackError('SB_GIT_FAILED', `git ${command} failed: ${why}`, {
      hint: `run git ${command} in this clone to see more`,
    })
  }
}

function reasonOf(stderr: string): string {
  const lines = stderr.split('\n').filter((line) => line.trim() !== '')
  const line = lines.find((each) => /^(fatal|error|remote):|rejected/.test(each)) ?? lines[0] ?? ''
  return line
    .replace(/^(fatal|error): /, '')
    .trim()
    .slice(0, 200)
}
