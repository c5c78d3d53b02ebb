import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { CacheHealth } from '../../src/switch/index.ts'
import type { Connection } from './stage.ts'

export interface WorkerOptions {
  readonly id: string
  /** Where its record goes. */
  readonly logs: string
  /** Of the file store. */
  readonly directory: string
  readonly connection: Connection
  /** The environment of its flag source; `random`: each operation picks a side of its own. */
  readonly flags: 'random' | Readonly<Record<string, string>>
  readonly seed: number
  readonly keys: readonly string[]
  readonly users: number
  readonly clients: number
  readonly standby: string
  readonly pauseMs: number
  readonly tombstoneTtl: number
  /** Share of the loads that take up to 30 ms; the others take no time. */
  readonly slowLoads: number
  /** Leaves a mechanism out, to show that its absence is found. */
  readonly planted?: 'no-tombstones' | undefined
  /** Only reads every key from both sides, once. */
  readonly audit?: boolean
  /** Added to the environment of the process. */
  readonly env?: Readonly<Record<string, string>>
}

const ANSWER_MS = 30_000

/** One application process, through all its lives. */
export class Worker {
  readonly id: string
  readonly record: string
  /** How often it was started. */
  lives = 0
  /** How it ended, when that was not our doing. */
  died: string | undefined
  readonly #options: WorkerOptions
  #child: ChildProcess | undefined
  #gone: Promise<unknown> = Promise.resolve()

  constructor(options: WorkerOptions) {
    this.id = options.id
    this.record = join(options.logs, `${options.id}.log`)
    this.#options = options
  }

  async start(): Promise<void> {
    this.lives += 1
    const { env, ...options } = this.#options
    const parameters = JSON.stringify({ ...options, record: this.record, life: this.lives })
    const child = fork('test/chaos/worker.mjs', [parameters], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      execArgv: [],
      env: { ...process.env, ...env },
    })
    this.#child = child
    this.#gone = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        if (!child.killed && code !== 0) this.died = `${this.id} ended with ${signal ?? code}`
        resolve(new Error(`${this.id} ended with ${signal ?? code}`))
      })
    })
    await this.#answer(child)
  }

  async killAndRestart(): Promise<void> {
    const child = this.#child!
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL')
      await this.#gone
    }
    await this.start()
  }

  /** SIGSTOP, as a long pause of its machine. Not by `kill` of the child, which would count as its end. */
  freeze(): void {
    this.#signal('SIGSTOP')
  }

  /** SIGCONT. */
  thaw(): void {
    this.#signal('SIGCONT')
  }

  health(): Promise<CacheHealth> {
    return this.#ask('health') as Promise<CacheHealth>
  }

  /** Ends its load; resolves when every operation has ended. */
  async quiesce(): Promise<void> {
    await this.#ask('quiesce')
  }

  async end(): Promise<void> {
    const child = this.#child!
    if (child.exitCode !== null || child.signalCode !== null) return
    child.send('end')
    await this.#gone
  }

  kill(): void {
    this.#child?.kill('SIGKILL')
  }

  #signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    const { pid, exitCode, signalCode } = this.#child!
    if (pid !== undefined && exitCode === null && signalCode === null) process.kill(pid, signal)
  }

  async #ask(question: string): Promise<unknown> {
    const child = this.#child!
    if (!child.connected) throw new Error(this.died ?? `${this.id} is gone`)
    const answer = this.#answer(child)
    child.send(question)
    return answer
  }

  async #answer(child: ChildProcess): Promise<unknown> {
    const answer = once(child, 'message', { signal: AbortSignal.timeout(ANSWER_MS) })
    const message = await Promise.race([answer.then(([first]) => first as unknown), this.#gone])
    if (message instanceof Error) throw message
    return message
  }
}
