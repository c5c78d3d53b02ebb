import type { Side } from '../side.ts'
import type { Recorder } from '../telemetry/index.ts'
import type { Debts } from './debts.ts'
import type { Notify } from './events.ts'
import type { GuardedSide } from './guarded-side.ts'
import { Repeated } from './repeated.ts'

export interface ReplayParts {
  readonly sides: Readonly<Record<Side, GuardedSide>>
  readonly debts: Debts
  readonly intervalMs: number
  readonly recorder: Recorder
  readonly notify: Notify
}

/**
 * Delivers what is owed, whoever owes it: any process that reaches the side may. Repaying is about
 * memory and hit rate, not about safety, so it needs no order and no leader.
 */
export class Replay {
  readonly #parts: ReplayParts
  readonly #rounds: Repeated
  #running: Promise<void> | undefined

  constructor(parts: ReplayParts) {
    this.#parts = parts
    this.#rounds = new Repeated(() => this.run(), parts.intervalMs)
  }

  /** Repays what can be repaid now. */
  run(): Promise<void> {
    this.#running ??= this.#repayAll().finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  async close(): Promise<void> {
    this.#rounds.stop()
    await this.#running
  }

  async #repayAll(): Promise<void> {
    for (const side of Object.values(this.#parts.sides)) {
      for (const work of [() => this.#repay(side), () => this.#parts.debts.mendFence(side.side)]) {
        try {
          await work()
        } catch {
          // The side failed again, or the ledger did: the next round tries again.
        }
      }
    }
  }

  async #repay(side: GuardedSide): Promise<void> {
    const { debts, recorder, notify } = this.#parts
    let repaid = 0
    while (!this.#rounds.stopped && side.usable && debts.count(side.side) > 0) {
      const batch = debts.list(side.side, BATCH)
      const settled = await Promise.all(
        batch.map(async ({ owed, ledger }) => {
          // Its tombstone names no successor: the other side's value may be the very one to delete.
          const { done } = await side.invalidate(owed.key, '', dueOf(side, owed.notBefore))
          return done && (await ledger.settle(owed))
        }),
      )
      const count = settled.filter(Boolean).length
      for (let i = 0; i < count; i += 1) recorder.event(side.side, 'repaid')
      repaid += count
      // Not yet due, or owed again meanwhile: later rounds.
      if (count < batch.length || batch.length === 0) break
    }
    if (repaid > 0 && debts.count(side.side) === 0) {
      notify({
        type: 'repaid',
        side: side.side,
        backend: side.backend.name,
        detail: `${repaid} owed invalidations delivered`,
      })
    }
  }
}

const BATCH = 128

/**
 * When an invalidation may be repaid, by the store's clock. One that is noted for a time further ahead than any
 * deadline was noted before that clock was set back: waiting would keep the key out for as long.
 */
function dueOf(side: GuardedSide, notBefore: number): number {
  return notBefore > side.backend.now() + FAR_MS ? 0 : notBefore
}

const FAR_MS = 60_000
