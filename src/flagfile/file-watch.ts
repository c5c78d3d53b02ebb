import { type FSWatcher, watch } from 'node:fs'
import { readdir, realpath, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'

export interface FileWatchOptions {
  /** A file, or a directory of `*.json`. */
  readonly path: string
  /** Called when the content may have changed; never twice at once. Must not reject. */
  readonly onChange: () => Promise<void>
  /** Milliseconds between looks at the file, for when no notice comes. @default 250 */
  readonly pollMs?: number
  /** Whether to ask the system for notices; some network file systems give none. @default true */
  readonly notices?: boolean
}

/**
 * Watches a file by its *directories*, by the system's notices and by a cheap poll, so that a rename
 * over it, an older file put back, a delete and recreate and a swapped symlink are all seen, and a
 * directory that comes into being later is, too. A watch on the file itself (its inode), or on its
 * mtime, misses some of them.
 */
export class FileWatch {
  readonly #path: string
  readonly #onChange: () => Promise<void>
  readonly #notices: boolean
  readonly #timer: NodeJS.Timeout
  /** By inode of the directory. */
  readonly #watchers = new Map<string, FSWatcher>()
  #seen = ''
  #running: Promise<void> | undefined
  #again = false
  #closed = false

  constructor({ path, onChange, pollMs = 250, notices = true }: FileWatchOptions) {
    this.#path = path
    this.#onChange = onChange
    this.#notices = notices
    this.#timer = setInterval(() => void this.#poll(), pollMs).unref()
  }

  /** Calls `onChange` now, whether or not anything seems to have changed, and resolves when it is done. */
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
      // Before the content is read: what changes meanwhile shows at the next look.
      this.#seen = await signatureOf(this.#path)
      if (!this.#closed) await this.#onChange()
    }
  }

  async #poll(): Promise<void> {
    if (this.#running !== undefined) return
    const now = await signatureOf(this.#path)
    // A look that began meanwhile sees what this one saw.
    if (this.#closed || this.#running !== undefined) return
    if (now !== this.#seen) await this.check()
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

/**
 * The file, or the `*.json` of a directory in the order of their names.
 *
 * @throws the system's error when there is nothing at `path`
 */
export async function filesOf(path: string): Promise<string[]> {
  if (!(await stat(path)).isDirectory()) return [path]
  const names = (await readdir(path)).filter(
    (name) => name.endsWith('.json') && !name.startsWith('.'),
  )
  return names.sort().map((name) => join(path, name))
}

/**
 * Changes with whatever a write, a rename, a chmod or a symlink swap can do. The time of the last
 * write may go back (a restored backup keeps its own); the inode's change time does not.
 */
async function signatureOf(path: string): Promise<string> {
  try {
    const parts = (await filesOf(path)).map(async (file) => {
      const { dev, ino, size, mtimeNs, ctimeNs } = await stat(file, { bigint: true })
      return [file, dev, ino, size, mtimeNs, ctimeNs].join(' ')
    })
    return (await Promise.all(parts)).join('\n')
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code)
  }
}

/** The directories whose entries decide what the path leads to, each with its inode. */
async function directoriesOf(path: string): Promise<ReadonlyMap<string, string>> {
  const candidates = [dirname(path)]
  try {
    const real = await realpath(path)
    candidates.push((await stat(real)).isDirectory() ? real : dirname(real))
  } catch {
    // The file is gone for now; its return shows in the first directory.
  }
  const directories = new Map<string, string>()
  for (const directory of candidates) {
    try {
      const { dev, ino } = await stat(directory)
      directories.set(`${dev}:${ino}`, directory)
    } catch {
      // Gone too: the poll will see it come back.
    }
  }
  return directories
}
