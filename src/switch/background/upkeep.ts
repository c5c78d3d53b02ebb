import type { Side } from '../../side.ts'
import type { Recorder } from '../../telemetry/index.ts'
import type { Debts } from '../truth/debts.ts'
import type { Notify } from '../events.ts'
import type { GuardedSide } from '../sides/guarded-side.ts'

export interface UpkeepParts {
  readonly sides: Readonly<Record<Side, GuardedSide>>
  readonly debts: Debts
  readonly intervalMs: number
  readonly recorder: Recorder
  readonly notify: Notify
}

/** In how many rounds all idle sides are checked once. */
const IDLE_ROUNDS = 4

/**
 * The periodic work of a switch. Keeps no process alive. It delivers pending invalidations,
 * whichever process they come from: that concerns memory and hit rate, not safety, so it needs no
 * order and no leader. And it checks sides that are not in use.
 */
export class Upkeep {
  readonly #parts: UpkeepParts
  #repaying: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor(parts: UpkeepParts) {
    this.#parts = parts
    this.#next(1)
  }

  /** Delivers what can be delivered now. */
  repay(): Promise<void> {
    this.#repaying ??= this.#repayAll().finally(() => {
      this.#repaying = undefined
    })
    return this.#repaying
  }

  /** Repays what only this process knows, for as long as that may take. */
  async settleUp(withinMs: number): Promise<void> {
    const { sides, debts } = this.#parts
    const until = performance.now() + withinMs
    const left = (): boolean => Object.values(sides).some(({ side }) => debts.remembered(side) > 0)
    while (left() && performance.now() < until) {
      await this.repay()
      if (left()) await new Promise((resolve) => setTimeout(resolve, SETTLE_PAUSE_MS))
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    await this.#repaying
  }

  #next(round: number): void {
    if (this.#closed) return
    this.#timer = setTimeout(() => {
      const looks = round % IDLE_ROUNDS === 0 ? Object.values(this.#parts.sides) : []
      const work = [this.repay(), ...looks.map((side) => side.lookIfIdle())]
      void Promise.all(work).finally(() => this.#next(round + 1))
    }, this.#parts.intervalMs).unref()
  }

  async #repayAll(): Promise<void> {
    for (const side of Object.values(this.#parts.sides)) {
      for (const work of [
        () => this.#repaySide(side),
        () => this.#parts.debts.handOver(side.side),
        () => this.#parts.debts.mendFence(side.side),
      ]) {
        try {
          await work()
        } catch {
          // The side failed again, or the ledger did: the next round tries again.
        }
      }
    }
  }

  async #repaySide(side: GuardedSide): Promise<void> {
    const { debts, recorder, notify } = this.#parts
    let repaid = 0
    while (!this.#closed && side.usable && debts.count(side.side) > 0) {
      const now = side.backend.now()
      const { tombstoneTtl } = side.backend
      const latest = now + tombstoneTtl + FAR_MS
      const batch = await debts.list(side.side, BATCH, { now, latest })
      const settled = await Promise.all(
        batch.map(async ({ key, notBefore, settle }) => {
          // Never 0: that is a write's own.
          const due = notBefore > latest ? 1 : Math.max(1, notBefore)
          if (key === undefined) return side.backend.now() >= due && settle()
          // The tombstone names no successor: the other side's value may be the very one to delete.
          const { done, foreign } = await side.invalidate(key, '', due)
          // Another program's data is there, and the slowest fill that has seen nothing there has ended.
          const isOver = foreign === true && side.backend.now() >= due + tombstoneTtl / 2
          return (done || isOver) && (await settle())
        }),
      )
      const count = settled.filter(Boolean).length
      for (let i = 0; i < count; i += 1) recorder.event(side.side, 'repaid')
      repaid += count
      // Not due yet, or pending again meanwhile: later rounds.
      if (count < batch.length || batch.length === 0) break
    }
    if (repaid > 0 && debts.count(side.side) === 0) {
      notify({
        type: 'repaid',
        side: side.side,
        backend: side.backend.name,
        detail: `${repaid} pending invalidations delivered`,
      })
    }
  }
}

const BATCH = 128
const SETTLE_PAUSE_MS = 50

/**
 * One that is noted for a time further ahead than any fill takes was noted before the store's clock was set
 * back: waiting would keep the key unused for as long.
 */
const FAR_MS = 60_000
