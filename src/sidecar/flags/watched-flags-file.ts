import { extname, join, resolve } from 'node:path'
import { SwitchbackError, quote } from '../../errors.ts'
import { FileWatch, filesOf, readFlagSet } from '../../flagfile/index.ts'
import type { FlagStore } from './flag-store.ts'
import { readSource } from './source-files.ts'

export interface SidecarLogEntry {
  readonly level: 'info' | 'error'
  readonly message: string
}

export interface FlagsFileOptions {
  /** A flags file, or a directory of them. */
  readonly path: string
  /** Of two files with the same flag, that of the higher one counts. */
  readonly priority: number
  readonly store: FlagStore
  readonly onLog: (entry: SidecarLogEntry) => void
}

/** Time between looks at the file: short, since developers and tests edit and wait. */
const POLL_MS = 50

/** How long content must stay broken before it is reported: a save may be under way. */
const SETTLE_MS = 100

/** Keeps the store in line with the flags file, and at the last good state while it is broken. */
export class WatchedFlagsFile {
  readonly #path: string
  /** As it was given: the name of its source. */
  readonly #name: string
  readonly #priority: number
  readonly #store: FlagStore
  readonly #onLog: (entry: SidecarLogEntry) => void
  readonly #watch: FileWatch
  #seen: string | undefined
  /** Resolves when its content is in force for the first time. */
  readonly loaded: Promise<void>
  #onLoaded = (): void => {}
  /** Whether it was ever read. */
  #good = false
  #complaint: NodeJS.Timeout | undefined

  private constructor(options: FlagsFileOptions) {
    this.#path = resolve(options.path)
    this.#name = options.path
    this.#priority = options.priority
    this.#store = options.store
    this.#onLog = options.onLog
    this.loaded = new Promise((resolved) => (this.#onLoaded = resolved))
    this.#watch = new FileWatch({
      path: this.#path,
      onChange: () => this.#load(),
      pollMs: POLL_MS,
    })
  }

  /** @throws SwitchbackError `SB_FLAGS_FILE_MISSING` */
  static async open(options: FlagsFileOptions): Promise<WatchedFlagsFile> {
    if (!(await hasFiles(options.path))) {
      throw new SwitchbackError(
        'SB_FLAGS_FILE_MISSING',
        `The flags file ${quote(options.path)} does not exist.`,
        {
          hint: 'Name a file that exists, or start from the example in the package: cp -r node_modules/switchback/flags .',
        },
      )
    }
    const file = new WatchedFlagsFile(options)
    await file.#watch.check()
    return file
  }

  close(): void {
    this.#withdraw()
    this.#watch.close()
  }

  async #load(): Promise<void> {
    try {
      const files = await readSource(this.#path)
      if (files.length === 0) {
        return this.#miss(`The directory "${this.#path}" has no *.json file any more`, 'it has one')
      }
      if (!this.#isNews(JSON.stringify(files))) return
      const parts = files.map(({ file, name, text }) => ({
        // The source of a file is named by its path as given, as flagd names it by its URI.
        source: file === this.#path ? this.#name : join(this.#name, name),
        flags: readFlagSet(text, readable(name)),
      }))
      this.#store.replace(this.#priority, parts)
      this.#good = true
      this.#onLoaded()
      const { size } = this.#store
      this.#onLog({ level: 'info', message: `${size} ${size === 1 ? 'flag' : 'flags'} in force` })
    } catch (error) {
      if (error instanceof SwitchbackError)
        return this.#complain(`${error.message}; ${this.#kept()}`)
      const { code, message, path = this.#path } = error as NodeJS.ErrnoException
      if (code === 'ENOENT') return this.#miss(`"${path}" no longer exists`, 'it is back')
      this.#miss(`"${path}" cannot be read (${code ?? message})`, 'it can be')
    }
  }

  /**
   * Missing content must not change the flags: dropping them would route all users to the old side.
   */
  #miss(problem: string, remedy: string): void {
    const message = `${problem}: the last good flags stay in force until ${remedy}.`
    if (this.#isNews(message)) this.#complain(message)
  }

  #kept(): string {
    return this.#good
      ? 'the last good flags stay in force until it is corrected'
      : 'no flags are served from it until it is corrected'
  }

  #isNews(content: string): boolean {
    if (content === this.#seen) return false
    this.#seen = content
    this.#withdraw()
    return true
  }

  #complain(message: string): void {
    const complaint = setTimeout(() => void this.#confirm(complaint, message), SETTLE_MS).unref()
    this.#complaint = complaint
  }

  /** The save may be complete by now, with its notification on the way. */
  async #confirm(complaint: NodeJS.Timeout, message: string): Promise<void> {
    await this.#watch.check()
    if (this.#complaint === complaint) this.#onLog({ level: 'error', message })
  }

  #withdraw(): void {
    clearTimeout(this.#complaint)
    this.#complaint = undefined
  }
}

/** @throws SwitchbackError for a file that flagd does not read, whatever its content */
function readable(name: string): string {
  if (/^\.(?:json|ya?ml)$/i.test(extname(name))) return name
  const message = `${quote(name)} is not named *.json, *.yaml or *.yml, the only files that flagd reads`
  throw new SwitchbackError('SB_FLAGS_INVALID', message, { hint: 'Rename it.' })
}

async function hasFiles(path: string): Promise<boolean> {
  try {
    return (await filesOf(path)).length > 0
  } catch {
    return false
  }
}
