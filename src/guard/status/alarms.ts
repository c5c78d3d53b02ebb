/** docs/guard.md explains each to those on call. */
export type AlarmCode =
  | 'metrics-lost'
  // The source lacks what the rule counts, which does not end by itself.
  | 'series-missing'
  | 'replica-silent'
  | 'replica-disagrees'
  // The users seen are not in the ratio that was set.
  | 'side-out'
  | 'share-mismatch'
  // flagd or a replica does not follow the file; flagd stays "ready" when its file watch has failed.
  | 'not-served'
  // An edit by hand moved users who should have stayed.
  | 'edited'
  // The flag's rule depends on the time, so its share changes without an edit.
  | 'moving'
  // An absolute limit is exceeded.
  | 'limit'
  // The flags file cannot be read.
  | 'file'
  // The file may not be what all others have, or could not be changed.
  | 'stale'
  // The guard's own state cannot be saved.
  | 'state'
  // The most urgent one.
  | 'rollback-failed'
  // A receiver of messages accepts none.
  | 'notify'
  // Seen while the guard may not act.
  | 'regressed'

export interface Alarm {
  readonly code: AlarmCode
  readonly message: string
  /** Epoch milliseconds. */
  readonly since: number
}

/** An alarm that is over. */
export interface EndedAlarm extends Alarm {
  /** Epoch milliseconds. */
  readonly until: number
}

/** So many alarms that are over are kept, for so long. */
const KEPT = 5
const KEPT_MS = 30 * 60_000

/** Alarms in which no step is taken. */
export const HOLDING: ReadonlySet<AlarmCode> = new Set([
  'metrics-lost',
  'series-missing',
  'side-out',
  'share-mismatch',
  'not-served',
  'edited',
  'moving',
  'limit',
  'file',
  'stale',
  'rollback-failed',
])

/** Alarms that are on, each reported once when it begins and once when it ends. */
export class Alarms {
  readonly #on = new Map<AlarmCode, Alarm>()
  #ended: readonly EndedAlarm[] = []
  readonly #tell: (alarm: Alarm, on: boolean) => Promise<void>

  constructor(tell: (alarm: Alarm, on: boolean) => Promise<void>) {
    this.#tell = tell
  }

  get list(): readonly Alarm[] {
    return [...this.#on.values()]
  }

  /** Those that ended within the last half hour and are not on again, the newest first. */
  ended(now: number): readonly EndedAlarm[] {
    return this.#ended.filter(({ code, until }) => now - until <= KEPT_MS && !this.#on.has(code))
  }

  /** Alarms that prevent the next step. */
  get holding(): readonly Alarm[] {
    return this.list.filter(({ code }) => HOLDING.has(code))
  }

  /** @param message '' clears it */
  async set(code: AlarmCode, message: string, now: number): Promise<void> {
    const before = this.#on.get(code)
    if (message === '') {
      this.#on.delete(code)
      if (before === undefined) return
      const others = this.#ended.filter((one) => one.code !== code)
      this.#ended = [{ ...before, until: now }, ...others].slice(0, KEPT)
      await this.#tell(before, false)
      return
    }
    const alarm = { code, message, since: before?.since ?? now }
    this.#on.set(code, alarm)
    if (before === undefined) await this.#tell(alarm, true)
  }
}
