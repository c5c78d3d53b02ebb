import { createHash } from 'node:crypto'
import type { Comparison, Recorder } from '../recorder.ts'

/** What a side has under a key, as far as two sides can be compared. */
export interface SeenCell {
  readonly state: string
  readonly token: string
  readonly payload: string
  readonly expiresAt: number
}

/** Covers the sides' clocks and the way between them. */
const TTL_DRIFT_MS = 1000

/** One mismatch a second is enough to start looking; the counter has them all. */
const REPORT_INTERVAL_MS = 1000

type Read = () => SeenCell | Promise<SeenCell>

/** Tells how the side that just served a value and the other one agree. */
export class Comparisons {
  readonly #recorder: Recorder
  /** Told, now and then, that the sides differ for a key, by a hash of it. */
  readonly #onMismatch: (name: string) => void
  #lastReport = 0

  constructor(recorder: Recorder, onMismatch: (name: string) => void) {
    this.#recorder = recorder
    this.#onMismatch = onMismatch
  }

  async run(key: string, seen: SeenCell, readOwn: Read, readOther: Read): Promise<void> {
    const result = await compare(seen, readOwn, readOther)
    this.#recorder.comparison(result)
    const now = Date.now()
    if (result !== 'mismatch' || now - this.#lastReport < REPORT_INTERVAL_MS) return
    this.#lastReport = now
    this.#onMismatch(createHash('sha256').update(key).digest('hex').slice(0, 12))
  }
}

/** Reads both sides again before it reports a difference. */
async function compare(seen: SeenCell, readOwn: Read, readOther: Read): Promise<Comparison> {
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
