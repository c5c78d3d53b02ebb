import type { Side } from '../side.ts'

/** A change of state for those on call: rare, never once per operation. */
export interface SwitchEvent {
  readonly type:
    | 'side-out' // a breaker opened
    | 'side-back' // and closed again
    | 'fenced' // everything older on that side was distrusted at once
    | 'ledger-failed' // owed invalidations cannot be written down; they are kept in memory
    | 'repaid' // nothing is owed any more
    | 'debts-left' // the switch was closed before a side was told, and nobody else knows
    | 'promises-less' // this pair of stores has no common place for what is pending
    | 'standby-changed' // another standby policy is in force
    | 'mismatch' // compare found the two sides to disagree
    | 'value-not-cached' // a loaded value was returned but could not be stored
  readonly side?: Side
  /** The backend's name. */
  readonly backend?: string
  /** One line for people; never a raw key. */
  readonly detail: string
}

export type Notify = (event: SwitchEvent) => void

/** The default handler of events. */
export const logEvent: Notify = ({ type, side = '', backend = '', detail }) => {
  const where = side === '' ? '' : ` ${side} (${backend})`
  console.warn(`switchback: ${type}${where}: ${detail}`)
}
