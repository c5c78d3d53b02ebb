import type { SwitchbackErrorCode } from '../error-codes.ts'
import type { Side } from '../side.ts'

/** A change of state for those on call: rare, never once per operation. */
export type SwitchEvent = SideChange | CacheChange | StoreWarning | FlagsChange

export interface EventText {
  readonly level: 'info' | 'warn'
  /** What happened, in one line for people; never a raw key. */
  readonly detail: string
  /** The line for a log: `detail` with the type, the side and the backend before it. */
  readonly message: string
}

/** Something happened to one side. */
export interface SideChange extends EventText {
  readonly type:
    | 'side-out' // a breaker opened
    | 'side-back' // and closed again
    | 'fenced' // everything older on that side was distrusted at once
    | 'repaid' // nothing is pending any more
    | 'shadow-failing' // every comparison with that side fails, so nothing is compared
    | 'write-left' // a write that goes to both sides was done on one only
    | 'debts-left' // the switch was closed before a side was told, and nobody else knows
    | 'follower-out' // the side, this machine's own, does not hear what other machines write
    | 'follower-back' // and hears it again
    | 'others-met' // other machines use the shared side too, each with an old side of its own
  readonly side: Side
  /** The backend's name. */
  readonly backend: string
}

/** Something happened to the cache as a whole. */
export interface CacheChange extends EventText {
  readonly type:
    | 'ledger-failed' // pending invalidations cannot be written down; they are kept in memory
    | 'promises-less' // this pair of stores has no common place for what is pending
    | 'standby-changed' // another standby policy is in force
    | 'mismatch' // compare found the two sides to disagree
    | 'value-not-cached' // a loaded value was returned but could not be stored
  readonly side?: undefined
  readonly backend?: undefined
}

/** A backend has something to say: an unsafe option of a client, damaged files, a lost connection. */
export interface StoreWarning extends EventText {
  readonly type: 'warning'
  readonly side: Side
  /** The backend's name. */
  readonly backend: string
  /** As in docs/errors.md. */
  readonly code: SwitchbackErrorCode
}

/** What the flag's decider reports, where the switch made it: see {@link FlagsEvent}. */
export interface FlagsChange extends EventText {
  readonly type: 'flags'
  readonly side?: undefined
  readonly backend?: undefined
}

type Untold<Event> = Event extends SideChange | CacheChange | StoreWarning
  ? Omit<Event, 'level' | 'message'>
  : Omit<Event, 'message'>

/** An event as the parts of the switch report it. */
export type Notice = Untold<SwitchEvent>
export type Notify = (notice: Notice) => void

const GOOD_NEWS: ReadonlySet<string> = new Set([
  'side-back',
  'repaid',
  'standby-changed',
  'follower-back',
  'others-met',
])

export function eventOf(notice: Notice): SwitchEvent {
  const { type, detail } = notice
  const where = notice.side === undefined ? '' : ` ${notice.side} (${notice.backend})`
  const level = GOOD_NEWS.has(type) ? 'info' : 'warn'
  return { level, message: `${type}${where}: ${detail}`, ...notice } as SwitchEvent
}

/** The default handler of events. */
export function logEvent({ type, level, message }: SwitchEvent): void {
  if (type !== 'flags' || level === 'warn') console.warn(`switchback: ${message}`)
}
