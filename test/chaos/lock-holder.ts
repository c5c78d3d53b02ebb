import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

/** A process of no use to anybody that writes to the file store, slowly. */
export class LockHolder {
  readonly #child: ChildProcess

  private constructor(child: ChildProcess) {
    this.#child = child
    child.setMaxListeners(0)
  }

  static async start(store: string): Promise<LockHolder> {
    const program = join('test', 'chaos', 'worker', 'lock-holder.mjs')
    const child = fork(program, [join(store, 'cache.db')], { execArgv: [] })
    await once(child, 'message')
    return new LockHolder(child)
  }

  /** Many short transactions. */
  async busy(ms: number, times: number, pauseMs: number): Promise<void> {
    await this.#ask({ ms, times, pauseMs })
  }

  /** Is stopped in the middle of a transaction for so long. */
  async frozen(ms: number): Promise<void> {
    const done = this.#ask({ ms: 50, times: 1, pauseMs: 0 })
    const held = once(this.#child, 'message')
    await held
    process.kill(this.#child.pid!, 'SIGSTOP')
    await delay(ms)
    process.kill(this.#child.pid!, 'SIGCONT')
    await done
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }

  async #ask(order: object): Promise<void> {
    const done = new Promise<void>((resolve) => {
      const listen = (message: unknown): void => {
        if (message !== 'done') return
        this.#child.off('message', listen)
        resolve()
      }
      this.#child.on('message', listen)
      this.#child.once('exit', resolve)
    })
    this.#child.send(order)
    await done
  }
}
