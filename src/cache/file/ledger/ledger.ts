import { setImmediate } from 'node:timers/promises'
import type { Side } from '../../../side.ts'
import { isSwitchbackError } from '../../../errors.ts'
import {
  FENCE_UNKNOWN,
  type Heard,
  type Ledger,
  type MaybePromise,
  type Owed,
} from '../../backend.ts'
import { storageKey } from '../../storage-key.ts'
import { newToken } from '../../envelope.ts'
import { LedgerReads } from './ledger-reads.ts'
import { toSql } from '../sqlite/database.ts'

/** Pending invalidations written off in one transaction. */
const DROPPED = 1000

/** The machine's ledger, in the same files as the cells. */
export class FileLedger extends LedgerReads implements Ledger {
  meetOthers(): void {
    try {
      this.store.meetOthers()
    } catch {
      // Processes that start while Redis is out will not know; this one does.
    }
  }

  owe(side: Side, key: string, notBefore: number, within?: number): MaybePromise<void> {
    const name = storageKey(key)
    return this.store.run(() => {
      this.store.transact((tx) => {
        // The number of the commit: it only grows, so it is the order in which keys became
        // pending, the last time.
        const seq = tx.commits + 1
        const { changes } = tx.database
          .statement(
            `UPDATE owed SET seq = ?, generation = ?, not_before = max(not_before, ?)
             WHERE side = ? AND key = ?`,
          )
          .run(seq, newToken(), notBefore, side, name)
        if (changes === 0) {
          tx.database
            .statement(
              `INSERT INTO owed (seq, side, key, raw, generation, not_before)
               VALUES (?, ?, ?, ?, ?, ?)`,
            )
            .run(seq, side, name, toSql(key), newToken(), notBefore)
          tx.owed[side]++
        }
        tx.changed = true
      })
    }, within)
  }

  async settle({ side, key, generation }: Owed): Promise<boolean> {
    const name = storageKey(key)
    const settled = await this.store.run(() =>
      this.store.transact((tx) => {
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
      return this.store.run(
        () =>
          this.store.exclusively(({ control }) => {
            if (before < FENCE_UNKNOWN) control.raiseFence(side, before)
            else control.distrust(side)
          }),
        0,
      )
    } catch (error) {
      // Another machine's store, or one that is closed, is not ours to distrust.
      if (isForeign(error)) throw error
      this.store.distrust(side)
    }
  }

  replaceFence(side: Side, from: number, before: number): MaybePromise<boolean> {
    return this.store.run(() =>
      this.store.exclusively(({ control }) => {
        if (control.fence(side) !== from) return false
        control.replaceFence(side, before)
        return true
      }),
    )
  }

  adopt(side: Side, from: number, { era, server }: Heard, before: number): MaybePromise<boolean> {
    return this.store.run(() =>
      this.store.exclusively(({ control }) => {
        if (control.era(side) !== from) return false
        const fence = control.fence(side)
        control.raiseFence(side, fence < FENCE_UNKNOWN ? Math.max(before, fence + 1) : before)
        control.setEra(side, era, server)
        return true
      }),
    )
  }

  writeOff(side: Side): () => Promise<void> {
    const last = this.#lastOwed(side)
    return async () => {
      if (last === undefined) return
      try {
        while ((await this.store.run(() => this.#drop(side, last))) === DROPPED) {
          await setImmediate()
        }
        this.#noteOwed(side)
      } catch {
        // Still pending, and distrusted twice.
      }
    }
  }

  /**
   * When nothing is pending any more, all processes may know: until then each operation looks into
   * the ledger.
   */
  #noteOwed(side: Side): void {
    try {
      if (this.count(side) === 0) this.store.transact(() => undefined)
    } catch {
      // Another process writes just now, and will note it.
    }
  }

  /** `undefined`: nothing, for all that can be known now. */
  #lastOwed(side: Side): Last | undefined {
    try {
      return this.store.runSync(() => {
        const { database, generation } = this.store.withHeader()
        const select = database.statement('SELECT max(seq) FROM owed WHERE side = ?')
        const [seq] = select.get(side) as [number | null]
        return seq === null ? undefined : { seq, generation }
      })
    } catch {
      return undefined
    }
  }

  #drop(side: Side, last: Last): number {
    return this.store.transact((tx) => {
      // Another database counts its commits anew.
      if (this.store.withHeader().generation !== last.generation) return 0
      const { changes } = tx.database
        .statement(
          `DELETE FROM owed WHERE seq IN
           (SELECT seq FROM owed WHERE +side = ? AND seq <= ? ORDER BY seq LIMIT ${DROPPED})`,
        )
        .run(side, last.seq)
      tx.owed[side] -= changes
      tx.changed = changes > 0
      return changes
    })
  }
}

/** What was noted last, in which database. */
interface Last {
  readonly seq: number
  readonly generation: number
}

function isForeign(error: unknown): boolean {
  const code = isSwitchbackError(error) ? error.code : ''
  return code === 'SB_DIRECTORY_SHARED' || code === 'SB_FILE_STORE_CLOSED'
}
