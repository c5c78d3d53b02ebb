import { shareMended, shareMismatch } from '../rule/index.ts'
import type { Reading } from '../samples/reading.ts'
import { ShareWatch } from './share-watch.ts'
import type { UsersSeen } from './share-watch.ts'

/** Evidence of a thousand to one, to raise the alarm and to clear it. */
const SURE = Math.log(1000)

interface Mismatch {
  readonly message: string
  /** Share of the users that were on the new side when the mismatch was last confirmed. */
  readonly seen: number
}

/**
 * The alarm that the users seen are not in the ratio that was set. A healthy step raises it with a
 * chance of at most 0.1 %. After it is raised, and whenever it is confirmed, a new count of users
 * begins, which clears it wrongly with a chance of at most 0.1 % (docs/adr/0005-e-process.md).
 */
export class ShareAlarm {
  readonly #users = new ShareWatch()
  #mismatch: Mismatch | undefined
  #plain = true

  /** A step begins, or the rule changed: everything so far belongs to another share. */
  restart(): void {
    this.#users.restart()
    this.#mismatch = undefined
  }

  add(reading: Reading): void {
    this.#users.add(reading)
  }

  /**
   * The users of the current count, and the logarithm of the evidence that their ratio is wrong.
   */
  users(percent: number): UsersSeen & { readonly logFactor: number } {
    const { off, on } = this.#users.read()
    const share = percent / 100
    const logFactor = share > 0 && share < 1 ? shareMismatch(on, off, share) : 0
    return { off, on, logFactor }
  }

  /**
   * @param plain the rule is a split and nothing else, so the share seen must be the share set
   * @returns what is wrong; '' when nothing is
   */
  look(percent: number, plain: boolean): string {
    if (plain !== this.#plain) this.restart()
    this.#plain = plain
    if (!plain || percent <= 0 || percent >= 100) return ''
    const { off, on, logFactor } = this.users(percent)
    if (this.#mismatch === undefined) {
      if (logFactor >= SURE) this.#confirm(off, on, percent)
    } else {
      const mended = shareMended(on, off, percent / 100, this.#mismatch.seen)
      if (mended >= SURE) this.restart()
      else if (mended <= -SURE) this.#confirm(off, on, percent)
    }
    return this.#mismatch?.message ?? ''
  }

  #confirm(off: number, on: number, percent: number): void {
    const message = `${Math.round(on)} of ${Math.round(on + off)} users are on the new side, at a share of ${percent} %`
    // Not 0 or 1, where the first user on the other side would prove too much.
    this.#mismatch = { message, seen: (on + 1) / (on + off + 2) }
    this.#users.restart()
  }
}
