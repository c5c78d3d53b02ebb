import { seeded } from '../support/simulation.ts'

/** What was answered, by who asked. */
export type Taken = ReadonlyMap<string, readonly number[]>

/**
 * Where a run decides anything, it asks here. 0 is always the plain answer (at once, no fault), so that
 * a run is shortened by turning its other answers to 0. What was answered can be played again. Each who asks
 * has answers of its own, so that to leave one thing out of a run does not change all others.
 */
export class Choices {
  readonly taken: Map<string, number[]> = new Map()
  readonly #seed: number
  readonly #script: Taken | undefined
  readonly #random = new Map<string, () => number>()

  /** @param script answers to give; behind their end all answers are plain */
  constructor(seed: number, script?: Taken) {
    this.#seed = seed
    this.#script = script
  }

  /** A whole number below `count`; 0 with the given probability, and else any. */
  take(who: string, count: number, plainly: number): number {
    let mine = this.taken.get(who)
    if (mine === undefined) this.taken.set(who, (mine = []))
    let answer: number
    if (this.#script !== undefined) answer = (this.#script.get(who)?.[mine.length] ?? 0) % count
    else {
      const random = this.#randomOf(who)
      answer = random() < plainly ? 0 : Math.floor(random() * count)
    }
    mine.push(answer)
    return answer
  }

  #randomOf(who: string): () => number {
    let random = this.#random.get(who)
    if (random === undefined) {
      let hash = this.#seed
      for (let i = 0; i < who.length; i += 1) hash = Math.imul(hash ^ who.charCodeAt(i), 16_777_619)
      this.#random.set(who, (random = seeded(hash)))
    }
    return random
  }
}
