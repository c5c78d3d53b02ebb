import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import type { TestRedis } from './redis-server.ts'

export interface PairQuestion {
  readonly op: 'get' | 'set' | 'delete' | 'load' | 'clear' | 'close' | 'health' | 'told'
  readonly user: 'off-user' | 'on-user'
  readonly keys: readonly string[]
  readonly value: string
}

export interface PairAnswer<T> {
  readonly result: T
  readonly ms: number
  readonly events: readonly string[]
}

/** A process of its own with a switch between two Redis: see `pair-process.mjs`. */
export class PairProcess {
  readonly #child: ChildProcess

  private constructor(child: ChildProcess) {
    this.#child = child
  }

  static start(off: TestRedis, on: TestRedis): Promise<PairProcess> {
    return PairProcess.#fork([off.url, on.url])
  }

  /** A machine with files of its own beside the Redis. */
  static startOn(directory: string, on: TestRedis): Promise<PairProcess> {
    return PairProcess.#fork([directory, on.url])
  }

  static async #fork(sides: readonly string[]): Promise<PairProcess> {
    const child = fork(new URL('pair-process.mjs', import.meta.url).pathname, sides, {
      execArgv: [],
    })
    const first = await Promise.race([once(child, 'message'), once(child, 'exit')])
    if (first[0] !== 'ready') throw new Error(`the process ended at its start: ${String(first[0])}`)
    return new PairProcess(child)
  }

  async ask<T>(
    op: PairQuestion['op'],
    user: PairQuestion['user'] = 'on-user',
    keys: readonly string[] = ['k'],
    value = '',
  ): Promise<PairAnswer<T>> {
    const answered = once(this.#child, 'message')
    this.#child.send({ op, user, keys, value } satisfies PairQuestion)
    const [answer] = (await answered) as [PairAnswer<T> & { readonly error?: string }]
    if (answer.error !== undefined) throw new Error(answer.error)
    return answer
  }

  /** SIGKILL. */
  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await ended
  }

  freeze(): void {
    this.#child.kill('SIGSTOP')
  }

  thaw(): void {
    this.#child.kill('SIGCONT')
  }
}
