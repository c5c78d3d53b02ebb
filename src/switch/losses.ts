import type { Side } from '../side.ts'
import type { Recorder } from '../telemetry/index.ts'
import type { PinnedOperation } from './operation.ts'
import { RepeatMisses } from './repeat-misses.ts'

/** Tells a side that loses values from one that is merely cold, for the guard. */
export class Losses {
  readonly #recorder: Recorder
  readonly #given: Readonly<Record<Side, RepeatMisses>> = {
    off: new RepeatMisses(),
    on: new RepeatMisses(),
  }

  constructor(recorder: Recorder) {
    this.#recorder = recorder
  }

  missed(op: PinnedOperation): void {
    if (op.outcome !== 'miss' || op.cell.state !== 'absent') return
    const { side } = op.active
    if (this.#given[side].isRepeat(op.key, Date.now())) {
      this.#recorder.event(side, 'repeat_miss', op.bucket)
    }
  }

  stored(op: PinnedOperation, ttlMs: number): void {
    const { side } = op.active
    this.#given[side === 'on' ? 'off' : 'on'].dropped(op.key)
    if (op.outcome === 'stored' || op.outcome === 'miss') {
      this.#given[side].stored(op.key, ttlMs, Date.now())
    }
  }

  deleted(key: string): void {
    this.#given.off.dropped(key)
    this.#given.on.dropped(key)
  }
}
