import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import type { CacheHealth } from '../../src/switch/index.ts'
import { now } from './clock.ts'
import type { GroundFiles } from './ground.ts'
import type { Host } from './nets.ts'
import type { Connection } from './stage.ts'
import type { Mix } from './profiles.ts'

export interface WorkerOptions {
  readonly id: string
  /** Its column in the files of the truth. */
  readonly index: number
  readonly ground: GroundFiles
  /** Where records and findings are. */
  readonly logs: string
  /** Root of the package under test, built. */
  readonly package: string
  /** Of the file store. */
  readonly directory: string
  readonly connection: Connection
  /** The old side, where it is no file store. */
  readonly old?: Connection | undefined
  /** It is a machine of its own, with an old side of its own. */
  readonly machines?: 'files' | 'memory' | undefined
  readonly prefix: string
  /** Names of the caches that it makes over the one directory. */
  readonly names: readonly string[]
  /** The environment of its flag source; `random`: each operation picks a side of its own. */
  readonly flags: 'random' | Readonly<Record<string, string>>
  readonly seed: number
  readonly keys: readonly string[]
  readonly users: number
  readonly clients: number
  /** Options of the switch, one drawn for each life. */
  readonly stages: readonly object[]
  readonly mix: Mix
  /** The slowest load, in milliseconds. */
  readonly slowMs: number
  readonly shortTtls: number
  /** Share of the bursts that end with a `clear`. */
  readonly clearing: number
  readonly aborts: number
  readonly pauseMs: number
  readonly slowLegs: number
  readonly legMs: { readonly off: number; readonly on: number }
  readonly tombstoneTtls: readonly number[]
  readonly originConcurrency: number
  /** No operation without a load takes longer. */
  readonly boundMs: number
  /** Its listeners throw now and then. */
  readonly throwing: boolean
  /** Replaces its switch by another after so long, on average; 0: never. */
  readonly recycleMs: number
  /** Codes with which the package may refuse settings that do not go together. */
  readonly refusals: readonly string[]
  readonly planted?: Planted | undefined
  /** Only reads every key from both sides, once. */
  readonly audit?: boolean
  /** Added to the environment of the process. */
  readonly env?: Readonly<Record<string, string>>
  /** A file that it finds in the place of the boot id of the system. */
  readonly bootId?: string | undefined
  /** Runs there. @default this machine */
  readonly host?: Host | undefined
  /** A read may be this much later than its expiry says, in milliseconds. */
  readonly expirySlackMs: number
}

/** Leaves a mechanism out, to show that its absence is found. */
export type Planted =
  | 'no-tombstones'
  | 'no-ledger'
  | 'no-licence'
  | 'deaf-follower'
  | 'trusting-follower'

const ANSWER_MS = 120_000
const BOOT_ID = '/proc/sys/kernel/random/boot_id'
const KEPT_OUTPUT = 2000

interface Answer {
  readonly number: number
  readonly answer: unknown
}

export interface Life {
  readonly from: number
  /** When it was seen to be dead. */
  readonly to: number
}

/** One application process, through all its lives. */
export class Worker {
  readonly options: WorkerOptions
  /** Those that have ended. */
  readonly lives: Life[] = []
  /** How it ended, when that was not our doing. */
  readonly died: string[] = []
  #child: ChildProcess | undefined
  #bornAt = 0
  #started = 0
  #asked = 0
  #output = ''
  #gone: Promise<unknown> = Promise.resolve()
  #tail: Promise<unknown> = Promise.resolve()

  constructor(options: WorkerOptions) {
    this.options = options
  }

  get id(): string {
    return this.options.id
  }

  /** When its life began that included this time; and ended, if it did. */
  lifeAt(time: number): Life | undefined {
    return this.lives.find(({ from, to }) => from <= time && time <= to)
  }

  async start(): Promise<void> {
    this.#started += 1
    const { env, bootId, host, ...options } = this.options
    const parameters = JSON.stringify({ ...options, life: this.#started })
    const node = [process.execPath, join('test', 'chaos', 'worker', 'worker.mjs'), parameters]
    const disguise = ['-m', 'sh', '-c', 'mount --bind "$1" "$2"; shift 2; exec "$@"', 'sh']
    const [program, ...args] = [
      ...(host?.enter ?? []),
      ...(bootId === undefined ? [] : ['unshare', ...disguise, bootId, BOOT_ID]),
      ...node,
    ]
    this.#bornAt = now()
    const child = spawn(program!, args, {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: { ...process.env, ...env },
    })
    this.#child = child
    const keep = (chunk: Buffer): void => {
      this.#output = (this.#output + chunk.toString()).slice(-KEPT_OUTPUT)
    }
    child.stdout?.on('data', keep)
    child.stderr?.on('data', keep)
    this.#gone = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        this.lives.push({ from: this.#bornAt, to: now() })
        const how = `${this.id} ended with ${signal ?? code}`
        if (!child.killed && code !== 0) this.died.push(`${how}: ${this.#output.trim()}`)
        resolve(new Error(how))
      })
    })
    await this.#answer(child)
  }

  get alive(): boolean {
    const child = this.#child
    return child !== undefined && child.exitCode === null && child.signalCode === null
  }

  async killAndRestart(): Promise<void> {
    await this.stop()
    await this.start()
  }

  /** SIGKILL; resolves when it is gone. */
  async stop(): Promise<void> {
    if (this.alive) this.#child!.kill('SIGKILL')
    await this.#gone
  }

  /** SIGSTOP or SIGCONT. Not by `kill` of the child, which would count as its end. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    const { pid } = this.#child!
    if (pid !== undefined && this.alive) process.kill(pid, signal)
  }

  health(): Promise<CacheHealth> {
    return this.ask('health') as Promise<CacheHealth>
  }

  /** Questions are answered one after the other. */
  ask(question: string): Promise<unknown> {
    const asked = this.#tail.then(() => this.#askNow(question))
    this.#tail = asked.catch(() => undefined)
    return asked
  }

  kill(): void {
    this.#child?.kill('SIGKILL')
  }

  async #askNow(question: string): Promise<unknown> {
    const child = this.#child!
    if (!child.connected) throw new Error(this.died[0] ?? `${this.id} is gone`)
    this.#asked += 1
    const answer = this.#answer(child, this.#asked)
    child.send({ number: this.#asked, question })
    const got = await answer
    if (typeof got === 'object' && got !== null && 'failed' in got) {
      throw new Error(`${this.id}, asked for ${question}: ${String(got.failed)}`)
    }
    return got
  }

  /** Of the question with this number, since an answer to an earlier one may come late; 0: that it is ready. */
  async #answer(child: ChildProcess, number = 0): Promise<unknown> {
    let hear: (message: Answer) => void = () => {}
    const answered = new Promise<unknown>((resolve, reject) => {
      const late = (): void => reject(new Error(`no answer within ${ANSWER_MS / 1000} s`))
      const timer = setTimeout(late, ANSWER_MS)
      hear = (message) => {
        if (message.number !== number) return
        clearTimeout(timer)
        resolve(message.answer)
      }
      child.on('message', hear)
      void this.#gone.then(() => clearTimeout(timer))
    })
    const got = await Promise.race([answered, this.#gone]).finally(() => child.off('message', hear))
    if (got instanceof Error) throw got
    return got
  }
}
