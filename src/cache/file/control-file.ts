import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  writeSync,
} from 'node:fs'
import { randomFillSync } from 'node:crypto'
import type { Side } from '../../side.ts'
import { freshWord } from './stamps.ts'

const MAGIC = 0x5b_c0_17_01
const HEADER_BYTES = 64
const SLOTS = 65_536
const SIZE: number = HEADER_BYTES + SLOTS * 8

// The header, in 4-byte words (W) and 8-byte floats (F).
const W_MAGIC = 0
const W_SIZE = 1
const W_GENERATION = 2
const F_COMMITS = 2
const W_SIDE: Readonly<Record<Side, number>> = { off: 8, on: 12 }
const F_FENCE: Readonly<Record<Side, number>> = { off: 5, on: 7 }

/**
 * A small file beside the database through which the processes of a machine tell each other that
 * something changed. Reading 8 bytes of it costs 0.7 us, a row from SQLite 14 us; so a process keeps
 * cells in memory and asks here whether they still stand. The system's page cache is one for all
 * processes: what one has written, every other reads.
 *
 * **Slots.** Each key has a slot (several may share one), which holds a *stamp*: 64 random bits, of
 * which the lowest says "a write is under way" (dirty). Inside its transaction, before the commit, a
 * writer puts a fresh dirty stamp there ({@link begin}); after the commit, and before anybody is told
 * that the write is done, a fresh clean one ({@link end}). A reader reads the stamp, *then* the row,
 * and remembers both if the stamp was clean. Later it serves the copy only while the slot still holds
 * that very stamp.
 *
 * *Why no read that starts after an acknowledged write W sees an older copy.* The copy's row was
 * older than W's commit, so its stamp was read before that commit, so before W's `end`. At `end` W
 * leaves in the slot either a stamp that it has just drawn, or the dirty stamp of another writer
 * (which no reader remembers, and which that writer replaces with a fresh one). All later contents of
 * the slot are drawn later still. What is compared is 53 random bits, which do not repeat; so the copy's stamp is not found.
 *
 * *Why a process that dies between commit and `end` does no harm.* It leaves a dirty stamp: readers go
 * to the database until the next write to that slot.
 *
 * *Why `end` looks before it writes.* To clean another writer's dirty stamp would be safe as long as
 * that writer lives (its own `end` follows), but would undo the paragraph above if it dies. The gap of
 * a microsecond between look and write is left: it takes a second writer's kill in that very moment,
 * and then concerns a write that nobody was told of.
 *
 * A writer never remembers its own row: between its commit and its `end` somebody else may have
 * written and been acknowledged.
 *
 * **Sides.** The ledger has one such stamp for each side, and beside it the side's *fence*. As the file
 * never grows after it was made, a fence can be raised even on a full disk.
 *
 * **Generation.** Changes when the database was replaced. Whoever sees it change opens anew; a writer
 * looks after its commit, so that nothing is acknowledged that went into a file already set aside.
 *
 * **Commits.** Counts the transactions of the database from outside. If the database knows of fewer,
 * its log was cut off.
 *
 * The file is repaired in place and never replaced: all processes must share the one inode.
 */
export class ControlFile {
  /** How often this process has changed a header, of whichever file. */
  static changes = 0
  readonly #fd: number
  #intact: boolean = false
  readonly #stamp: Int32Array = new Int32Array(2)
  readonly #words: Int32Array = new Int32Array(HEADER_BYTES / 4)
  readonly #floats: Float64Array = new Float64Array(this.#words.buffer)
  readonly #out: Int32Array = new Int32Array(2)
  readonly #float: Float64Array = new Float64Array(1)

  constructor(path: string) {
    this.#fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600)
  }

