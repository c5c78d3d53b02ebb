import type { Comparison } from './recorder.ts'

/** What a side has under a key, as far as two sides can be compared. */
export interface SeenCell {
  readonly state: string
  readonly token: string
  readonly payload: string
  readonly expiresAt: number
}

/** Covers the sides' clocks and the way between them. */
const TTL_DRIFT_MS = 1000

/**
 * How the side that just served `seen` and the other one agree. Reads both again before it reports
 * a difference.
 */
export async function compareSides(
  seen: SeenCell,
  readOwn: () => SeenCell | Promise<SeenCell>,
  readOther: () => SeenCell | Promise<SeenCell>,
): Promise<Comparison> {
  const other = await readOther()
  if (other.state !== 'value') return 'cold'
  if (other.payload === seen.payload) {
    return Math.abs(other.expiresAt - seen.expiresAt) > TTL_DRIFT_MS ? 'ttl_drift' : 'same'
  }
  // A write may have come between the two reads.
  const own = await readOwn()
  const again = await readOther()
  return own.token === seen.token && again.token === other.token ? 'mismatch' : 'race'
}
