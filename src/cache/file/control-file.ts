import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  writeSync,
} from 'node:fs'
import { randomInt } from 'node:crypto'
import type { Side } from '../../side.ts'
import { FENCE_UNKNOWN } from '../backend.ts'

const MAGIC = 0x5b_c0_17_03

/**
 * Numbers of 8 bytes. The first holds magic and size. A reader copies them in this order, so of two
 * that belong together, the one written first stands behind the other: a reader that sees the other
 * sees it too.
 */
const GENERATION = 1
const COMMITS = 2
const CLOCK = 3
const OWED: Readonly<Record<Side, number>> = { off: 4, on: 5 }
const ERA: Readonly<Record<Side, number>> = { off: 6, on: 7 }
const SERVER: Readonly<Record<Side, number>> = { off: 8, on: 9 }
const COVERED: Readonly<Record<Side, number>> = { off: 10, on: 11 }
const DISTRUST: Readonly<Record<Side, number>> = { off: 12, on: 13 }
const FENCE: Readonly<Record<Side, number>> = { off: 14, on: 15 }
const LOST_AT = 16
const TOMBSTONE_TTL = 17
const CLOCK_OFFSET = 18
const PLACE = 19
const COUNT = 20
const SIZE: number = COUNT * 8

/** The content of the file after it was made again. */
export interface ControlState {
  readonly commits: number
  readonly tombstoneTtl: number
  /** When the ledger was lost, by the host's clock; 0 when it was not. */
  readonly lostAt: number
  readonly owed: Readonly<Record<Side, number>>
}

/** A process may load a second copy of this module: in a bundle, or of another version. */
const SHARED = Symbol.for('openfeature-switchback.control-file')
const inProcess: { changes: number } = ((globalThis as Record<symbol, unknown>)[SHARED] ??= {
  changes: 0,
}) as { changes: number }

/**
 * A few numbers beside the database, which the processes of a machine read before each operation:
 * that costs 0.7 us, a row from SQLite 14 us. The page cache is shared by all processes, so what
 * one has written, every other reads. Meaning and order of the numbers:
 * docs/adr/0002-control-file.md. The file is repaired in place and never replaced: all processes
 * must share the one inode.
 */
export class ControlFile {
  /** How often this process has changed any such file, by whichever copy of this module. */
  static get changes(): number {
    return inProcess.changes
  }

  readonly #fd: number
  readonly #numbers: Float64Array = new Float64Array(COUNT)
  readonly #words: Int32Array = new Int32Array(this.#numbers.buffer)
  readonly #out: Float64Array = new Float64Array(1)
  readonly #pair: Float64Array = new Float64Array(2)

  constructor(path: string, create: boolean = true) {
    this.#fd = openSync(path, constants.O_RDWR | (create ? constants.O_CREAT : 0), 0o600)
  }

