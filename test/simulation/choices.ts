import { seeded } from '../support/simulation.ts'

/**
 * Where a run decides anything, it asks here. 0 is always the plain answer (at once, no fault), so that
 * a run is shortened by turning its other answers to 0. What was answered can be played again.
 */
export class Choices {
  readonly taken: number[] = []
  readonly #random: () => number
  readonly #script: readonly number[] | undefined

  /** @param script answers to give; behind their end all answers are plain */
  constructor(seed: number, script?: readonly number[]) {
    this.#random = seeded(seed)
    this.#script = script
  }

  /** A whole number below `count`; 0 with the given probability, and else any. */
  take(count: number, plainly: number): number {
    let answer: number
    if (this.#script !== undefined) answer = (this.#script[this.taken.length] ?? 0) % count
    else if (this.#random() < plainly) answer = 0
    else answer = Math.floor(this.#random() * count)
    this.taken.push(answer)
    return answer
  }
}
