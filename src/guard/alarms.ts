/**
 * - `metrics-lost`, `replica-silent`, `replica-disagrees`: the eyes;
 * - `share-mismatch`: the users seen are not in the ratio that was set;
 * - `not-served`: flagd or a replica does not follow the file (a dead file watch keeps flagd "ready");
 * - `edited`: somebody edited the file by hand and moved users who should have stayed;
 * - `moving`: the flag's rule asks for the time, so that its share changes by itself;
 * - `limit`: an absolute limit is broken;
 * - `file`: the flags file cannot be read; `state`: the guard's own state cannot be saved;
 * - `rollback-failed`: the most urgent one;
 * - `regressed`: seen while the guard may not act.
 */
export type AlarmCode =
  | 'metrics-lost'
  | 'replica-silent'
  | 'replica-disagrees'
  | 'share-mismatch'
  | 'not-served'
  | 'edited'
  | 'moving'
  | 'limit'
  | 'file'
  | 'state'
  | 'rollback-failed'
  | 'regressed'

export interface Alarm {
  readonly code: AlarmCode
  readonly message: string
  /** Epoch milliseconds. */
  readonly since: number
}

/** Alarms in which no step is taken. */
const HOLDING: ReadonlySet<AlarmCode> = new Set([
  'metrics-lost',
  'share-mismatch',
  'not-served',
  'edited',
  'moving',
  'limit',
  'file',
  'rollback-failed',
])

/** Alarms that are on, each told once when it begins and once when it ends. */
export class Alarms {
  readonly #on = new Map<AlarmCode, Alarm>()
  readonly #tell: (alarm: Alarm, on: boolean) => Promise<void>

  constructor(tell: (alarm: Alarm, on: boolean) => Promise<void>) {
    this.#tell = tell
  }

  get list(): readonly Alarm[] {
    return [...this.#on.values()]
  }

  /** Alarms that stand in the way of a step. */
  get holding(): readonly Alarm[] {
    return this.list.filter(({ code }) => HOLDING.has(code))
  }

  /** @param message '' clears it */
  async set(code: AlarmCode, message: string, now: number): Promise<void> {
    const before = this.#on.get(code)
    if (message === '') {
      this.#on.delete(code)
      if (before !== undefined) await this.#tell(before, false)
      return
    }
    const alarm = { code, message, since: before?.since ?? now }
    this.#on.set(code, alarm)
    if (before === undefined) await this.#tell(alarm, true)
  }
}
