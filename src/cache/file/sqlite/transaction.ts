import type { Side } from '../../../side.ts'
import type { Database } from './database.ts'
import type { Opened } from '../opening/opening.ts'

type MetaRow = [number, number, number, number, number, string, number, number, number]

/** What a transaction knows and changes of the store's own counts, read once and written once. */
export class Transaction {
  readonly database: Database
  readonly #opened: Opened
  /** Set when anything changes; else the transaction is rolled back. */
  changed: boolean = false
  commits: number = 0
  /** The store's clock. */
  now: number = 0
  /** Values, expired ones that were not swept yet included. */
  entries: number = 0
  tombstones: number = 0
  bytes: number = 0
  /** Where the eviction clock stands: an id of `cells`. */
  hand: number = 0
  floorToken: string = ''
  floorAt: number = 0
  readonly owed: Record<Side, number> = { off: 0, on: 0 }

  constructor(opened: Opened) {
    this.#opened = opened
    this.database = opened.database
  }

  load(): void {
    const row = this.database
      .statement(
        `SELECT commits, entries, tombstones, bytes, hand, floor_token, floor_at, owed_off, owed_on
         FROM meta WHERE id = 1`,
      )
      .get() as MetaRow
    this.commits = row[0]
    this.entries = row[1]
    this.tombstones = row[2]
    this.bytes = row[3]
    this.hand = row[4]
    this.floorToken = row[5]
    this.floorAt = row[6]
    this.owed.off = row[7]
    this.owed.on = row[8]
    this.#noteOwed()
    this.now = this.#opened.control.keepClock()
  }

  save(): void {
    this.commits++
    this.#noteOwed('added')
    this.database
      .statement(
        `UPDATE meta SET commits = ?, entries = ?, tombstones = ?, bytes = ?, hand = ?,
         floor_token = ?, floor_at = ?, owed_off = ?, owed_on = ? WHERE id = 1`,
      )
      .run(
        this.commits,
        this.entries,
        this.tombstones,
        this.bytes,
        this.hand,
        this.floorToken,
        this.floorAt,
        this.owed.off,
        this.owed.on,
      )
    this.#opened.control.setCommits(this.commits, this.now)
  }

  /**
   * At the start the true number, before the commit only what was added
   * (docs/adr/0002-control-file.md).
   */
  #noteOwed(only?: 'added'): void {
    const { control } = this.#opened
    if (only === undefined) control.read()
    for (const side of ['off', 'on'] as const) {
      if (only === undefined || this.owed[side] > control.owed(side)) {
        control.setOwed(side, this.owed[side])
      }
    }
  }
}
