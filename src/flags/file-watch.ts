import { watch } from 'node:fs'
import type { FSWatcher } from 'node:fs'
import { stat } from 'node:fs/promises'
import { dirname } from 'node:path'

export interface FileWatchOptions {
  readonly path: string
  /** Called when the file may have changed; never twice at once. Must not reject. */
  readonly onChange: () => Promise<void>
  /** Milliseconds between looks at the file, for when no notice comes. @default 250 */
  readonly pollMs?: number
}

/**
 * Watches a file by its directory and by a cheap poll of its inode, so that a rename over it, an older
 * file put back, a delete and recreate and a swapped symlink are all seen, and a directory that comes
 * into being later is, too.
 */
export class FileWatch {
  readonly #options: FileWatchOptions
  readonly #timer: NodeJS.Timeout
  #watcher: FSWatcher | undefined
  #seen = ''
  #running: Promise<void> | undefined
  #again = false
  #closed = false

  constructor(options: FileWatchOptions) {
    this.#options = options
    this.#timer = setInterval(() => void this.#poll(), options.pollMs ?? 250).unref()
  }

  /** Calls `onChange` now, and resolves when it is done. */
  check(): Promise<void> {
    this.#again = true
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  close(): void {
    this.#closed = true
    clearInterval(this.#timer)
    this.#unwatch()
  }

  async #run(): Promise<void> {
    while (this.#again && !this.#closed) {
      this.#again = false
      this.#watch()
      // Before the content is read: what changes meanwhile shows at the next look.
      this.#seen = await stateOf(this.#options.path)
      await this.#options.onChange()
    }
  }

  async #poll(): Promise<void> {
    if (this.#running !== undefined) return
    const now = await stateOf(this.#options.path)
    if (!this.#closed && now !== this.#seen) await this.check()
  }

  #watch(): void {
    if (this.#watcher !== undefined) return
    try {
      const directory = dirname(this.#options.path)
      this.#watcher = watch(directory, { persistent: false }, () => void this.check())
      this.#watcher.on('error', () => this.#unwatch())
    } catch {
      // No such directory yet, or no watches left to give: the poll does it alone.
    }
  }

  #unwatch(): void {
    this.#watcher?.close()
    this.#watcher = undefined
  }
}

/**
 * Changes with whatever a write, a rename or a swap does. The time of the last write may go back (a
 * restored backup keeps its own); the inode's change time does not.
 */
async function stateOf(path: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true })
    return `${dev} ${ino} ${size} ${mtimeNs} ${ctimeNs}`
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code)
  }
}
