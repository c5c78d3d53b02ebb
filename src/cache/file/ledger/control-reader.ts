import { constants, fstatSync, openSync, readSync } from 'node:fs'
import type { Side } from '../../../side.ts'

export const MAGIC: number = 0x5b_c0_17_03

/**
 * Numbers of 8 bytes. The first holds magic and size. A reader copies them in this order, so of two
 * that belong together, the one written first stands behind the other: a reader that sees the other
 * sees it too.
 */
export const GENERATION: number = 1
export const COMMITS: number = 2
export const CLOCK: number = 3
export const OWED: Readonly<Record<Side, number>> = { off: 4, on: 5 }
export const ERA: Readonly<Record<Side, number>> = { off: 6, on: 7 }
export const SERVER: Readonly<Record<Side, number>> = { off: 8, on: 9 }
export const COVERED: Readonly<Record<Side, number>> = { off: 10, on: 11 }
export const DISTRUST: Readonly<Record<Side, number>> = { off: 12, on: 13 }
export const FENCE: Readonly<Record<Side, number>> = { off: 14, on: 15 }
export const LOST_AT: number = 16
export const TOMBSTONE_TTL: number = 17
export const CLOCK_OFFSET: number = 18
export const PLACE: number = 19
export const COUNT: number = 20
export const SIZE: number = COUNT * 8

/** A process may load a second copy of this module: in a bundle, or of another version. */
const SHARED = Symbol.for('openfeature-switchback.control-file')
export const inProcess: { changes: number } = ((globalThis as Record<symbol, unknown>)[SHARED] ??= {
  changes: 0,
}) as { changes: number }

/**
 * A few numbers beside the database, which the processes of a machine read before each operation:
 * that costs 0.7 us, a row from SQLite 14 us. The page cache is shared by all processes, so what
 * one has written, every other reads. Meaning and order of the numbers:
 * docs/adr/0002-control-file.md. The file is repaired in place and never replaced: all processes
 * must share the one inode.
 */
export class ControlReader {
  /** How often this process has changed any such file, by whichever copy of this module. */
  static get changes(): number {
    return inProcess.changes
  }

  protected readonly fd: number
  protected readonly numbers: Float64Array = new Float64Array(COUNT)
  readonly #words: Int32Array = new Int32Array(this.numbers.buffer)

  constructor(path: string, create: boolean = true) {
    this.fd = openSync(path, constants.O_RDWR | (create ? constants.O_CREAT : 0), 0o600)
  }

  /** Reads the file; the getters below then describe that moment. False if the file is damaged. */
  read(): boolean {
    return (
      readSync(this.fd, this.numbers, 0, SIZE, 0) === SIZE &&
      this.#words[0] === MAGIC &&
      this.#words[1] === SIZE
    )
  }

  /** Whether the file is complete. Costs more than {@link read}. */
  isWhole(): boolean {
    return fstatSync(this.fd).size === SIZE && this.read()
  }

  get generation(): number {
    return this.numbers[GENERATION]!
  }

  /** Names these files, unlike any others. */
  get place(): number {
    return this.numbers[PLACE]!
  }

  get commits(): number {
    return this.numbers[COMMITS]!
  }

  get tombstoneTtl(): number {
    return this.numbers[TOMBSTONE_TTL]!
  }

  /** Above {@link FENCE_UNKNOWN}, and each time another number, while the side is distrusted as a whole. */
  fence(side: Side): number {
    const distrust = this.numbers[DISTRUST[side]]!
    return distrust === this.numbers[COVERED[side]] ? this.numbers[FENCE[side]]! : distrust
  }

  owed(side: Side): number {
    return this.numbers[OWED[side]]!
  }

  era(side: Side): number {
    return this.numbers[ERA[side]]!
  }

  server(side: Side): number {
    return this.numbers[SERVER[side]]!
  }

  /** When the ledger was last lost, by the host's clock. */
  get lostAt(): number {
    return this.numbers[LOST_AT]!
  }

  /** The store's clock as of the last {@link read}: never behind what it has stamped. */
  now(): number {
    return Math.max(Date.now() + this.numbers[CLOCK_OFFSET]!, this.numbers[CLOCK]!)
  }
}
