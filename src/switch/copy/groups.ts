interface Page {
  /** Where to go on behind it. */
  readonly cursor: string
  /** Groups of it that are under way, and one for the rest of it until all have begun. */
  left: number
}

/** Keys that are copied in groups, of which several are under way: while one is answered, others are asked. */
export class Groups {
  /** Everything before it has been dealt with. */
  cursor: string
  readonly #pages: Page[] = []
  #keys = 0
  #failure: { readonly error: unknown } | undefined
  #changed: () => void = () => undefined

  constructor(cursor: string) {
    this.cursor = cursor
  }

  /** What begins from here on is of this page; the pages before it have begun as a whole. */
  open(cursor: string): void {
    this.close()
    this.#pages.push({ cursor, left: 1 })
  }

  /** The last page has begun as a whole. */
  close(): void {
    const last = this.#pages.at(-1)
    if (last !== undefined) this.#done(last)
  }

  /** @param ended called when the cursor is behind what this has dealt with */
  begin(keys: number, work: () => Promise<void>, ended: () => void): void {
    const page = this.#pages.at(-1)!
    page.left += 1
    this.#keys += keys
    const end = async (): Promise<void> => {
      try {
        await work()
        this.#done(page)
        ended()
      } catch (error) {
        // What is not dealt with holds the cursor back.
        this.#failure ??= { error }
      }
      this.#keys -= keys
      this.#changed()
    }
    void end()
  }

  /**
   * Resolves when there is room for so many keys.
   * @param most that may be under way, asked each time
   * @throws what a group did
   */
  async room(keys: number, most: () => number): Promise<void> {
    while (this.#keys > 0 && this.#keys + keys > most()) await this.#change()
    this.#check()
  }

  /**
   * Resolves when none is under way.
   * @throws what a group did
   */
  async rest(): Promise<void> {
    while (this.#keys > 0) await this.#change()
    this.#check()
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#changed = resolve
    })
  }

  #done(page: Page): void {
    page.left -= 1
    while (this.#pages[0]?.left === 0) this.cursor = this.#pages.shift()!.cursor
  }
}
