import { SwitchbackError } from '../../../errors.ts'
import type { FileCacheConfig } from '../options.ts'
import { StoreFiles } from './files.ts'
import { readBootId } from './machine.ts'
import { type Opened, openStore } from './opening.ts'
import { isBusy, isDamage } from '../sqlite/sqlite.ts'

/** How often a reader checks whether the files under it were deleted, in milliseconds. */
const LOOK_INTERVAL = 100

/** How long a store that failed to open is left alone, in milliseconds. */
const REOPEN_INTERVAL = 500

/** The database was replaced while this process wrote into the old one. */
export const MOVED: Error = new Error('the store was replaced')

/** The files of one cache, opened at their first use and again whenever they were replaced. */
export class OpenStore {
  protected readonly config: FileCacheConfig
  protected files: StoreFiles
  readonly #bootId: string
  protected opened: Opened | undefined
  protected previous: Opened | undefined
  /** In which a transaction of this process runs: it must not be closed under it. */
  protected running: Opened | undefined
  protected damage: unknown
  protected lookedAt: number = 0
  #failure: unknown
  #failedAt: number = 0
  closed: boolean = false
  /** Called each time that the store was opened. */
  onOpen: () => void = () => {}

  constructor(config: FileCacheConfig, bootId: string = readBootId()) {
    this.config = config
    this.files = new StoreFiles(config.directory, config.name)
    this.#bootId = bootId
  }

  /** Whether the store is open and its files were not deleted or replaced. */
  isInPlace(): boolean {
    if (this.opened === undefined) return false
    const { database, control } = this.files.identity()
    const { identity } = this.opened
    return database === identity.database && control === identity.control
  }

  /** The open store, for a read. Throws as {@link openStore} does. */
  current(now: number): Opened {
    const opened = this.opened
    if (opened !== undefined && now - this.lookedAt < LOOK_INTERVAL && now >= this.lookedAt) {
      return opened
    }
    return this.look(now)
  }

  /**
   * The open store, its control file's header read just now. Amid a transaction of this process it throws if that
   * has become void.
   */
  withHeader(): Opened {
    if (this.running !== undefined) {
      if (!isCurrent(this.running)) throw MOVED
      return this.running
    }
    for (let tries = 0; tries < 5; tries++) {
      const opened = this.current(Date.now())
      if (isCurrent(opened)) {
        this.noteTombstoneTtl(opened)
        return opened
      }
      this.forget()
    }
    throw MOVED
  }

  protected look(now: number): Opened {
    if (this.closed) {
      throw new SwitchbackError('SB_FILE_STORE_CLOSED', 'The file cache was closed.', {
        hint: 'Close it only after the last operation.',
      })
    }
    if (this.opened !== undefined) {
      if (this.isInPlace()) {
        this.lookedAt = now
        return this.opened
      }
      this.forget()
    }
    return this.#open(now)
  }

  #open(now: number): Opened {
    if (this.#failure !== undefined && Math.abs(now - this.#failedAt) < REOPEN_INTERVAL) {
      throw this.#failure
    }
    try {
      this.opened = openStore({
        files: this.files,
        bootId: this.#bootId,
        previous: this.previous,
        intactAt: this.lookedAt,
        damage: this.damage,
        tombstoneTtl: this.config.tombstoneTtl,
        onWarning: this.config.onWarning,
      })
    } catch (error) {
      // Damage in the very moment of opening is overcome like any other.
      if (!isBusy(error) && !isDamage(error)) {
        this.#failure = error
        this.#failedAt = now
      }
      throw error
    }
    this.previous = undefined
    this.damage = undefined
    this.#failure = undefined
    this.lookedAt = now
    this.onOpen()
    return this.opened
  }

  /** Another process may keep tombstones for longer: from then on all do. */
  protected noteTombstoneTtl({ control }: Opened): void {
    if (control.tombstoneTtl > this.config.tombstoneTtl) {
      this.config.tombstoneTtl = control.tombstoneTtl
    }
  }

  /** Closes what is open, and opens it again at the next use. */
  protected forget(): void {
    const opened = this.opened
    if (opened === undefined) return
    this.opened = undefined
    this.previous = opened
    opened.database.close()
    opened.control.close()
  }
}

/** Whether the database has not been replaced. Reads the header of the control file. */
export function isCurrent({ control, generation }: Opened): boolean {
  return control.read() && control.generation === generation
}
