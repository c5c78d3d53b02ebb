import { SwitchbackError, withHint } from '../errors.ts'
import { safeListener } from '../listeners.ts'

export type OnWarning = (warning: SwitchbackError) => void

/**
 * Where the warnings of a backend go: to the switch that it is given to. What nobody has asked for by the
 * next turn of the event loop goes to stderr.
 */
export class Warnings {
  #listener: OnWarning | undefined
  readonly #waiting: SwitchbackError[] = []

  readonly tell: OnWarning = (warning) => {
    if (this.#listener !== undefined) return this.#listener(warning)
    if (this.#waiting.push(warning) === 1) setImmediate(() => this.#flush(warn))
  }

  /** From now on, and what is waiting. */
  to(listener: OnWarning): void {
    this.#listener = safeListener('onWarning', listener)
    this.#flush(this.#listener)
  }

  #flush(listener: OnWarning): void {
    for (const warning of this.#waiting.splice(0)) listener(warning)
  }
}

/** One line, which begins with its code. */
function warn(warning: SwitchbackError): void {
  console.warn(`${warning.code}: ${withHint(warning)}`)
}

/** @param where what the processes share */
export function tombstoneTtlRaised(ms: number, longest: number, where: string): SwitchbackError {
  return new SwitchbackError(
    'SB_TOMBSTONE_TTL_RAISED',
    `tombstoneTtl ${ms} is shorter than the ${longest} ms that other processes use on ${where}; ${longest} ms is used.`,
    { hint: 'Give all processes the same tombstoneTtl. It never gets shorter there.' },
  )
}
