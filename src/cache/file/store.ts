import { createHash } from 'node:crypto'
import { setImmediate, setTimeout as delay } from 'node:timers/promises'
import { SwitchbackError } from '../../errors.ts'
import type { Side } from '../../side.ts'
import type { MaybePromise } from '../backend.ts'
import { ControlFile } from './ledger/control-file.ts'
import { storeError } from './sqlite/failures.ts'
import { StoreFiles } from './opening/files.ts'
import type { Opened } from './opening/opening.ts'
import { isBusy, isDamage } from './sqlite/sqlite.ts'
import { Transaction } from './sqlite/transaction.ts'
import { isCurrent, MOVED, OpenStore } from './opening/open-store.ts'

/** Longest wait of a call that must answer at once, in milliseconds. It blocks the event loop. */
const SYNC_PATIENCE = 250

/** Tries without a pause while another process writes, and the mean pause after those, in milliseconds. */
const QUICK_TRIES = 4
const RETRY_DELAY = 3

/** How often one operation may meet damage or a replaced database before it gives up. */
const MAX_REPAIRS = 4

/** The files of a pair's own; the default pair has the plain name. */
export function storeFiles(directory: string, name: string, pair: string): StoreFiles {
  if (pair === '') return new StoreFiles(directory, name)
  const suffix = createHash('sha1').update(pair).digest('hex').slice(0, 8)
  return new StoreFiles(directory, `${name}-${suffix}`)
}

/** Runs what reads and writes, and handles all that can be: other processes' locks, damage, files that vanish. */
export class Store extends OpenStore {
  #pair: string | undefined
  readonly #idle: Int32Array = new Int32Array(new SharedArrayBuffer(4))
  /**
   * Whether another process kept the lock longer than an operation was ready to wait, and still
   * does.
   */
  #stuck: boolean = false

  /** Whether other machines were ever met at a shared store, by any process. */
  get others(): boolean {
    return this.files.others
  }

  meetOthers(): void {
    this.files.meetOthers()
  }

  /** Goes to files of this pair's own; the default pair has the plain name. */
  use(pair: string): void {
    const { directory, name } = this.config
    if (this.#pair !== undefined && this.#pair !== pair) {
      throw new SwitchbackError('SB_FILE_OPTION_INVALID', 'One fileCache is used by two caches.', {
        hint: 'Call fileCache() once for each createCacheSwitch().',
      })
    }
    this.#pair = pair
    if (pair === '' || this.opened !== undefined) return
    this.files = storeFiles(directory, name, pair)
  }

  /** Runs `work` in one transaction. If it returns without having changed anything, nothing is written. */
  transact<T>(work: (tx: Transaction) => T): T {
    const opened = this.look(Date.now())
    const { database } = opened
    const tx = new Transaction(opened)
    database.sqlite.exec('BEGIN IMMEDIATE')
    this.#stuck = false
    let result: T
    try {
      tx.load()
      this.noteTombstoneTtl(opened)
      result = this.#within(opened, () => work(tx))
      if (!tx.changed) {
        database.sqlite.exec('ROLLBACK')
        return result
      }
      tx.save()
      database.sqlite.exec('COMMIT')
    } catch (error) {
      if (database.sqlite.inTransaction) database.sqlite.exec('ROLLBACK')
      throw error
    }
    if (!isCurrent(opened)) throw MOVED
    return result
  }

  /**
   * Runs `work` while no other process changes fences or opens the store. Throws `SQLITE_BUSY` if one
   * does.
   */
  exclusively<T>(work: (opened: Opened) => T): T {
    const opened = this.look(Date.now())
    const result = this.files.exclusively(() => {
      if (!isCurrent(opened)) throw MOVED
      return work(opened)
    })
    // Somebody may have deleted the files, the lock among them.
    if (!this.isInPlace()) throw MOVED
    return result
  }

  /** Distrusts a side by the control file alone, which needs no room, no lock and no database. */
  distrust(side: Side): void {
    try {
      for (let tries = 0; !this.#distrust(side); tries++) if (tries === MAX_REPAIRS) throw MOVED
    } catch (error) {
      throw this.#failed(error)
    }
  }

  /**
   * Runs `work`, which may throw what SQLite throws. While other processes hold the lock it is tried
   * again, in the background, for `patience` milliseconds.
   */
  run<T>(work: () => T, patience: number = this.config.busyTimeout): MaybePromise<T> {
    try {
      return this.#attempt(work)
    } catch (error) {
      // Behind a writer that was stopped in the middle, only the first waits.
      const left = this.#stuck ? 0 : Math.min(patience, this.config.busyTimeout)
      if (isBusy(error) && left > 0) return this.#again(work, performance.now() + left, error)
      throw this.#failed(error)
    }
  }

  /** As {@link run}, for callers that cannot wait. */
  runSync<T>(work: () => T): T {
    const deadline = performance.now() + (this.#stuck ? 0 : SYNC_PATIENCE)
    for (;;) {
      try {
        return this.#attempt(work)
      } catch (error) {
        if (!isBusy(error) || performance.now() >= deadline) {
          this.#stuck ||= isBusy(error)
          throw this.#failed(error)
        }
        Atomics.wait(this.#idle, 0, 0, 1 + Math.random())
      }
    }
  }

  close(): void {
    this.closed = true
    this.forget()
    this.previous = undefined
  }

  #within<T>(opened: Opened, work: () => T): T {
    this.running = opened
    try {
      return work()
    } finally {
      this.running = undefined
    }
  }

  async #again<T>(work: () => T, deadline: number, busy: unknown): Promise<T> {
    for (let tries = 0; ; tries++) {
      const left = deadline - performance.now()
      if (left <= 0) {
        this.#stuck = true
        throw this.#failed(busy)
      }
      // A commit takes less time than the shortest timer: the first tries do without one.
      if (tries < QUICK_TRIES) await setImmediate()
      else await delay(Math.min(left, RETRY_DELAY * (0.5 + Math.random())))
      try {
        return this.#attempt(work)
      } catch (error) {
        if (!isBusy(error)) throw this.#failed(error)
      }
    }
  }

  #attempt<T>(work: () => T): T {
    if (this.running !== undefined) return work()
    for (let tries = 0; ; tries++) {
      try {
        return work()
      } catch (error) {
        const overcome = error === MOVED || isDamage(error)
        if (!overcome || tries >= MAX_REPAIRS || this.closed) throw error
        this.forget()
        if (error !== MOVED) this.damage = error
      }
    }
  }

  /** False: somebody put another file into the place meanwhile. */
  #distrust(side: Side): boolean {
    const { control: inode } = this.files.identity()
    const control = new ControlFile(this.files.control, false)
    try {
      // The process that repairs it distrusts both sides.
      if (!control.isWhole()) throw new Error('the control file is damaged')
      control.distrust(side)
    } finally {
      control.close()
    }
    return this.files.identity().control === inode
  }

  #failed(error: unknown): SwitchbackError {
    return storeError(error, this.config.directory)
  }
}
