import { shareMismatch } from './rule/index.ts'
import type { Reading } from './samples/reading.ts'

interface Seen {
  /** Windows begun when the step did. */
  readonly windowsAtStart: number
  readonly instance: string
  /** Users counted before the windows that count for this step. */
  before: { readonly off: number; readonly on: number; readonly windows: number }
  now: { readonly off: number; readonly on: number; readonly windows: number }
}

/**
 * Holds the users seen against the share set. Every replica counts each user once per window, so the
 * same user may be counted once per replica and window; the counts are divided by that, which makes
 * the check slow where users are many, but never wrong. Windows begun before the step do not count:
 * in them only those who changed sides would be new.
 */
export class ShareWatch {
  readonly #replicas = new Map<string, Seen>()

  /** A step begins: everything counted so far is of another share. */
  restart(): void {
    this.#replicas.clear()
  }

  add(reading: Reading): void {
    const { replica, instance, userWindows: windows, arms } = reading
    const counts = { off: arms.off.users, on: arms.on.users, windows }
    const seen = this.#replicas.get(replica)
    if (seen === undefined || seen.instance !== instance) {
      this.#replicas.set(replica, {
        windowsAtStart: windows,
        instance,
        before: counts,
        now: counts,
      })
      return
    }
    if (windows <= seen.windowsAtStart + 1) seen.before = counts
    seen.now = counts
  }

  /** Distinct users on each side in the windows that count, and the logarithm of the Bayes factor. */
  read(share: number): { readonly off: number; readonly on: number; readonly logFactor: number } {
    let off = 0
    let on = 0
    let windows = 1
    let counting = 0
    for (const { before, now } of this.#replicas.values()) {
      if (now.windows <= before.windows) continue
      off += now.off - before.off
      on += now.on - before.on
      windows = Math.max(windows, now.windows - before.windows)
      counting++
    }
    const repeats = Math.max(1, counting) * windows
    const users = { off: off / repeats, on: on / repeats }
    const fits = share > 0 && share < 1
    return { ...users, logFactor: fits ? shareMismatch(users.on, users.off, share) : 0 }
  }
}
