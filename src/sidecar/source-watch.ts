import { watch } from 'node:fs'
import type { FSWatcher } from 'node:fs'
import { directoriesOf, signatureOf } from './source.ts'

export interface SourceWatchOptions {
  readonly path: string
  /** Called when the content may have changed; never twice at once. Must not reject. */
  readonly onChange: () => Promise<void>
  /**
   * Milliseconds between looks at the file, for when no notice comes.
   * @default 50
   */
  readonly pollInterval?: number
  /**
   * Whether to ask the system for notices; some network file systems give none.
   * @default true
   */
  readonly notices?: boolean
}

/**
 * Watches the *directory* of a file, by the system's notices and by a cheap poll, so that a rename
 * over the file, an older file put back, a delete and recreate and a symlink swap are all seen. A
 * watch on the file itself (its inode), or on its mtime, misses some of them.
 */
export class SourceWatch {
  readonly #path: string
  readonly #onChange: () => Promise<void>
  readonly #watchers = new Map<string, FSWatcher>()
  readonly #notices: boolean
  readonly #timer: NodeJS.Timeout
  #signature = ''
  #running: Promise<void> | undefined
  #again = false
  #closed = false

  constructor(options: SourceWatchOptions) {
    this.#path = options.path
    this.#onChange = options.onChange
    this.#notices = options.notices ?? true
    this.#timer = setInterval(() => void this.#poll(), options.pollInterval ?? 50)
    this.#timer.unref()
  }

  /** Looks now, whether or not anything seems to have changed. */
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
    for (const watcher of this.#watchers.values()) watcher.close()
    this.#watchers.clear()
  }

  async #run(): Promise<void> {
    while (this.#again && !this.#closed) {
      this.#again = false
      if (this.#notices) await this.#follow()
      // Before the read: what changes during it shows at the next poll.
      this.#signature = await signatureOf(this.#path)
      if (!this.#closed) await this.#onChange()
    }
  }

  async #poll(): Promise<void> {
    if (this.#running) return
    const signature = await signatureOf(this.#path)
    if (!this.#closed && signature !== this.#signature) await this.check()
  }

  async #follow(): Promise<void> {
    const directories = await directoriesOf(this.#path)
    if (this.#closed) return
    for (const id of this.#watchers.keys()) if (!directories.has(id)) this.#forget(id)
    for (const [id, directory] of directories) {
      if (!this.#watchers.has(id)) this.#watch(id, directory)
    }
  }

  #watch(id: string, directory: string): void {
    try {
      const watcher = watch(directory, { persistent: false }, () => void this.check())
      watcher.on('error', () => this.#forget(id))
      this.#watchers.set(id, watcher)
    } catch {
      // The system has no more watches to give, or the directory went: the poll does it alone.
    }
  }

  #forget(id: string): void {
    this.#watchers.get(id)?.close()
    this.#watchers.delete(id)
  }
}
