import { setImmediate } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { noFlags } from './flag-set.ts'
import type { FlagSet } from './flag-set.ts'

export type FlagChange = 'write' | 'update' | 'delete'
/** What changed, by flag key. */
export type FlagChanges = ReadonlyMap<string, FlagChange>
export type FlagListener = (changes: FlagChanges) => void

/** Told in one go: to write to a stream takes a fifth of a millisecond, and others must not wait for a thousand. */
const TOLD_AT_ONCE = 50

/** The flags in force, and who wants to hear of their changes. */
export class FlagStore {
  #current: FlagSet = noFlags
  readonly #listeners = new Set<FlagListener>()

  get current(): FlagSet {
    return this.#current
  }

  /** Puts new flags in force. Flags that say the same as before notify nobody. */
  replace(next: FlagSet): void {
    const previous = this.#current
    this.#current = next
    const changes = difference(previous, next)
    if (changes.size === 0) return
    void this.#tell([...this.#listeners], changes)
  }

  /** One change never overtakes another: all go the same way at the same pace. */
  async #tell(listeners: readonly FlagListener[], changes: FlagChanges): Promise<void> {
    for (const [i, listener] of listeners.entries()) {
      if (i > 0 && i % TOLD_AT_ONCE === 0) await setImmediate()
      if (this.#listeners.has(listener)) listener(changes)
    }
  }

  /** @returns a function that ends the subscription */
  subscribe(listener: FlagListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
}

function difference(previous: FlagSet, next: FlagSet): FlagChanges {
  const changes = new Map<string, FlagChange>()
  // Flag set metadata is part of every flag's answer.
  const touched = !isDeepStrictEqual(previous.metadata, next.metadata)
  for (const key of next.keys) {
    if (!Object.hasOwn(previous.flags, key)) changes.set(key, 'write')
    else if (touched || !isDeepStrictEqual(previous.flags[key], next.flags[key])) {
      changes.set(key, 'update')
    }
  }
  for (const key of previous.keys) {
    if (!Object.hasOwn(next.flags, key)) changes.set(key, 'delete')
  }
  return changes
}
