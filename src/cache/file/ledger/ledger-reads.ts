import type { Side } from '../../../side.ts'
import type { Due, Owed } from '../../backend.ts'
import { storageKey } from '../../storage-key.ts'
import { ControlReader } from './control-reader.ts'
import { fromSql } from '../sqlite/database.ts'
import type { Store } from '../store.ts'

/** How often one look may be used: a loop over hits never ends its turn. */
const MAX_USES = 64

type OwedRow = [string | Uint8Array, string, number]

/** What the machine's ledger says: each operation asks it before it trusts a side. */
export class LedgerReads {
  protected readonly store: Store
  readonly #look: { control: ControlReader | undefined; changes: number; uses: number } = {
    control: undefined,
    changes: 0,
    uses: 0,
  }
  // After the microtasks and before any event.
  readonly #endLook = (): void => {
    this.#look.control = undefined
  }

  constructor(store: Store) {
    this.store = store
  }

  get place(): string {
    return String(this.#control().place)
  }

  get others(): boolean {
    return this.store.others
  }

  owes(side: Side, key: string): boolean {
    return this.trustedFrom(side, key) === Number.POSITIVE_INFINITY
  }

  count(side: Side): number {
    return this.store.runSync(() => {
      const { control, database } = this.store.withHeader()
      if (control.owed(side) === 0) return 0
      const [count] = database.statement(`SELECT owed_${side} FROM meta WHERE id = 1`).get() as [
        number,
      ]
      return count
    })
  }

  fencedBefore(side: Side): number {
    return this.#control().fence(side)
  }

  trustedFrom(side: Side, key: string): number {
    const control = this.#controlOfTurn()
    if (control.owed(side) === 0) return control.fence(side)
    // Another process may raise it during the look below.
    const fence = control.fence(side)
    const owes = this.store.runSync(() => {
      const { database } = this.store.withHeader()
      const select = database.statement('SELECT 1 FROM owed WHERE side = ? AND key = ?')
      return select.get(side, storageKey(key)) !== undefined
    })
    return owes ? Number.POSITIVE_INFINITY : fence
  }

  list(side: Side, limit: number, due?: Due): readonly Owed[] {
    const { now, latest } = due ?? { now: Number.MAX_SAFE_INTEGER, latest: 0 }
    return this.store.runSync(() => {
      const rows = this.store
        .withHeader()
        .database.statement(
          `SELECT raw, generation, not_before FROM owed
           WHERE +side = ? AND (not_before <= ? OR not_before > ?) ORDER BY seq LIMIT ?`,
        )
        .all(side, now, latest, limit) as OwedRow[]
      return rows.map(([raw, generation, notBefore]) => ({
        side,
        key: fromSql(raw),
        generation,
        notBefore,
      }))
    })
  }

  era(side: Side): number {
    // Asked after each look at the trust, which has the file at hand.
    const { control, changes } = this.#look
    const held = changes === ControlReader.changes ? control : undefined
    return (held ?? this.store.current(Date.now()).control).era(side)
  }

  server(side: Side): number {
    return this.store.current(Date.now()).control.server(side)
  }

  /**
   * One look serves the operations of one turn of the event loop: without it a hit on Redis costs a
   * fifth more. News of another process's write can arrive only through an event, which starts
   * another turn; what this process changes itself ends the look.
   */
  #controlOfTurn(): ControlReader {
    const look = this.#look
    if (
      look.control !== undefined &&
      look.changes === ControlReader.changes &&
      look.uses < MAX_USES
    ) {
      look.uses += 1
      return look.control
    }
    const control = this.#control()
    if (look.control === undefined) process.nextTick(this.#endLook)
    look.control = control
    look.changes = ControlReader.changes
    look.uses = 0
    return control
  }

  #control(): ControlReader {
    try {
      return this.store.withHeader().control
    } catch {
      // The long way meets the same failure, and overcomes or reports it.
      return this.store.runSync(() => this.store.withHeader()).control
    }
  }
}
