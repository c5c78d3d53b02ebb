import { setTimeout as sleep } from 'node:timers/promises'
import type { AuditEntry } from '../status/audit.ts'
import { deliver, type Receiver, receiverName } from './deliver.ts'
import { type GuardMessage, messageOfEntry, NOTIFY_ON, type NotifyOn } from './message.ts'

export type Receivers = Readonly<Record<NotifyOn, readonly Receiver[]>>

export interface NotifierOptions {
  readonly receivers: Receivers
  /** The guard's name, in the messages. */
  readonly guard: string
  readonly secret?: string | undefined
  /** For one attempt, in milliseconds. @default 5000 */
  readonly timeoutMs?: number
  /** Pauses before the second attempt and those that follow, in milliseconds. @default 1, 3, 10, 30 s */
  readonly pausesMs?: readonly number[]
}

/** More messages than this wait for no receiver: the oldest go first. */
const MOST_WAITING = 100

/** Tells people, and never makes the guard wait for them. */
export class Notifier {
  readonly #options: NotifierOptions
  readonly #lines = new Map<string, Line>()
  #sent = 0
  #failed = 0

  constructor(options: NotifierOptions) {
    this.#options = options
    for (const on of NOTIFY_ON) {
      for (const receiver of options.receivers[on]) {
        const key = keyOf(receiver)
        if (!this.#lines.has(key)) this.#lines.set(key, new Line(receiver, options))
      }
    }
  }

  /** Messages accepted and given up. */
  get counts(): { readonly sent: number; readonly failed: number } {
    return { sent: this.#sent, failed: this.#failed }
  }

  /** Which receivers take nothing, and why; '' when all do. */
  get trouble(): string {
    const troubles = Array.from(this.#lines.values(), ({ trouble }) => trouble)
    return troubles.filter((each) => each !== '').join('; ')
  }

  /** Passes an audit line on to those who want to hear of it; returns at once. */
  tell(entry: AuditEntry): void {
    const found = messageOfEntry(entry, this.#options.guard)
    if (found === undefined) return
    for (const receiver of this.#options.receivers[found.on]) {
      void this.#send(this.#lines.get(keyOf(receiver)), found.message)
    }
  }

  async #send(line: Line | undefined, message: GuardMessage): Promise<void> {
    if ((await line?.send(message)) === true) this.#sent++
    else this.#failed++
  }

  /** Sends one message to every receiver, once. @returns by receiver what happened, '' when accepted */
  async test(message: GuardMessage): Promise<ReadonlyMap<string, string>> {
    const { secret, timeoutMs = 5000 } = this.#options
    const results = new Map<string, string>()
    await Promise.all(
      Array.from(this.#lines.values(), async ({ receiver }) => {
        const name = receiverName(receiver)
        const before = results.get(name)
        const result = await deliver(receiver, message, { secret, timeoutMs })
        results.set(name, before === undefined || before === '' ? result : before)
      }),
    )
    return results
  }

  /** Waits until everything is delivered or given up, but not for longer. */
  async drain(ms: number): Promise<void> {
    const all = Promise.all(Array.from(this.#lines.values(), (line) => line.idle))
    const timer = new AbortController()
    await Promise.race([
      all,
      sleep(ms, undefined, { signal: timer.signal }).catch(() => {
        // Aborted, since all is delivered.
      }),
    ])
    timer.abort()
    for (const line of this.#lines.values()) line.close()
  }
}

function keyOf(receiver: Receiver): string {
  return receiver.kind === 'webhook' ? receiver.url.href : JSON.stringify(receiver.argv)
}

/** The messages for one receiver, in order. */
class Line {
  trouble = ''
  idle: Promise<void> = Promise.resolve()
  readonly receiver: Receiver
  readonly #options: NotifierOptions
  readonly #waiting: { message: GuardMessage; done: (accepted: boolean) => void }[] = []
  readonly #closed = new AbortController()
  #running = false

  constructor(receiver: Receiver, options: NotifierOptions) {
    this.receiver = receiver
    this.#options = options
  }

  /** @returns whether it was accepted in the end */
  send(message: GuardMessage): Promise<boolean> {
    return new Promise((done) => {
      this.#waiting.push({ message, done })
      if (this.#waiting.length > MOST_WAITING) this.#waiting.shift()?.done(false)
      if (!this.#running) this.idle = this.#run()
    })
  }

  close(): void {
    this.#closed.abort()
    for (const { done } of this.#waiting.splice(0)) done(false)
  }

  async #run(): Promise<void> {
    this.#running = true
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      next.done(await this.#deliver(next.message))
    }
    this.#running = false
  }

  async #deliver(message: GuardMessage): Promise<boolean> {
    const { secret, timeoutMs = 5000 } = this.#options
    const pauses = [0, ...(this.#options.pausesMs ?? [1000, 3000, 10_000, 30_000])]
    for (const [i, pause] of pauses.entries()) {
      const { signal } = this.#closed
      // Closed: nobody waits for a further attempt.
      if (pause > 0) await sleep(pause, undefined, { signal }).catch(() => {})
      if (signal.aborted) return false
      const what = await deliver(this.receiver, message, { secret, timeoutMs })
      if (what === '') {
        this.trouble = ''
        return true
      }
      // One attempt that fails is not told: the next one follows in a moment.
      if (i > 0) this.trouble = `${receiverName(this.receiver)} ${what}`
    }
    this.trouble = `${this.trouble}; the message of ${message.event} was given up`
    return false
  }
}
