import {
  addPair,
  copyPair,
  designEffect,
  emptyPair,
  packPair,
  subtractPair,
  unpackPair,
} from './buckets.ts'
import type { ArmPair, PackedPair } from './buckets.ts'
import { Slots, timeEffect } from './slots.ts'
import type { SlotsState, SlotSums } from './slots.ts'

/** What was counted at some moment. */
export interface Mark {
  readonly pair: ArmPair
  readonly slots: SlotSums
}

export interface PackedMark {
  readonly pair: PackedPair
  readonly slots: SlotSums
}

export interface TallyState {
  readonly pair: PackedPair
  readonly slots: SlotsState
}

/** By how much errors cluster. */
export interface Effect {
  /** By user, as the larger of the run's and of what was seen since a mark. */
  readonly user: number
  /** In time, since a mark. */
  readonly time: number
  /** Evidence is divided by this: `user + time - 1`. */
  readonly whole: number
}

export interface TallyOptions {
  readonly buckets: number
  /** Used instead of the estimate over users where a metric is not known by user bucket. */
  readonly fixedEffect: number
  readonly slotS: number
}

/** What both arms did, by user bucket and by slot of time. */
export class Tally {
  readonly #options: TallyOptions
  readonly #pair: ArmPair
  readonly #slots: Slots
  /** Of the whole run; undefined when not known yet. */
  #runEffect: number | undefined

  constructor(options: TallyOptions, state?: TallyState) {
    this.#options = options
    this.#pair = state === undefined ? emptyPair(options.buckets) : unpackPair(state.pair)
    this.#slots = new Slots(options.slotS, state?.slots)
  }

  /** One poll, all replicas. */
  add(at: number, elapsedS: number, pairs: Iterable<ArmPair>): void {
    this.#runEffect = undefined
    let [x, n] = [0, 0]
    for (const pair of pairs) {
      addPair(this.#pair, pair)
      for (let b = 0; b < pair.treatment.total.length; b++) {
        x += pair.treatment.bad[b]!
        n += pair.treatment.total[b]!
      }
    }
    this.#slots.add(at, x, n, elapsedS)
  }

  closeSlot(): void {
    this.#slots.close()
  }

  get pair(): ArmPair {
    return this.#pair
  }

  mark(): Mark {
    return { pair: copyPair(this.#pair), slots: this.#slots.sums }
  }

  since(mark: Mark | undefined): ArmPair {
    return mark === undefined ? this.#pair : subtractPair(this.#pair, mark.pair)
  }

  badSlotsSince(at: number): readonly number[] {
    return this.#slots.badSince(at)
  }

  /**
   * Over users never less than the whole run's: a young mark that has seen two users retry sees no clusters
   * yet, but the run may know these users' habits. In time never the run's: one early incident would make
   * the guard deaf for hours.
   */
  effect(mark: Mark | undefined, controlRate: number): Effect {
    const time = timeEffect(this.#slots.since(mark?.slots ?? NO_SLOTS), controlRate)
    const run = this.runEffect
    const here =
      mark === undefined || this.#options.buckets === 1 ? run : designEffect(this.since(mark))
    const user = Math.max(run, here)
    return { user, time, whole: user + time - 1 }
  }

  /** Over users, of everything. No effect of any mark is smaller. */
  get runEffect(): number {
    if (this.#options.buckets === 1) return this.#options.fixedEffect
    return (this.#runEffect ??= designEffect(this.#pair))
  }

  state(): TallyState {
    return { pair: packPair(this.#pair), slots: this.#slots.state() }
  }
}

const NO_SLOTS: SlotSums = { x: 0, n: 0, xx: 0, xn: 0, nn: 0, k: 0 }

export function packMark({ pair, slots }: Mark): PackedMark {
  return { pair: packPair(pair), slots }
}

export function unpackMark({ pair, slots }: PackedMark): Mark {
  return { pair: unpackPair(pair), slots }
}
