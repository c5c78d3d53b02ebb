import { otherSide, type Side } from '../../side.ts'
import type { Losses, Recorder } from '../recorder.ts'
import { RepeatMisses } from './repeat-misses.ts'

/** Tells a side that loses values from one that is merely cold, for the guard. */
export class LossCounts implements Losses {
  readonly #recorder: Recorder
  readonly #given: Readonly<Record<Side, RepeatMisses>> = {
    off: new RepeatMisses(),
    on: new RepeatMisses(),
  }

  constructor(recorder: Recorder) {
    this.#recorder = recorder
  }

  missed(side: Side, key: string, bucket: number): void {
    if (this.#given[side].isRepeat(key, Date.now())) {
      this.#recorder.event(side, 'repeat_miss', bucket)
    }
  }

  stored(side: Side, key: string, ttlMs: number): void {
    this.#given[otherSide(side)].dropped(key)
    this.#given[side].stored(key, ttlMs, Date.now())
  }

  dropped(key: string): void {
    this.#given.off.dropped(key)
    this.#given.on.dropped(key)
  }
}
