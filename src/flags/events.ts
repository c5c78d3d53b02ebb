/** A change of state worth one line in the log. */
export interface FlagsEvent {
  readonly level: 'info' | 'warn'
  /** One line for people, without user ids. */
  readonly message: string
}

export type OnFlagsEvent = (event: FlagsEvent) => void

/** Somebody else's logger must not be able to fail a decision. */
export function safely(onEvent: OnFlagsEvent | undefined): OnFlagsEvent {
  return (event) => {
    try {
      onEvent?.(event)
    } catch {
      // Nobody is left to tell.
    }
  }
}
