import { shareMended, shareMismatch } from './rule/index.ts'
import type { Reading } from './samples/reading.ts'
import { ShareWatch } from './share-watch.ts'
import type { UsersSeen } from './share-watch.ts'

/** Evidence of a thousand to one, to raise the alarm and to clear it. */
const SURE = Math.log(1000)

interface Mismatch {
  readonly message: string
  /** Share of the users that were on when it was last confirmed. */
  readonly seen: number
}

/**
 * The alarm that the users seen are not in the ratio that was set. A healthy step raises it with a
 * chance of at most 0.1 %, however often one looks.
 *
 * Once it is raised the users are counted anew, since what was seen before would speak against the
 * share long after it is right again; and anew whenever the mismatch is confirmed. Each count clears
 * the alarm wrongly with a chance of at most 0.1 % (see {@link shareMended}); a mismatch that stands
 * then raises it again. Only alarms begin a count of their own, so a healthy step is not looked at
 * any more often for being able to clear them.
 */
export class ShareAlarm {
  readonly #users = new ShareWatch()
  #mismatch: Mismatch | undefined
  #plain = true

  /** A step begins, or what decides is another: everything so far is of another share. */
  restart(): void {
    this.#users.restart()
    this.#mismatch = undefined
  }

  add(reading: Reading): void {
    this.#users.add(reading)
  }

  /** The users of the present count, and the logarithm of the evidence that their ratio is wrong. */
  users(percent: number): UsersSeen & { readonly logFactor: number } {
    const { off, on } = this.#users.read()
    const share = percent / 100
    const logFactor = share > 0 && share < 1 ? shareMismatch(on, off, share) : 0
    return { off, on, logFactor }
  }

  /**
   * @param plain nothing but a split decides, so that the share seen must be the share set
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
    const message = `${Math.round(on)} of ${Math.round(on + off)} users are on, at ${percent} %`
    // Not 0 or 1: the first user on the other side would prove too much.
    this.#mismatch = { message, seen: (on + 1) / (on + off + 2) }
    this.#users.restart()
  }
}