  /** Reads the file; the getters below then describe that moment. False if the file is damaged. */
  read(): boolean {
    return (
      readSync(this.#fd, this.#numbers, 0, SIZE, 0) === SIZE &&
      this.#words[0] === MAGIC &&
      this.#words[1] === SIZE
    )
  }

  /** Whether the file is complete. Costs more than {@link read}. */
  isWhole(): boolean {
    return fstatSync(this.#fd).size === SIZE && this.read()
  }

  get generation(): number {
    return this.#numbers[GENERATION]!
  }

  /** Names these files, unlike any others. */
  get place(): number {
    return this.#numbers[PLACE]!
  }

  get commits(): number {
    return this.#numbers[COMMITS]!
  }

  get tombstoneTtl(): number {
    return this.#numbers[TOMBSTONE_TTL]!
  }

  /** Above {@link FENCE_UNKNOWN}, and each time another number, while the side is distrusted as a whole. */
  fence(side: Side): number {
    const distrust = this.#numbers[DISTRUST[side]]!
    return distrust === this.#numbers[COVERED[side]] ? this.#numbers[FENCE[side]]! : distrust
  }

  owed(side: Side): number {
    return this.#numbers[OWED[side]]!
  }

  era(side: Side): number {
    return this.#numbers[ERA[side]]!
  }

  server(side: Side): number {
    return this.#numbers[SERVER[side]]!
  }

  /** When the ledger was last lost, by the host's clock. */
  get lostAt(): number {
    return this.#numbers[LOST_AT]!
  }

  /** Nothing that either side holds is trusted until its own clock has said what time it is. */
  setLost(now: number): void {
    this.#write(LOST_AT, now)
    for (const side of ['off', 'on'] as const) this.distrust(side)
  }

  /** Nothing that the side holds is trusted, until {@link replaceFence} replaces this by a fence. */
  distrust(side: Side): void {
    this.#write(DISTRUST[side], freshDistrust())
  }

  /** The store's clock as of the last {@link read}: never behind what it has stamped. */
  now(): number {
    return Math.max(Date.now() + this.#numbers[CLOCK_OFFSET]!, this.#numbers[CLOCK]!)
  }

  /**
   * As {@link now}, while holding the database's write lock: from here on the clock continues by
   * itself.
   */
  keepClock(): number {
    const now = this.now()
    const offset = Math.max(0, now - Date.now())
    if (offset !== this.#numbers[CLOCK_OFFSET]) this.#write(CLOCK_OFFSET, offset)
    return now
  }

  /** Inside the transaction, before its commit: it will be the `count`th, and stamps with `clock`. */
  setCommits(count: number, clock: number): void {
    this.#pair[0] = count
    this.#pair[1] = clock
    writeSync(this.#fd, this.#pair, 0, 16, COMMITS * 8)
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
    if (this.#numbers[FENCE[side]]! < before) this.#write(FENCE[side], before)
  }

  /**
   * While holding the store's lock, after {@link read}: the side is trusted from the fence on,
   * which is the lower one unless one was raised while the side was distrusted. A distrust from
   * then on counts.
   */
  replaceFence(side: Side, before: number): void {
    const distrust = this.#numbers[DISTRUST[side]]!
    if (distrust === this.#numbers[COVERED[side]]) return this.#write(FENCE[side], before)
    this.raiseFence(side, before)
    this.#write(COVERED[side], distrust)
  }

  /** While holding the store's lock, after its fence was raised. */
  setEra(side: Side, era: number, server: number): void {
    this.#write(SERVER[side], server)
    this.#write(ERA[side], era)
  }

  /** Makes the file again, in place. */
  format({ commits, tombstoneTtl, lostAt, owed }: ControlState): void {
    const whole = this.isWhole()
    const numbers = new Float64Array(COUNT)
    numbers[GENERATION] = freshNumber()
    numbers[PLACE] = whole ? this.place : freshNumber()
    numbers[COMMITS] = commits
    numbers[TOMBSTONE_TTL] = tombstoneTtl
    numbers[LOST_AT] = lostAt
    for (const side of ['off', 'on'] as const) {
      if (whole) numbers[FENCE[side]] = this.#numbers[FENCE[side]]!
      numbers[DISTRUST[side]] = lostAt === 0 ? 0 : freshDistrust()
      numbers[OWED[side]] = owed[side]
    }
    const words = new Int32Array(numbers.buffer)
    words[0] = MAGIC
    words[1] = SIZE
    ftruncateSync(this.#fd, SIZE)
    writeSync(this.#fd, numbers, 0, SIZE, 0)
  }

  /**
   * Informs every process, before the database is replaced, that its open one is no longer valid.
   */
  renewGeneration(): void {
    this.#write(GENERATION, freshNumber())
  }

  close(): void {
    inProcess.changes++
    closeSync(this.#fd)
  }

  #write(at: number, value: number): void {
    inProcess.changes++
    this.#out[0] = value
    writeSync(this.#fd, this.#out, 0, 8, at * 8)
    this.#numbers[at] = value
  }
}

/** Below the largest number that is exact. */
function freshDistrust(): number {
  return FENCE_UNKNOWN + randomInt(1, 2 ** 42)
}

function freshNumber(): number {
  return randomInt(1, 2 ** 48 - 1)
}
