import type { Side } from '../side.ts'
import type { GuardedSide } from './guarded-side.ts'
import { Repeated } from './repeated.ts'

export interface IdleWatchParts {
  readonly sides: Readonly<Record<Side, GuardedSide>>
  readonly intervalMs: number
}

/**
 * Looks after a side that nobody uses just now, so that health says it is out before the first user
 * finds out. A side in use tells by its operations and is left alone.
 */
export class IdleWatch {
  readonly #parts: IdleWatchParts
  readonly #seen: Record<Side, number> = { off: -1, on: -1 }
  readonly #missed: Record<Side, number> = { off: 0, on: 0 }
  readonly #looks: Repeated

  constructor(parts: IdleWatchParts) {
    this.#parts = parts
    this.#looks = new Repeated(() => this.#look(), parts.intervalMs)
  }

  close(): void {
    this.#looks.stop()
  }

  async #look(): Promise<void> {
    await Promise.all(Object.values(this.#parts.sides).map((side) => this.#lookAt(side)))
  }

  async #lookAt(side: GuardedSide): Promise<void> {
    const name = side.side
    const idle = this.#seen[name] === side.breaker.outcomes
    this.#seen[name] = side.breaker.outcomes
    if (!idle || !side.usable) {
      this.#missed[name] = 0
      return
    }
    const failure = await side.probe()
    this.#seen[name] = side.breaker.outcomes
    this.#missed[name] = failure === undefined ? 0 : this.#missed[name] + 1
    // One miss may be a hiccup; nobody is hurt by waiting for another.
    if (failure !== undefined && this.#missed[name] >= 2) side.giveUp(failure)
  }
}
