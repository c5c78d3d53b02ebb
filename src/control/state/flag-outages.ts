import type { ProcessAnswer } from '../../scrape/index.ts'

/** Whether the processes reach the source of their flags, and the last time that one did not. */
export interface FlagOutagesReading {
  /** How many say whether they do, and how many of them do not. */
  readonly told: number
  readonly down: number
  /** The one that is without for the longest time, or was last; `''` when none was. */
  readonly process: string
  /** Epoch milliseconds since when it is, or was, without; `null` when none was. */
  readonly since: number | null
  /** Epoch milliseconds when the last one was back; `null` while one is without. */
  readonly backAt: number | null
}

/** An outage that is over is shown for so long, in milliseconds. */
const SHOWN_MS = 30 * 60_000

/** Remembers since when a process is without flags: its own metrics say only that it is. */
export class FlagOutages {
  readonly #since = new Map<string, number>()
  #over: { readonly process: string; readonly since: number; readonly until: number } | undefined

  read(now: number, answers: readonly ProcessAnswer[]): FlagOutagesReading {
    let told = 0
    for (const { process, reading } of answers) {
      if (reading?.up === undefined) continue
      // One that refuses its flags has reached their source; that is a finding of its own.
      const up = reading.up || reading.refused !== undefined
      told++
      const since = this.#since.get(process)
      if (!up) this.#since.set(process, since ?? now)
      else if (since !== undefined) {
        this.#since.delete(process)
        this.#over = { process, since, until: now }
      }
    }
    const known = new Set(answers.map(({ process }) => process))
    for (const gone of this.#since.keys()) if (!known.has(gone)) this.#since.delete(gone)
    const [longest] = [...this.#since].sort(([, a], [, b]) => a - b)
    if (longest !== undefined) {
      const [process, since] = longest
      return { told, down: this.#since.size, process, since, backAt: null }
    }
    const over = this.#over
    if (over === undefined || now - over.until > SHOWN_MS) {
      return { told, down: 0, process: '', since: null, backAt: null }
    }
    return { told, down: 0, process: over.process, since: over.since, backAt: over.until }
  }
}
