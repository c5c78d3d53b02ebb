import { ControlFile } from './control-file.ts'
import type { Opened } from './opening.ts'

/** How often one look may be used: a loop over hits in memory never ends its turn. */
const MAX_USES = 64

/**
 * Lets one look at the control file's header serve the operations of one turn of the event loop: the
 * system call costs as much as the rest of a hit.
 *
 * *Why that is soon enough to see what another process acknowledged.* Whoever was told of it can reach
 * this process only through an event, and that starts another turn. What this process itself changed
 * meanwhile, through whichever cache, ends the look.
 */
export class TurnLook {
  #opened: Opened | undefined
  #changes: number = 0
  #uses: number = 0
  #ends: boolean = false

  /** Whether the last look was at this store, in this turn, and still stands. */
  stands(opened: Opened): boolean {
    if (
      this.#opened !== opened ||
      this.#changes !== ControlFile.changes ||
      this.#uses === MAX_USES ||
      // Somebody else may have read the header since, and found another database or nothing whole.
      !opened.control.intact ||
      opened.control.generation !== opened.generation
    ) {
      return false
    }
    this.#uses++
    return true
  }

  /** The header of this store has just been read. */
  took(opened: Opened): void {
    this.#opened = opened
    this.#changes = ControlFile.changes
    this.#uses = 0
    if (this.#ends) return
    this.#ends = true
    // After the microtasks and before any event.
    process.nextTick(this.#end)
  }

  readonly #end = (): void => {
    this.#ends = false
    this.#opened = undefined
  }
}
