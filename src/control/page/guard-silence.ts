import type { GuardReading } from '../guard-view.ts'

/** A guard that has not been heard for so long is not relied on, in milliseconds. */
const SILENT_MS = 5000
/** One that looks more seldom may miss so many looks. */
const LOOKS = 3

/** For how many seconds a guard that should be heard has not been heard; 0 while it is. */
export function guardSilentS({ at, mode, plan }: GuardReading, now: number): number {
  if (mode === 'stopped' && plan === undefined) return 0
  const silentMs = now - at
  const patience = Math.max(SILENT_MS, LOOKS * (plan?.intervalMs ?? 0))
  return silentMs > patience ? Math.round(silentMs / 1000) : 0
}