  /** Reads the header; the getters below then speak of that moment. False if the file is damaged. */
  readHeader(): boolean {
    this.#intact = false
    this.#intact =
      readSync(this.#fd, this.#words, 0, HEADER_BYTES, 0) === HEADER_BYTES &&
      this.#words[W_MAGIC] === MAGIC &&
      this.#words[W_SIZE] === SIZE
    return this.#intact
  }

  /** What the last {@link readHeader} found. */
  get intact(): boolean {
    return this.#intact
  }

  /** Whether the file is complete. Costs more than {@link readHeader}. */
  isWhole(): boolean {
    return fstatSync(this.#fd).size === SIZE && this.readHeader()
  }

  /** As of the last {@link readHeader}. 53 bits, so that it can be kept as a number. */
  get generation(): number {
    return stampAt(this.#words, W_GENERATION)
  }

  /** As of the last {@link readHeader}. */
  get commits(): number {
    return this.#floats[F_COMMITS] ?? 0
  }

  /** The fence of a side as of the last {@link readHeader}. */
  fence(side: Side): number {
    const fence = this.#floats[F_FENCE[side]] ?? 0
    return fence > 0 ? fence : 0
  }

  /** The stamp of a side's ledger as of the last {@link readHeader}; 0 while it must not be trusted. */
  sideStamp(side: Side): number {
    return cleanStampAt(this.#words, W_SIDE[side])
  }

  /** The stamp of a slot now; 0 while it must not be trusted. */
  slotStamp(slot: number): number {
    return this.#readStamp(slot) ? cleanStampAt(this.#stamp, 0) : 0
  }

  /** Before the commit of a write to this slot. The result goes to {@link end}. */
  begin(slot: number): number {
    return this.#writeStamp(slot, 1)
  }

  /** After the commit of a write to this slot, before it is acknowledged. */
  end(slot: number, begun: number): void {
    const found = this.#readStamp(slot) ? stampAt(this.#stamp, 0) : 0
    if (found === begun || isClean(this.#stamp, 0)) this.#writeStamp(slot, 0)
  }

  /** Inside the transaction, before its commit: it will be the `count`th. */
  setCommits(count: number): void {
    this.#float[0] = count
    writeSync(this.#fd, this.#float, 0, 8, F_COMMITS * 8)
  }

  /** Raises the fence of a side to at least `before`. */
  raiseFence(side: Side, before: number): void {
    // Another process may raise it at the same time: look again until it stands.
    while (this.readHeader() && this.fence(side) < before) {
      ControlFile.changes++
      this.#float[0] = before
      writeSync(this.#fd, this.#float, 0, 8, F_FENCE[side] * 8)
    }
  }

  /** Makes the file anew in place: fresh generation, fresh stamps everywhere. */
  format(commits: number, fences: Readonly<Record<Side, number>>): void {
    ControlFile.changes++
    const words = freshStamps(SIZE)
    const floats = new Float64Array(words.buffer, 0, HEADER_BYTES / 8)
    floats[F_COMMITS] = commits
    floats[F_FENCE.off] = fences.off
    floats[F_FENCE.on] = fences.on
    words[W_MAGIC] = MAGIC
    words[W_SIZE] = SIZE
    ftruncateSync(this.#fd, SIZE)
    // The header last: a half-made file is not taken for a whole one.
    writeFully(this.#fd, new Uint8Array(words.buffer, HEADER_BYTES), HEADER_BYTES)
    writeFully(this.#fd, new Uint8Array(words.buffer, 0, HEADER_BYTES), 0)
  }

  /** Tells every process, before the database is replaced, that what it has open is no more. */
  renewGeneration(): void {
    ControlFile.changes++
    this.#out[0] = freshWord()
    this.#out[1] = freshWord()
    writeSync(this.#fd, this.#out, 0, 8, W_GENERATION * 4)
  }

  /** Distrusts every copy in every process's memory. */
  renewSlots(): void {
    writeFully(this.#fd, new Uint8Array(freshStamps(SLOTS * 8).buffer), HEADER_BYTES)
  }

  close(): void {
    closeSync(this.#fd)
  }

  #readStamp(slot: number): boolean {
    return readSync(this.#fd, this.#stamp, 0, 8, slot) === 8
  }

  #writeStamp(slot: number, dirty: 0 | 1): number {
    if (slot < HEADER_BYTES) ControlFile.changes++
    this.#out[0] = (freshWord() & ~1) | dirty
    this.#out[1] = freshWord()
    writeSync(this.#fd, this.#out, 0, 8, slot)
    return stampAt(this.#out, 0)
  }
}

/** Where in the control file the slot of a storage key is. */
export function slotOf(storageKey: string): number {
  // FNV-1a over UTF-16 code units, folded to 16 bits.
  let hash = 0x81_1c_9d_c5
  for (let i = 0; i < storageKey.length; i++) {
    hash = Math.imul(hash ^ storageKey.charCodeAt(i), 0x01_00_01_93)
  }
  return HEADER_BYTES + ((hash ^ (hash >>> 16)) & (SLOTS - 1)) * 8
}

/** Where in the control file the ledger stamp of a side is. */
export function slotOfSide(side: Side): number {
  return W_SIDE[side] * 4
}

function isClean(words: Int32Array, at: number): boolean {
  return ((words[at] ?? 1) & 1) === 0
}

function cleanStampAt(words: Int32Array, at: number): number {
  return isClean(words, at) ? stampAt(words, at) : 0
}

/** A stamp as a number: 32 bits of one word and 21 of the other fit a double exactly. */
function stampAt(words: Int32Array, at: number): number {
  return ((words[at + 1] ?? 0) >>> 11) * 0x1_0000_0000 + ((words[at] ?? 0) >>> 0)
}

function freshStamps(bytes: number): Int32Array<ArrayBuffer> {
  const words = randomFillSync(new Int32Array(bytes / 4))
  for (let i = 0; i < words.length; i += 2) words[i] = (words[i] ?? 0) & ~1
  return words
}

function writeFully(fd: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length;) {
    done += writeSync(fd, bytes, done, bytes.length - done, position + done)
  }
}
