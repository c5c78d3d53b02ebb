import type { Reading } from '../samples/reading.ts'

/** Distinct users. */
export interface UsersSeen {
  readonly off: number
  readonly on: number
}

interface Seen {
  /** Windows begun when the step did. */
  readonly windowsAtStart: number
  readonly instance: string
  /** Users counted before the windows that count for this step. */
  before: { readonly off: number; readonly on: number; readonly windows: number }
  now: { readonly off: number; readonly on: number; readonly windows: number }
}

/**
 * Counts distinct users. Every replica counts each user once per window, so the counts are divided
 * by replicas and windows; that makes them too small where users are many, but keeps their ratio.
 * Windows from before the step do not count: there only users who changed sides would be new.
 */
export class ShareWatch {
  readonly #replicas = new Map<string, Seen>()

  /** Forgets everything and counts from the next window on. */
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

  /** Users on each side in the windows that count. */
  read(): UsersSeen {
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
    return { off: off / repeats, on: on / repeats }
  }
}
