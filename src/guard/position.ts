import type { GuardState, Phase } from './store.ts'

/** The saved part of a position. */
export type PositionState = Pick<GuardState, 'phase' | 'percent' | 'intent' | 'awaiting' | 'reason'>

/** Where the rollout is, as far as this guard knows. */
export class Position implements PositionState {
  phase: Phase = 'baseline'
  /** The share, in percent, that the file should have. */
  percent = 0
  /** A share that is about to be written. */
  intent: number | undefined
  /** A share that waits for approval. */
  awaiting: number | undefined
  /** Why it rolled back or yielded. */
  reason = ''
  readonly #steps: readonly number[]

  constructor(steps: readonly number[]) {
    this.#steps = steps
  }

  /** The next share of the plan; undefined at its end. */
  get next(): number | undefined {
    return this.#steps.find((step) => step > this.percent + 1e-9)
  }

  /** The guard no longer acts: it rolled back, or a person took over. */
  get stopped(): boolean {
    return this.phase === 'yielded' || this.phase === 'rolled back'
  }

  /**
   * Starts with a baseline at the share that is served, or where the guard stopped before.
   * @param resume continues after a rollback or after it yielded
   */
  begin(served: number, known: PositionState | undefined, resume: boolean): void {
    this.percent = served
    this.phase = 'baseline'
    this.reason = ''
    this.awaiting = undefined
    if (known === undefined) return
    const { phase, percent, intent, reason, awaiting } = known
    const stopped = phase === 'rolled back' || phase === 'yielded'
    if (stopped && resume) return
    this.phase = phase
    this.reason = reason
    this.awaiting = awaiting
    if (intent !== undefined && intent === served && intent !== percent) {
      // Killed between the edit and its note: the edit is this guard's own.
      this.phase = served === 0 ? 'rolled back' : 'baseline'
      return
    }
    this.percent = percent
  }

  /** The file now has a share that the guard set. */
  moveTo(percent: number): void {
    this.percent = percent
    this.awaiting = undefined
  }

  /** Somebody else changed the split: the guard stops acting. */
  yieldTo(percent: number, reason: string): void {
    this.moveTo(percent)
    this.phase = 'yielded'
    this.reason = reason
  }

  state(): PositionState {
    const { phase, percent, intent, awaiting, reason } = this
    return { phase, percent, intent, awaiting, reason }
  }
}
