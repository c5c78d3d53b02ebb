import type { Entry } from '../../cache/index.ts'
import type { Comparisons, Recorder } from '../../telemetry/index.ts'
import type { Debts } from '../truth/debts.ts'
import type { GuardedSide } from '../sides/guarded-side.ts'
import type { PinnedOperation } from '../operation.ts'

export interface BackgroundParts {
  readonly debts: Debts
  readonly recorder: Recorder
  readonly comparisons: Comparisons
  /** Legs that may be under way; more are dropped. */
  readonly limit: number
}

/** Background work that no caller waits for: mirroring, and comparing the two sides. */
export class Background {
  readonly #parts: BackgroundParts
  readonly #underWay = new Set<Promise<void>>()

  constructor(parts: BackgroundParts) {
    this.#parts = parts
  }

  /**
   * Writes what the active side took to the standby, whose cell must still be the one seen before.
   * Whether our own cell is still ours is checked after that: a later write on either side has by
   * then changed one of the two tokens.
   */
  mirror(op: PinnedOperation, entry: Entry, activeToken: string, standbyToken: string): void {
    const { active, standby, key } = op
    const era = op.standbyCell?.era
    const { debts } = this.#parts
    this.#start(standby, async () => {
      const own = await active.read(key)
      if (own.token !== activeToken) return
      const stands = debts.stands(op, standby, op.standbyFence)
      const { written } = await standby.write(key, entry, standbyToken, era, stands)
      this.#parts.recorder.event(standby.side, written ? 'mirrored' : 'mirror_refused')
    })
  }

  /** Reads the standby too, after a hit, and counts how the two agree. */
  compare({ active, standby, key, cell }: PinnedOperation): void {
    const { comparisons, recorder } = this.#parts
    const started = this.#start(standby, () =>
      comparisons.run(
        key,
        cell,
        () => active.read(key),
        () => standby.read(key),
      ),
    )
    if (!started) recorder.comparison('shed')
  }

  /** Resolves when all legs have ended; each is bounded by its side's deadline. */
  async drain(): Promise<void> {
    await Promise.all(this.#underWay)
  }

  #start(standby: GuardedSide, leg: () => Promise<void>): boolean {
    if (!standby.usable) return false
    if (this.#underWay.size >= this.#parts.limit) {
      this.#parts.recorder.event(standby.side, 'shed')
      return false
    }
    const running = leg().catch(() => {
      // The side's breaker and counters have recorded it; nothing waits for this leg.
    })
    const tracked = running.finally(() => this.#underWay.delete(tracked))
    this.#underWay.add(tracked)
    return true
  }
}
