import { setImmediate } from 'node:timers/promises'
import type { Side } from '../../side.ts'
import { isSwitchbackError } from '../../errors.ts'
import {
  type Due,
  FENCE_UNKNOWN,
  type Heard,
  type Ledger,
  type MaybePromise,
  type Owed,
} from '../backend.ts'
import { storageKey } from '../storage-key.ts'
import { newToken } from '../envelope.ts'
import { ControlFile } from './control-file.ts'
import { fromSql, toSql } from './database.ts'
import type { Store } from './store.ts'

/** How often one look may be used: a loop over hits never ends its turn. */
const MAX_USES = 64

/** Pending invalidations written off in one transaction. */
const DROPPED = 1000

type OwedRow = [string | Uint8Array, string, number]

/** The machine's ledger, in the same files as the cells. */
export class FileLedger implements Ledger {
  readonly #store: Store
  readonly #look: { control: ControlFile | undefined; changes: number; uses: number } = {
    control: undefined,
    changes: 0,
    uses: 0,
  }
  // After the microtasks and before any event.
  readonly #endLook = (): void => {
    this.#look.control = undefined
  }

  constructor(store: Store) {
    this.#store = store
  }

  get place(): string {
    return String(this.#control().place)
  }

  get others(): boolean {
    return this.#store.others
  }

  meetOthers(): void {
    try {
      this.#store.meetOthers()
    } catch {
      // Processes that start while Redis is out will not know; this one does.
    }
  }

  owes(side: Side, key: string): boolean {
    return this.trustedFrom(side, key) === Number.POSITIVE_INFINITY
  }

  count(side: Side): number {
    return this.#store.runSync(() => {
      const { control, database } = this.#store.withHeader()
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
    const owes = this.#store.runSync(() => {
      const { database } = this.#store.withHeader()
      const select = database.statement('SELECT 1 FROM owed WHERE side = ? AND key = ?')
      return select.get(side, storageKey(key)) !== undefined
    })
    return owes ? Number.POSITIVE_INFINITY : fence
  }

  list(side: Side, limit: number, due?: Due): readonly Owed[] {
    const { now, latest } = due ?? { now: Number.MAX_SAFE_INTEGER, latest: 0 }
    return this.#store.runSync(() => {
      const rows = this.#store
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

  owe(side: Side, key: string, notBefore: number, within?: number): MaybePromise<void> {
    const name = storageKey(key)
    return this.#store.run(() => {
      this.#store.transact((tx) => {
        const { changes } = tx.database
          .statement(
            `UPDATE owed SET generation = ?, not_before = max(not_before, ?)
             WHERE side = ? AND key = ?`,
          )
          .run(newToken(), notBefore, side, name)
        if (changes === 0) {
          // The number of the commit: it only grows, so it is the order in which keys became
          // pending.
          tx.database
            .statement(
              `INSERT INTO owed (seq, side, key, raw, generation, not_before)
               VALUES (?, ?, ?, ?, ?, ?)`,
            )
            .run(tx.commits + 1, side, name, toSql(key), newToken(), notBefore)
          tx.owed[side]++
        }
        tx.changed = true
      })
    }, within)
  }

  async settle({ side, key, generation }: Owed): Promise<boolean> {
    const name = storageKey(key)
    const settled = await this.#store.run(() =>
      this.#store.transact((tx) => {
        const { changes } = tx.database
          .statement('DELETE FROM owed WHERE side = ? AND key = ? AND generation = ?')
          .run(side, name, generation)
        if (changes === 0) return false
        tx.owed[side]--
        tx.changed = true
        return true
      }),
    )
    this.#noteOwed(side)
    return settled
  }

  /**
   * In effect when this returns, also on a full disk, beside a frozen process, and in a process
   * that cannot open the store: then the side is distrusted as a whole until it is known from when
   * on it is not.
   */
  fence(side: Side, before: number): MaybePromise<void> {
    try {
      return this.#store.run(
        () =>
          this.#store.exclusively(({ control }) => {
            if (before < FENCE_UNKNOWN) control.raiseFence(side, before)
            else control.distrust(side)
          }),
        0,
      )
    } catch (error) {
      // Another machine's store, or one that is closed, is not ours to distrust.
      if (isForeign(error)) throw error
      this.#store.distrust(side)
    }
  }

  replaceFence(side: Side, from: number, before: number): MaybePromise<boolean> {
    return this.#store.run(() =>
      this.#store.exclusively(({ control }) => {
        if (control.fence(side) !== from) return false
        control.replaceFence(side, before)
        return true
      }),
    )
  }

  era(side: Side): number {
    // Asked after each look at the trust, which has the file at hand.
    const { control, changes } = this.#look
    const held = changes === ControlFile.changes ? control : undefined
    return (held ?? this.#store.current(Date.now()).control).era(side)
  }

  server(side: Side): number {
    return this.#store.current(Date.now()).control.server(side)
  }

  adopt(side: Side, from: number, { era, server }: Heard, before: number): MaybePromise<boolean> {
    return this.#store.run(() =>
      this.#store.exclusively(({ control }) => {
        if (control.era(side) !== from) return false
        const fence = control.fence(side)
        control.raiseFence(side, fence < FENCE_UNKNOWN ? Math.max(before, fence + 1) : before)
        control.setEra(side, era, server)
        return true
      }),
    )
  }

  async writeOff(side: Side): Promise<void> {
    try {
      const until = await this.#store.run(() => this.#lastOwed(side))
      while ((await this.#store.run(() => this.#drop(side, until))) === DROPPED) {
        await setImmediate()
      }
      this.#noteOwed(side)
    } catch {
      // Still pending, and distrusted twice.
    }
  }

  /**
   * One look serves the operations of one turn of the event loop: without it a hit on Redis costs a
   * fifth more. News of another process's write can arrive only through an event, which starts
   * another turn; what this process changes itself ends the look.
   */
  #controlOfTurn(): ControlFile {
    const look = this.#look
    if (
      look.control !== undefined &&
      look.changes === ControlFile.changes &&
      look.uses < MAX_USES
    ) {
      look.uses += 1
      return look.control
    }
    const control = this.#control()
    if (look.control === undefined) process.nextTick(this.#endLook)
    look.control = control
    look.changes = ControlFile.changes
    look.uses = 0
    return control
  }

  #control(): ControlFile {
    try {
      return this.#store.withHeader().control
    } catch {
      // The long way meets the same failure, and overcomes or reports it.
      return this.#store.runSync(() => this.#store.withHeader()).control
    }
  }

  /**
   * When nothing is pending any more, all processes may know: until then each operation looks into
   * the ledger.
   */
  #noteOwed(side: Side): void {
    try {
      if (this.count(side) === 0) this.#store.transact(() => undefined)
    } catch {
      // Another process writes just now, and will note it.
    }
  }

  #lastOwed(side: Side): number {
    const [last] = this.#store
      .withHeader()
      .database.statement('SELECT max(seq) FROM owed WHERE side = ?')
      .get(side) as [number | null]
    return last ?? 0
  }

  #drop(side: Side, until: number): number {
    return this.#store.transact((tx) => {
      const { changes } = tx.database
        .statement(
          `DELETE FROM owed WHERE seq IN
           (SELECT seq FROM owed WHERE +side = ? AND seq <= ? ORDER BY seq LIMIT ${DROPPED})`,
        )
        .run(side, until)
      tx.owed[side] -= changes
      tx.changed = changes > 0
      return changes
    })
  }
}

function isForeign(error: unknown): boolean {
  const code = isSwitchbackError(error) ? error.code : ''
  return code === 'SB_DIRECTORY_SHARED' || code === 'SB_FILE_STORE_CLOSED'
}
