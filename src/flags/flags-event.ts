/** A change of state worth one line in the log. */
export interface FlagsEvent {
  readonly level: 'info' | 'warn'
  /** One line for people, without user ids. */
  readonly message: string
}

export type OnFlagsEvent = (event: FlagsEvent) => void

/**
 * Calls a handler in such a way that its error cannot fail a decision.
 *
 * @param onEvent without it, warnings go to console.warn: flags that are off need a reason, and their end
 */
export function safely(onEvent: OnFlagsEvent = toConsole()): OnFlagsEvent {
  return (event) => {
    try {
      onEvent(event)
    } catch {
      // The handler itself failed; there is no other place to report it.
    }
  }
}

/** Good news only of what was warned of before. */
function toConsole(): OnFlagsEvent {
  let warned = false
  return ({ level, message }) => {
    if (level !== 'warn' && !warned) return
    warned = level === 'warn'
    console.warn(`switchback: ${message}`)
  }
}
