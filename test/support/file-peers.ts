import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { TestContext } from 'vitest'
import {
  ANY,
  type Cell,
  type FileCacheOptions,
  type InvalidateResult,
  NEVER,
  type WriteResult,
} from '../../src/cache/index.ts'

const PEER = fileURLToPath(new URL('file-peer.mjs', import.meta.url))

interface Answer {
  readonly id?: number
  readonly result?: unknown
  readonly error?: { readonly code: string; readonly message: string }
  readonly warning?: string
}

/** Another process with a file cache of its own. */
export class FilePeer {
  readonly child: ChildProcess
  readonly warnings: string[] = []
  readonly #waiting: Map<number, (answer: Answer) => void> = new Map()
  #calls = 0

  constructor(options: FileCacheOptions) {
    this.child = fork(PEER, [JSON.stringify(options)], { stdio: 'inherit' })
    this.child.on('message', (answer: Answer) => {
      if (answer.warning !== undefined) this.warnings.push(answer.warning)
      else this.#waiting.get(answer.id ?? 0)?.(answer)
    })
    this.child.on('exit', (code, signal) => {
      for (const answer of this.#waiting.values()) {
        answer({ error: { code: `${signal ?? code}`, message: 'the process ended' } })
      }
    })
  }

  async call(target: 'cache' | 'ledger', method: string, ...args: unknown[]): Promise<unknown> {
    const id = ++this.#calls
    const answer = await new Promise<Answer>((resolve) => {
      this.#waiting.set(id, resolve)
      this.child.send({ id, target, method, args })
    })
    this.#waiting.delete(id)
    if (answer.error !== undefined) {
      throw Object.assign(new Error(answer.error.message), { code: answer.error.code })
    }
    return answer.result
  }

  async read(key: string): Promise<Cell> {
    return (await this.call('cache', 'read', key)) as Cell
  }

  async put(key: string, payload: string): Promise<WriteResult> {
    const entry = { payload, expiresAt: NEVER }
    return (await this.call('cache', 'write', key, entry, {
      expect: ANY,
      within: 10_000,
    })) as WriteResult
  }

  async invalidate(key: string): Promise<InvalidateResult> {
    return (await this.call('cache', 'invalidate', key, { within: 10_000 })) as InvalidateResult
  }

  async kill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    const ended = once(this.child, 'exit')
    this.child.kill('SIGKILL')
    await ended
  }
}

/** A directory and processes that are gone after the test. */
export class FileStand {
  readonly directory: string = mkdtempSync(join(tmpdir(), 'switchback-file-'))
  readonly #peers: FilePeer[] = []

  constructor({ onTestFinished }: Pick<TestContext, 'onTestFinished'>) {
    onTestFinished(async () => {
      await Promise.all(this.#peers.map((peer) => peer.kill()))
      rmSync(this.directory, { recursive: true, force: true })
    })
  }

  peer(options: Partial<FileCacheOptions> = {}): FilePeer {
    const peer = new FilePeer({ directory: this.directory, ...options })
    this.#peers.push(peer)
    return peer
  }
}
