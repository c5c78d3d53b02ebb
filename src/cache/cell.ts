/**
 * The content of a backend for one key. `token` is fresh and random at every change of the cell, so
 * that a later conditional write can see whether the cell changed in between. One shape for all
 * states: reading a cell is the hottest path there is.
 */
export interface Cell {
  /**
   * - `value`: alive.
   * - `expired`: a value past its expiry that still has a token: as a rule that of the value.
   * - `tombstone`: deleted, or superseded by a write on the other side.
   * - `absent`: the store knows nothing (token `''`), or only a remnant dead for longer than the
   *   tombstone lifetime (token of the remnant).
   */
  readonly state: CellState
  readonly token: string
  /** The encoded value; `''` unless `state` is `value`. */
  readonly payload: string
  /** Epoch milliseconds, by the clock of the store. 0 when absent. */
  readonly writtenAt: number
  /**
   * Epoch milliseconds; {@link NEVER} when the value does not expire, {@link EXPIRY_UNKNOWN} where only the store
   * knows. 0 unless `value` or `expired`.
   */
  readonly expiresAt: number
  /**
   * Only on tombstones: the token that the write which superseded this cell left on the *other*
   * side. While the other side still shows that very token, its value is the latest one. `''` if none.
   * On a value that another program wrote: the token of what the switch had there before.
   */
  readonly successor: string
  /**
   * The era of the store when this was read, to be handed back with a write that is conditional on the
   * token; anything where the store has no eras. See {@link CacheBackend.era}.
   */
  readonly era?: string
  /** Of an expired value whose text the store still has: that text. Only `grace` serves it. */
  readonly stale?: string
}

export type CellState = 'value' | 'expired' | 'tombstone' | 'absent'

/** Expiry of a value that does not expire (13 digits, the year 2286). */
export const NEVER = 9_999_999_999_999

/**
 * Expiry of a value that another program wrote into a store that keeps plain values: only the store knows it,
 * see `CacheBackend.claim`.
 */
export const EXPIRY_UNKNOWN = -1

/** Whether the value is the one that a tombstone names, or was written over that one by another program. */
export function isNamed(tombstone: Cell, value: Cell): boolean {
  const { successor } = tombstone
  if (tombstone.state !== 'tombstone' || successor === '') return false
  if (value.token === successor) return true
  return value.expiresAt === EXPIRY_UNKNOWN && value.successor === successor
}

export const ABSENT: Cell = Object.freeze({
  state: 'absent',
  token: '',
  payload: '',
  writtenAt: 0,
  expiresAt: 0,
  successor: '',
})

/** Length of a token in characters: 72 random bits in base64url. */
export const TOKEN_LENGTH = 12
