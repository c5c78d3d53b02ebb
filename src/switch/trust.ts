import type { Debts } from './debts.ts'
import type { GuardedSide } from './guarded-side.ts'

/** The side is out, or owes the key. */
export const NEVER_TRUSTED: number = Number.POSITIVE_INFINITY

/** From when on (store clock) the side's cells of this key are to be trusted; {@link NEVER_TRUSTED}. */
export function trustedFrom(debts: Debts, side: GuardedSide, key: string): number {
  return side.usable ? debts.trustedFrom(side.side, key) : NEVER_TRUSTED
}

/** As {@link trustedFrom}, after a read; `asked` and `changes` are from before it. */
export function trustedSince(
  debts: Debts,
  side: GuardedSide,
  key: string,
  asked: number,
  changes: number,
): number {
  // A store that restarted meanwhile has told so before it answered.
  return debts.changes === changes ? asked : Math.max(asked, trustedFrom(debts, side, key))
}
