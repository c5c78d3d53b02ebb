import { setImmediate } from 'node:timers/promises'
import type { FlagSet } from '../../flagfile/index.ts'
import { FlagView } from './flag-view.ts'
import type { FlagChanges } from './flag-view.ts'
import { parseFlagSelector } from './flag-selector.ts'
import type { FlagSelector } from './flag-selector.ts'
import { StoredFlag } from './stored-flag.ts'

export type FlagListener = (changes: FlagChanges) => void

/** The flags of one source. */
export interface SourceFlags {
  /** The source as it was named to the sidecar, which appears in answers. */
  readonly source: string
  readonly flags: FlagSet
}

/**
 * Sent per event loop turn: a write to a stream takes a fifth of a millisecond, and others must not
 * wait for a thousand.
 */
const TOLD_AT_ONCE = 50

/** Views kept for one state: selectors come from outside, and each costs a text of all flags. */
const MAX_VIEWS = 32

/**
 * The flags in force and their listeners. As in flagd, it holds one flag for each key of a flag
 * set: the one of the source with the highest priority that was loaded last. A source that drops a
 * flag does not restore that of a lower source until that one is loaded again.
 */
export class FlagStore {
  readonly #rows = new Map<string, StoredFlag>()
  readonly #listeners = new Map<FlagListener, FlagSelector>()
  #views = new Map<string, FlagView>()
  #version = 0

  /** Grows with every load, whether or not it changed anything. */
  get version(): number {
    return this.#version
  }

  /** How many flags are in force. */
  get size(): number {
    return this.#rows.size
  }

  /** @param selector what is left out is everything */
  view(selector: FlagSelector = parseFlagSelector()): FlagView {
    const name = `${selector.by}=${selector.value}`
    const known = this.#views.get(name)
    if (known !== undefined) return known
    const view = new FlagView(selector, this.#rows.values())
    if (this.#views.size >= MAX_VIEWS) this.#views.clear()
    this.#views.set(name, view)
    return view
  }

  /**
   * Puts the flags of a place in force, and notifies the listeners.
   *
   * @param priority of the place: of two places with the same flag, the higher one counts
   * @param parts the sources of the place in the order in which they are loaded
   */
  replace(priority: number, parts: readonly SourceFlags[]): void {
    const before = this.#views
    const old = [...this.#rows]
    const next = new Map(
      parts.map(({ source, flags }) => [source, rowsOf(source, priority, flags)]),
    )
    for (const [id, { priority: of, source }] of old) {
      if (of === priority && !next.get(source)?.has(id)) this.#rows.delete(id)
    }
    for (const rows of next.values()) {
      for (const [id, flag] of rows) {
        if ((this.#rows.get(id)?.priority ?? 0) <= priority) this.#rows.set(id, flag)
      }
    }
    this.#views = new Map()
    this.#version++
    this.#notify((selector) => {
      const name = `${selector.by}=${selector.value}`
      return before.get(name) ?? new FlagView(selector, old.map(([, flag]) => flag).values())
    })
  }

  /**
   * @param selector which flags the listener wants
   * @param listener called at every load; without changes when there are none
   * @returns a function that ends the subscription
   */
  subscribe(selector: FlagSelector, listener: FlagListener): () => void {
    this.#listeners.set(listener, selector)
    return () => this.#listeners.delete(listener)
  }

  #notify(before: (selector: FlagSelector) => FlagView): void {
    const changes = new Map<string, FlagChanges>()
    const told: (readonly [FlagListener, FlagChanges])[] = []
    for (const [listener, selector] of this.#listeners) {
      const name = `${selector.by}=${selector.value}`
      let change = changes.get(name)
      if (change === undefined) {
        change = this.view(selector).changesSince(before(selector))
        changes.set(name, change)
      }
      told.push([listener, change])
    }
    void this.#tell(told)
  }

  /** Changes keep their order: all take the same way. */
  async #tell(told: readonly (readonly [FlagListener, FlagChanges])[]): Promise<void> {
    for (const [i, [listener, changes]] of told.entries()) {
      if (i > 0 && i % TOLD_AT_ONCE === 0) await setImmediate()
      if (this.#listeners.has(listener)) listener(changes)
    }
  }
}

/** By flag set and key. */
function rowsOf(source: string, priority: number, { all }: FlagSet): Map<string, StoredFlag> {
  const rows = new Map<string, StoredFlag>()
  for (const definition of all) {
    const flag = new StoredFlag(definition, source, priority)
    rows.set(`${flag.flagSetId}\0${flag.key}`, flag)
  }
  return rows
}
