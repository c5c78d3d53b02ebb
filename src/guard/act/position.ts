import type { GuardState, Paused, Phase } from './state-store.ts'

/** The saved part of a position. */
export type PositionState = Pick<
  GuardState,
  'phase' | 'percent' | 'intent' | 'awaiting' | 'paused' | 'reason' | 'stoppedAt'
>

/** Where the rollout is, as far as this guard knows. */
export class RolloutPosition implements PositionState {
  phase: Phase = 'baseline'
  /** The share, in percent, that the file should have. */
  percent = 0
  /** A share that is about to be written. */
  intent: number | undefined
  /** A share that waits for approval. */
  awaiting: number | undefined
  /** No step is taken. */
  paused: Paused | undefined
  /** Why it rolled back or yielded. */
  reason = ''
  /** Epoch milliseconds since when it does nothing more; 0 while it acts. */
  stoppedAt = 0
  /** A rollout that is begun again begins at this share at least. */
  #first = 0
  readonly #steps: readonly number[]

  constructor(steps: readonly number[]) {
    this.#steps = steps
  }

  /** The next share of the plan; undefined at its end. */
  get next(): number | undefined {
    return this.#steps.find((step) => step > this.percent + 1e-9 && step >= this.#first)
  }

  /** The guard no longer acts: it rolled back, or a person took over. */
  get stopped(): boolean {
    return this.phase === 'yielded' || this.phase === 'rolled back'
  }

  /**
   * Starts with a baseline at the share that is served, or where the guard stopped before.
   * @param known undefined also of a rollout that is resumed
   * @param from the first step then, in per cent
   */
  begin(served: number, known: PositionState | undefined, from = 0): void {
    this.percent = served
    this.phase = 'baseline'
    this.reason = ''
    this.awaiting = undefined
    this.paused = undefined
    this.stoppedAt = 0
    this.#first = from
    if (known === undefined) return
    const { phase, percent, intent, reason, awaiting, paused, stoppedAt } = known
    this.phase = phase
    this.reason = reason
    this.awaiting = awaiting
    this.paused = paused
    this.stoppedAt = stoppedAt
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
  yieldTo(percent: number, reason: string, now: number): void {
    this.moveTo(percent)
    this.#stop('yielded', reason, now)
  }

  /** The guard took everybody back. */
  rolledBack(reason: string, now: number): void {
    this.#stop('rolled back', reason, now)
  }

  /** Nothing is known of what is served: it begins with a baseline there. */
  rejudge(): void {
    if (!this.stopped) this.phase = 'baseline'
  }

  state(): PositionState {
    const { phase, percent, intent, awaiting, paused, reason, stoppedAt } = this
    return { phase, percent, intent, awaiting, paused, reason, stoppedAt }
  }

  #stop(phase: Phase, reason: string, now: number): void {
    this.paused = undefined
    this.phase = phase
    this.reason = reason
    this.stoppedAt = now
  }
}
