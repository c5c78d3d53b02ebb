import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { TestContext } from 'vitest'
import {
  ANY,
  type Cell,
  type FileCache,
  fileCache,
  type FileCacheOptions,
  type InvalidateResult,
  NEVER,
  type WriteResult,
} from '../../src/cache/index.ts'
import { withWarnings } from './with-warnings.ts'

const PEER = fileURLToPath(new URL('file-peer.mjs', import.meta.url))

interface Answer {
  readonly id?: number
  readonly result?: unknown
  readonly error?: { readonly code: string; readonly message: string }
  readonly warning?: string
  readonly directory?: string
}

/** Another process, which may have several file caches open. */
export class PeerProcess {
  readonly child: ChildProcess = fork(PEER, { stdio: 'inherit' })
  readonly warnings: { readonly code: string; readonly directory: string }[] = []
  readonly #waiting: Map<number, (answer: Answer) => void> = new Map()
  #calls = 0

  constructor() {
    this.child.on('message', (answer: Answer) => {
      const { warning, directory = '', id = 0 } = answer
      if (warning !== undefined) this.warnings.push({ code: warning, directory })
      else this.#waiting.get(id)?.(answer)
    })
    this.child.on('exit', (code, signal) => {
      for (const answer of this.#waiting.values()) {
        answer({ error: { code: `${signal ?? code}`, message: 'the process ended' } })
      }
    })
  }

  async call(message: object): Promise<unknown> {
    const id = ++this.#calls
    const answer = await new Promise<Answer>((resolve) => {
      this.#waiting.set(id, resolve)
      this.child.send({ ...message, id })
    })
    this.#waiting.delete(id)
    if (answer.error !== undefined) {
      throw Object.assign(new Error(answer.error.message), { code: answer.error.code })
    }
    return answer.result
  }

  /** Resolves when the process was stopped by a signal. */
  async stopped(): Promise<void> {
    const state = (): string => readFileSync(`/proc/${this.child.pid}/stat`, 'utf8')
    while (!/\) T /u.test(state())) await setTimeout(5)
  }

  async kill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    const ended = once(this.child, 'exit')
    this.child.kill('SIGKILL')
    await ended
  }
}

/** A file cache in this process or in another one. */
export abstract class FilePeer {
  abstract get warnings(): readonly string[]
  abstract call(target: 'cache' | 'ledger', method: string, ...args: unknown[]): Promise<unknown>

  async read(key: string): Promise<Cell> {
    return (await this.call('cache', 'read', key)) as Cell
  }

  async put(key: string, payload: string): Promise<WriteResult> {
    const entry = { payload, expiresAt: NEVER }
    const options = { expect: ANY, within: 10_000 }
    return (await this.call('cache', 'write', key, entry, options)) as WriteResult
  }

  async invalidate(key: string): Promise<InvalidateResult> {
    return (await this.call('cache', 'invalidate', key, { within: 10_000 })) as InvalidateResult
  }
}

class RemotePeer extends FilePeer {
  readonly #process: PeerProcess
  readonly #options: FileCacheOptions

  constructor(process: PeerProcess, options: FileCacheOptions) {
    super()
    this.#process = process
    this.#options = options
  }

  override get warnings(): readonly string[] {
    return this.#process.warnings
      .filter(({ directory }) => directory === this.#options.directory)
      .map(({ code }) => code)
  }

  override call(target: string, method: string, ...args: unknown[]): Promise<unknown> {
    return this.#process.call({ options: this.#options, target, method, args })
  }
}

class LocalPeer extends FilePeer {
  override readonly warnings: string[] = []
  readonly cache: FileCache

  constructor(options: FileCacheOptions) {
    super()
    this.cache = withWarnings(fileCache({ ...options }), ({ code }) => this.warnings.push(code))
  }

  override async call(target: string, method: string, ...args: unknown[]): Promise<unknown> {
    const on = target === 'ledger' ? this.cache.ledger : this.cache
    return (on as unknown as Record<string, (...args: unknown[]) => unknown>)[method]?.call(
      on,
      ...args,
    )
  }
}

type Finish = Pick<TestContext, 'onTestFinished'>

/** A directory, and the file caches on it, gone after the test. */
export class FileStand {
  readonly directory: string = mkdtempSync(join(tmpdir(), 'switchback-file-'))
  readonly #ends: (() => Promise<void>)[] = []

  constructor({ onTestFinished }: Finish) {
    onTestFinished(async () => {
      await Promise.all(this.#ends.map((end) => end()))
      rmSync(this.directory, { recursive: true, force: true })
    })
  }

  process(): PeerProcess {
    const process = new PeerProcess()
    this.#ends.push(() => process.kill())
    return process
  }

  /** In another process; a new one unless given. */
  peer(options: Partial<FileCacheOptions> = {}, process: PeerProcess = this.process()): FilePeer {
    return new RemotePeer(process, { directory: this.directory, ...options })
  }

  /** In this process. */
  local(options: Partial<FileCacheOptions> = {}): FilePeer & { readonly cache: FileCache } {
    const peer = new LocalPeer({ directory: this.directory, ...options })
    this.#ends.push(() => peer.cache.close())
    return peer
  }
}
