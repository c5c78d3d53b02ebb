/** A change of state worth one line in the log. */
export interface FlagsEvent {
  readonly level: 'info' | 'warn'
  /** One line for people, without user ids. */
  readonly message: string
}

export type OnFlagsEvent = (event: FlagsEvent) => void

/**
 * Somebody else's logger must not be able to fail a decision.
 *
 * @param onEvent warnings go to console.warn when not given: flags that are off need a reason
 */
export function safely(onEvent: OnFlagsEvent = toConsole): OnFlagsEvent {
  return (event) => {
    try {
      onEvent(event)
    } catch {
      // Nobody is left to tell.
    }
  }
}

function toConsole({ level, message }: FlagsEvent): void {
  if (level === 'warn') console.warn(`switchback: ${message}`)
}
