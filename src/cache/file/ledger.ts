import { setImmediate } from 'node:timers/promises'
import type { Side } from '../../side.ts'
import type { KnownServers, Ledger, MaybePromise, Owed } from '../backend.ts'
import { storageKey } from '../storage-key.ts'
import { slotOfSide } from './control-file.ts'
import { fromSql, toSql } from './database.ts'
import { freshToken } from './stamps.ts'
import type { Store } from './store.ts'

/** Answers remembered for each side while something is owed there. */
const MAX_KNOWN = 10_000

/** Owed invalidations written off in one transaction. */
const DROPPED = 1000

/** What this process knows of one side, as long as the side's stamp is `stamp`. */
interface Known {
  readonly stamp: number
  readonly count: number
  readonly keys: Map<string, boolean>
}

const NOTHING_KNOWN: Known = { stamp: 0, count: 0, keys: new Map() }

type OwedRow = [string | Uint8Array, string, number]

/** The machine's ledger, in the same files as the cells. */
export class FileLedger implements Ledger {
  readonly #store: Store
  readonly #known: Record<Side, Known> = { off: NOTHING_KNOWN, on: NOTHING_KNOWN }

  constructor(store: Store) {
    this.#store = store
  }

  owes(side: Side, key: string): boolean {
    try {
      const { control } = this.#store.withHeader()
      const known = this.#known[side]
      if (known.stamp !== 0 && known.stamp === control.sideStamp(side)) {
        if (known.count === 0) return false
        const answer = known.keys.get(key)
        if (answer !== undefined) return answer
      }
    } catch {
      // The long way meets the same failure, and overcomes or reports it.
    }
    return this.#store.runSync(() => this.#lookUp(side, key))
  }

  count(side: Side): number {
    return this.#store.runSync(() => this.#learn(side).count)
  }

  fencedBefore(side: Side): number {
    try {
      return this.#store.withHeader().control.fence(side)
    } catch {
      return this.#store.runSync(() => this.#store.withHeader().control.fence(side))
    }
  }

  trustedFrom(side: Side, key: string): number {
    try {
      const { control } = this.#store.withHeaderOfTurn()
      const { stamp, count } = this.#known[side]
      if (count === 0 && stamp !== 0 && stamp === control.sideStamp(side)) {
        return control.fence(side)
      }
    } catch {
      // As above.
    }
    if (this.owes(side, key)) return Number.POSITIVE_INFINITY
    // The header that `owes` has just read.
    return this.#store.current(Date.now()).control.fence(side)
  }

  list(side: Side, limit: number): readonly Owed[] {
    return this.#store.runSync(() => {
      const rows = this.#store
        .withHeader()
        .database.statement(
          'SELECT raw, generation, not_before FROM owed WHERE +side = ? ORDER BY seq LIMIT ?',
        )
        .all(side, limit) as OwedRow[]
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
      this.#store.transact(slotOfSide(side), (tx) => {
        const { changes } = tx.database
          .statement(
            `UPDATE owed SET generation = ?, not_before = max(not_before, ?)
             WHERE side = ? AND key = ?`,
          )
          .run(freshToken(), notBefore, side, name)
        if (changes === 0) {
          // The number of the commit: it only grows, so it is the order in which keys came to be owed.
          tx.database
            .statement(
              `INSERT INTO owed (seq, side, key, raw, generation, not_before)
               VALUES (?, ?, ?, ?, ?, ?)`,
            )
            .run(tx.commits + 1, side, name, toSql(key), freshToken(), notBefore)
          tx.owed[side]++
        }
        tx.changed = true
      })
    }, within)
  }

  settle({ side, key, generation }: Owed): MaybePromise<boolean> {
    const name = storageKey(key)
    return this.#store.run(() =>
      this.#store.transact(slotOfSide(side), (tx) => {
        const { changes } = tx.database
          .statement('DELETE FROM owed WHERE side = ? AND key = ? AND generation = ?')
          .run(side, name, generation)
        if (changes === 0) return false
        tx.owed[side]--
        tx.changed = true
        return true
      }),
    )
  }

  /**
   * Stands as soon as it is in the control file, which works on a full disk too. That the database
   * learns of it is only for later: the sweeper sees to it if it fails now.
   */
  async fence(side: Side, before: number): Promise<void> {
    await this.#store.run(() => this.#store.withHeader().control.raiseFence(side, before))
    try {
      await this.#store.run(() => this.#noteFence(side, before), 0)
    } catch {
      // See above.
    }
  }

  async writeOff(side: Side): Promise<void> {
    try {
      const until = await this.#store.run(() => this.#lastOwed(side))
      while ((await this.#store.run(() => this.#drop(side, until))) === DROPPED) {
        await setImmediate()
      }
    } catch {
      // Still owed, and distrusted twice.
    }
  }

  knownServers(side: Side): KnownServers {
    return {
      recall: () => this.#store.runSync(() => this.#servers(side)),
      remember: (servers) =>
        this.#store.run(() =>
          this.#store.transact(0, (tx) => {
            tx.database.statement('DELETE FROM servers WHERE side = ?').run(side)
            const insert = tx.database.statement('INSERT INTO servers VALUES (?, ?, ?)')
            for (const [address, identity] of servers) insert.run(side, address, identity)
            tx.changed = true
          }),
        ),
    }
  }

  #servers(side: Side): ReadonlyMap<string, string> {
    const rows = this.#store
      .withHeader()
      .database.statement('SELECT address, identity FROM servers WHERE side = ?')
      .all(side) as [string, string][]
    return new Map(rows)
  }

  #lookUp(side: Side, key: string): boolean {
    const known = this.#learn(side)
    if (known.count === 0) return false
    const row = this.#store
      .withHeader()
      .database.statement('SELECT 1 FROM owed WHERE side = ? AND key = ?')
      .get(side, storageKey(key))
    const owes = row !== undefined
    // A stamp that was not to be trusted is 0, and no later one equals it.
    if (known.keys.size >= MAX_KNOWN) known.keys.clear()
    known.keys.set(key, owes)
    return owes
  }

  /** What is known of a side under its present stamp. The stamp is read before the row. */
  #learn(side: Side): Known {
    const { control, database } = this.#store.withHeader()
    const stamp = control.sideStamp(side)
    const known = this.#known[side]
    if (stamp !== 0 && stamp === known.stamp) return known
    const [count] = database.statement(`SELECT owed_${side} FROM meta WHERE id = 1`).get() as [
      number,
    ]
    return (this.#known[side] = { stamp, count, keys: new Map() })
  }

  #lastOwed(side: Side): number {
    const [last] = this.#store
      .withHeader()
      .database.statement('SELECT max(seq) FROM owed WHERE side = ?')
      .get(side) as [number | null]
    return last ?? 0
  }

  #noteFence(side: Side, before: number): void {
    this.#store.transact(0, (tx) => {
      tx.changed = true
      tx.database
        .statement(`UPDATE meta SET fence_${side} = max(fence_${side}, ?) WHERE id = 1`)
        .run(before)
    })
  }

  #drop(side: Side, until: number): number {
    return this.#store.transact(slotOfSide(side), (tx) => {
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
