import { compareTexts } from '../../flagfile/index.ts'
import { goString } from '../../flagfile/index.ts'
import type { FlagSelector } from './flag-selector.ts'
import type { StoredFlag } from './stored-flag.ts'

export type FlagChange = 'write' | 'update' | 'delete'
/** What changed, by flag key. */
export type FlagChanges = ReadonlyMap<string, FlagChange>

/** The flags in force that a selector selects, at one time. */
export class FlagView {
  readonly selector: FlagSelector
  /** In flagd's order: by flag set, then by key. */
  readonly flags: readonly StoredFlag[]
  readonly #chosen: ReadonlyMap<string, StoredFlag>
  readonly #last: ReadonlyMap<string, StoredFlag>
  #text: string | undefined

  constructor(selector: FlagSelector, rows: Iterable<StoredFlag>) {
    this.selector = selector
    const { by, value } = selector
    this.flags = [...rows]
      .filter((flag) => by === 'all' || flag[by] === value)
      .sort((a, b) => compareTexts(a.flagSetId, b.flagSetId) || compareTexts(a.key, b.key))
    this.#chosen = chosenOf(this.flags, by === 'all')
    this.#last = new Map(this.flags.map((flag) => [flag.key, flag]))
  }

  /** The flag that answers for a key that exists in several flag sets. */
  get(key: string): StoredFlag | undefined {
    return this.#chosen.get(key)
  }

  /** The flag configuration of the sync stream. */
  get text(): string {
    if (this.#text === undefined) {
      const flags = [...this.#last.values()].sort((a, b) => compareTexts(a.key, b.key))
      const members = flags.map((flag) => `${goString(flag.key)}:${flag.text}`)
      this.#text = `{"flags":{${members.join(',')}}}`
    }
    return this.#text
  }

  changesSince(before: FlagView): FlagChanges {
    const changes = new Map<string, FlagChange>()
    for (const key of before.#last.keys()) if (!this.#last.has(key)) changes.set(key, 'delete')
    for (const [key, flag] of this.#last) {
      const old = before.#last.get(key)
      if (old === undefined) changes.set(key, 'write')
      else if (old.text !== flag.text) changes.set(key, 'update')
    }
    return changes
  }
}

/** Without a selector the flag of the highest priority, of these the last; with one, the first. */
function chosenOf(flags: readonly StoredFlag[], all: boolean): Map<string, StoredFlag> {
  const chosen = new Map<string, StoredFlag>()
  for (const flag of flags) {
    const other = chosen.get(flag.key)
    if (other === undefined || (all && flag.priority >= other.priority)) chosen.set(flag.key, flag)
  }
  return chosen
}
