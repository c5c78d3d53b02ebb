import { closeSync, ftruncateSync, writeSync } from 'node:fs'
import { randomInt } from 'node:crypto'
import type { Side } from '../../../side.ts'
import { FENCE_UNKNOWN } from '../../backend.ts'
import {
  CLOCK_OFFSET,
  COMMITS,
  ControlReader,
  COUNT,
  COVERED,
  DISTRUST,
  ERA,
  FENCE,
  GENERATION,
  LOST_AT,
  MAGIC,
  OWED,
  PLACE,
  SERVER,
  SIZE,
  TOMBSTONE_TTL,
  inProcess,
} from './control-reader.ts'

/** The content of the file after it was made again. */
export interface ControlFileContent {
  readonly commits: number
  readonly tombstoneTtl: number
  /** When the ledger was lost, by the host's clock; 0 when it was not. */
  readonly lostAt: number
  readonly owed: Readonly<Record<Side, number>>
}

/** The control file of a store, as its writers use it. */
export class ControlFile extends ControlReader {
  readonly #out: Float64Array = new Float64Array(1)
  readonly #pair: Float64Array = new Float64Array(2)

  /** Nothing that either side holds is trusted until its own clock has said what time it is. */
  setLost(now: number): void {
    this.#write(LOST_AT, now)
    for (const side of ['off', 'on'] as const) this.distrust(side)
  }

  /** Nothing that the side holds is trusted, until {@link replaceFence} replaces this by a fence. */
  distrust(side: Side): void {
    this.#write(DISTRUST[side], freshDistrust())
  }

  /**
   * As {@link now}, while holding the database's write lock: from here on the clock continues by
   * itself.
   */
  keepClock(): number {
    const now = this.now()
    const offset = Math.max(0, now - Date.now())
    if (offset !== this.numbers[CLOCK_OFFSET]) this.#write(CLOCK_OFFSET, offset)
    return now
  }

  /** Inside the transaction, before its commit: it will be the `count`th, and stamps with `clock`. */
  setCommits(count: number, clock: number): void {
    this.#pair[0] = count
    this.#pair[1] = clock
    writeSync(this.fd, this.#pair, 0, 16, COMMITS * 8)
  }

  /** While holding the database's write lock. */
  setOwed(side: Side, count: number): void {
    if (this.owed(side) !== count) this.#write(OWED[side], count)
  }

  /** While holding the database's write lock. */
  setTombstoneTtl(ms: number): void {
    this.#write(TOMBSTONE_TTL, ms)
  }

  /** While holding the store's lock, after {@link read}. A side that is distrusted stays so. */
  raiseFence(side: Side, before: number): void {
    if (this.numbers[FENCE[side]]! < before) this.#write(FENCE[side], before)
  }

  /**
   * While holding the store's lock, after {@link read}: the side is trusted from the fence on,
   * which is the lower one unless one was raised while the side was distrusted. A distrust from
   * then on counts. Behind one the fence is another number than before it: who missed before and
   * stores later must see that there was one.
   */
  replaceFence(side: Side, before: number): void {
    const distrust = this.numbers[DISTRUST[side]]!
    if (distrust === this.numbers[COVERED[side]]) return this.#write(FENCE[side], before)
    this.raiseFence(side, Math.max(before, this.numbers[FENCE[side]]! + 1))
    this.#write(COVERED[side], distrust)
  }

  /** While holding the store's lock, after its fence was raised. */
  setEra(side: Side, era: number, server: number): void {
    this.#write(SERVER[side], server)
    this.#write(ERA[side], era)
  }

  /** Makes the file again, in place. */
  format({ commits, tombstoneTtl, lostAt, owed }: ControlFileContent): void {
    const whole = this.isWhole()
    const numbers = new Float64Array(COUNT)
    numbers[GENERATION] = freshNumber()
    numbers[PLACE] = whole ? this.place : freshNumber()
    numbers[COMMITS] = commits
    numbers[TOMBSTONE_TTL] = tombstoneTtl
    numbers[LOST_AT] = lostAt
    for (const side of ['off', 'on'] as const) {
      if (whole) numbers[FENCE[side]] = this.numbers[FENCE[side]]!
      numbers[DISTRUST[side]] = lostAt === 0 ? 0 : freshDistrust()
      numbers[OWED[side]] = owed[side]
    }
    const words = new Int32Array(numbers.buffer)
    words[0] = MAGIC
    words[1] = SIZE
    ftruncateSync(this.fd, SIZE)
    writeSync(this.fd, numbers, 0, SIZE, 0)
  }

  /**
   * Informs every process, before the database is replaced, that its open one is no longer valid.
   */
  renewGeneration(): void {
    this.#write(GENERATION, freshNumber())
  }

  close(): void {
    inProcess.changes++
    closeSync(this.fd)
  }

  #write(at: number, value: number): void {
    inProcess.changes++
    this.#out[0] = value
    writeSync(this.fd, this.#out, 0, 8, at * 8)
    this.numbers[at] = value
  }
}

/** Below the largest number that is exact. */
function freshDistrust(): number {
  return FENCE_UNKNOWN + randomInt(1, 2 ** 42)
}

function freshNumber(): number {
  return randomInt(1, 2 ** 48 - 1)
}
