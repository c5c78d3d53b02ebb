import type { Actuator, WriteEffect, SplitReading } from '../act/actuator.ts'
import type { Alarms } from '../status/alarms.ts'
import { problemAndRemedy } from '../act/records.ts'

const SERVED_EVERY_MS = 10_000
/** While a process does not follow: the alarm must not outlive its cause. */
const LAGGING_EVERY_MS = 2_000

const MOVING =
  'the rule depends on the time, so its share changes without an edit; the guard takes no step until that is removed'

const CANNOT_ACT = '; until that is repaired the guard can neither widen nor roll back'

export interface FlagLookOptions {
  readonly actuator: Actuator
  readonly alarms: Alarms
  /** flagd serves the file again: what was counted in between belongs to another share. */
  readonly onMended: () => void
}

/** Looks at the flags file, and periodically at what flagd and the replicas decide. */
export class FlagLook {
  /** The rule is a split and nothing else, so the share seen must be the share set. */
  plain = false
  /** Share of the probe users that each process must send to the new side, where that is known. */
  expected: number | undefined
  readonly #options: FlagLookOptions
  #askedAt = -Infinity
  /** How often in a row flagd or a replica did not follow the file. */
  #unserved = 0
  /** Until then a change that the replicas do not have yet is on its way, as where the flags live is slow. */
  #lateAt = -Infinity
  /** What is waited for before another step; `''`: nothing. */
  waiting = ''

  constructor(options: FlagLookOptions) {
    this.#options = options
  }

  /** The split, or undefined when it cannot be read. */
  async split(now: number): Promise<SplitReading | undefined> {
    const { actuator, alarms } = this.#options
    try {
      const split = await actuator.read()
      this.plain = split.plain
      this.expected = split.expected
      await alarms.set('file', '', now)
      const edited = `the file was edited by hand: ${split.edited}; run switchback undo to undo it`
      await alarms.set('edited', split.edited === '' ? '' : edited, now)
      await alarms.set('moving', split.moving === true ? MOVING : '', now)
      return split
    } catch (error) {
      await alarms.set('file', problemAndRemedy(error), now)
      return undefined
    } finally {
      const trouble = actuator.trouble?.() ?? ''
      await alarms.set('stale', trouble === '' ? '' : trouble + CANNOT_ACT, now)
    }
  }

  async served(now: number): Promise<void> {
    const everyMs = this.#unserved >= 2 ? LAGGING_EVERY_MS : SERVED_EVERY_MS
    if (now - this.#askedAt < everyMs) return
    this.#askedAt = now
    const { actuator, alarms, onMended } = this.#options
    const { same, detail } = await actuator
      .served()
      .catch((error: unknown) => ({ same: undefined, detail: problemAndRemedy(error) }))
    // Twice in a row: flagd needs a second for a change made just now.
    if (same !== false && this.#unserved >= 2) onMended()
    this.#unserved = same === false ? this.#unserved + 1 : 0
    const late = now >= this.#lateAt
    this.waiting = same === false && !late ? waitingFor(detail) : ''
    await alarms.set('not-served', this.#unserved >= 2 && late ? detail : '', now)
  }

  /** An unconfirmed change is an alarm at once, or as soon as it is late; the next look may clear it. */
  async expect({ confirmed, detail }: WriteEffect, now: number): Promise<void> {
    const { actuator, alarms } = this.#options
    const { reachMs = 0 } = actuator
    this.#askedAt = now
    this.#unserved = confirmed === false ? 2 : 0
    this.#lateAt = confirmed === true ? -Infinity : now + reachMs
    const why = confirmed === false ? detail || 'the change is not confirmed' : ''
    const late = now >= this.#lateAt
    this.waiting = why === '' || late ? '' : waitingFor(why)
    await alarms.set('not-served', late ? why : '', now)
  }
}

function waitingFor(detail: string): string {
  return `waiting until all processes have the change: ${detail}`
}
