import type { SwitchbackError } from '../../errors.ts'
import { ABSENT, type Cell } from '../cell.ts'
import { storageKey } from '../storage-key.ts'
import { openText } from './cell-reads.ts'
import { foreignData } from './redis-errors.ts'
import type { CellLayout, LayoutScripts, CellPlace } from './layout.ts'
import { PUTS_SCRIPT } from './many/many-scripts.ts'
import { BOARD_READ } from './pair/board.ts'
import { FOLLOWER_ASK } from './pair/redis-following.ts'
import { PUT_SCRIPT, TOMBSTONE_SCRIPT } from './scripts.ts'
import type { ServerState } from './servers/server-state.ts'

/** Under the prefix, and no key's name: a key that begins with `#` is always hashed, to 44 characters. */
const STATE_NAME = '#state'

export const DEFAULT_PREFIX = 'switchback:cache:'

/** Each cell is one text under a prefix of the switch's own. */
export class OwnLayout implements CellLayout {
  readonly scripts: LayoutScripts = {
    put: PUT_SCRIPT,
    puts: PUTS_SCRIPT,
    tombstone: TOMBSTONE_SCRIPT,
    clear: TOMBSTONE_SCRIPT,
    ask: FOLLOWER_ASK,
    read: BOARD_READ,
  }
  readonly outsiders: boolean = false
  readonly prefix: string

  constructor(prefix: string) {
    this.prefix = prefix
  }

  get stateName(): string {
    return this.prefix + STATE_NAME
  }

  get space(): string {
    return this.prefix === DEFAULT_PREFIX ? '' : this.prefix
  }

  get ownPrefix(): string {
    return this.prefix
  }

  get cleared(): string {
    return this.prefix
  }

  get watched(): readonly string[] {
    return [this.prefix]
  }

  namesOf(key: string): readonly string[] {
    return [this.prefix + storageKey(key)]
  }

  placeOf(key: string): CellPlace {
    return { name: this.prefix + storageKey(key) }
  }

  cellOf(name: string): CellPlace | undefined {
    return name.startsWith(this.stateName) ? undefined : { name }
  }

  keyOf(name: string): string | undefined {
    return name.startsWith(this.stateName) ? undefined : name.slice(this.prefix.length)
  }

  toldAs(name: string): readonly string[] {
    return [name.slice(this.prefix.length)]
  }

  foreignData(pattern: string): SwitchbackError {
    return foreignData(pattern)
  }

  open(
    [text]: readonly (string | null)[],
    server: ServerState,
    tombstoneTtl: number,
    era: string,
  ): Cell {
    return typeof text === 'string' ? openText(text, server, tombstoneTtl, era) : { ...ABSENT, era }
  }
}
