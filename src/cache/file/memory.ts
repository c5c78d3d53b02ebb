import type { Cell } from '../cell.ts'
import type { Row } from './cells.ts'

/** A cell kept in memory, and the stamp under which it stands. */
export interface Copy {
  readonly storageKey: string
  readonly row: Row
  /** The cell as long as it is a live value: served without being built again. */
  readonly cell: Cell
  readonly slot: number
  readonly stamp: number
  readonly bytes: number
  /** Used since the sweeper last asked. */
  used: boolean
}

/** What a copy takes beside its texts, roughly. */
const COPY_BYTES = 300

/** Copies not yet reported to the eviction clock; more than that wait for their next use. */
const MAX_USED = 2000

/**
 * The cells that this process has read lately, up to a number of bytes. The oldest goes first, unless
 * it was used since it was put here: then it gets a second chance.
 */
export class Memory {
  readonly #max: number
  readonly #copies: Map<string, Copy> = new Map()
  #bytes: number = 0
  readonly #used: Copy[] = []

  constructor(max: number) {
    this.#max = max
  }

  get(key: string): Copy | undefined {
    return this.#copies.get(key)
  }

  touch(copy: Copy): void {
    copy.used = true
    if (this.#used.length < MAX_USED) this.#used.push(copy)
  }

  /** At most `limit` of the storage keys used since they were last asked for. */
  takeUsed(limit: number): readonly string[] {
    return this.#used.splice(0, limit).map((copy) => {
      copy.used = false
      return copy.storageKey
    })
  }

  set(key: string, copy: Omit<Copy, 'bytes' | 'used'>): void {
    // A JavaScript string takes up to 2 bytes a character.
    const bytes = 2 * (key.length + copy.row.payload.length) + COPY_BYTES
    this.delete(key)
    if (bytes > this.#max / 4) return
    const kept: Copy = { ...copy, bytes, used: false }
    this.touch(kept)
    this.#copies.set(key, kept)
    this.#bytes += bytes
    if (this.#bytes > this.#max) this.#shrink()
  }

  delete(key: string): void {
    const copy = this.#copies.get(key)
    if (copy === undefined) return
    this.#copies.delete(key)
    this.#bytes -= copy.bytes
  }

  clear(): void {
    this.#copies.clear()
    this.#used.length = 0
    this.#bytes = 0
  }

  #shrink(): void {
    // Each round either removes a copy or takes its second chance, so this ends.
    for (const [key, copy] of this.#copies) {
      if (this.#bytes <= this.#max) return
      this.#copies.delete(key)
      if (copy.used) {
        copy.used = false
        this.#copies.set(key, copy)
      } else {
        this.#bytes -= copy.bytes
      }
    }
  }
}
