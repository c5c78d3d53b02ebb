import type { Cell } from '../cell.ts'
import type { SwitchbackError } from '../../errors.ts'
import type { Script } from './scripts.ts'
import type { ServerState } from './servers/server-state.ts'

/** Where a cell is; with a key of its own for the value, that, and the value if it is written. */
export interface CellPlace {
  readonly name: string
  readonly beside?: { readonly name: string; readonly text: string }
}

/** A cell is read, buried and asked about by these. */
export interface LayoutScripts {
  readonly put: Script
  readonly tombstone: Script
  /** Of `clear`. */
  readonly clear: Script
  /** For who follows the store: answers with the era and the texts. */
  readonly ask: Script
  /** For who has no licence: answers with the era, who vouched for it, and the texts. */
  readonly read: Script
  /** As `put`, of many cells: see `manyOf`. */
  readonly puts: Script
  /** Where other programs write values too: keeps one that is about to move. */
  readonly claim?: Script
  /** As `claim`, of many. */
  readonly claims?: Script
}

/** How cells lie in Redis: under which names, in which texts, and by which scripts they change. */
export interface CellLayout {
  readonly scripts: LayoutScripts
  /** Stands before every key. */
  readonly prefix: string
  /** Programs without the switch write values too. */
  readonly outsiders: boolean
  /** The name of the state, which no cell has. */
  readonly stateName: string
  /** Tells apart who shares a directory of files; `''` where nothing was named. */
  readonly space: string
  /** Begins the names that are the switch's own. */
  readonly ownPrefix: string
  /** Begins the names of all cells that `clear` deletes. */
  readonly cleared: string
  /** What changes with a cell begins with one of these. */
  readonly watched: readonly string[]
  /** Whether the application's codec can read a text; given by the cache. */
  readable?: (payload: string) => boolean
  /** Called when a value that nobody here can read is left alone; given by the cache. */
  onForeign?: () => void
  /** The names of a cell: where it is, and where its value has a key of its own, that. */
  namesOf(key: string): readonly string[]
  /** @param payload what is to be written */
  placeOf(key: string, payload?: string): CellPlace
  /** Of a name under {@link cleared}; `undefined`: it is not a cell's. */
  cellOf(name: string): CellPlace | undefined
  /** As `storageKey`, of a name under the prefix; `undefined`: there is no value of this cache. */
  keyOf(name: string): string | undefined
  /** The cells (`storageKey`) that a change of this name may be of. */
  toldAs(name: string): readonly string[]
  /** The cell that the texts under its names stand for. */
  open(
    texts: readonly (string | null)[],
    server: ServerState,
    tombstoneTtl: number,
    era: string,
  ): Cell
  /** @param pattern of the keys in Redis */
  foreignData(pattern: string): SwitchbackError
}
