import { randomBytes } from 'node:crypto'
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises'

/** Of two guards on one rollout, one acts; the other stands by. */
export interface Lease {
  /** Takes or renews it. @returns who holds it now: `''` is this guard, else the other's name */
  hold(): Promise<string>
  release(): Promise<void>
}

export interface FileLeaseOptions {
  readonly file: string
  /** Shown to the other guard. */
  readonly name: string
  /** A holder that does not renew for so long is taken for dead, in milliseconds. @default 15000 */
  readonly ttlMs?: number
  /** Epoch milliseconds. @default Date.now */
  readonly now?: () => number
}

interface Record_ {
  readonly token: string
  readonly name: string
  readonly until: number
}

function parse(text: string): Record_ | undefined {
  try {
    const value = JSON.parse(text) as Partial<Record_>
    const { token, name, until } = value
    if (typeof token === 'string' && typeof name === 'string' && typeof until === 'number') {
      return { token, name, until }
    }
  } catch {
    // A torn lease is nobody's.
  }
  return undefined
}

/**
 * A lease in a file. Taking it over is a rename of the dead holder's file, which one of the contenders
 * wins. It makes two guards polite, not safe: safety is in the compare-and-swap of every edit.
 */
export function fileLease(options: FileLeaseOptions): Lease {
  const { file, name, ttlMs = 15_000, now = Date.now } = options
  const token = randomBytes(9).toString('base64url')

  async function current(): Promise<Record_ | undefined | 'none'> {
    try {
      return parse(await readFile(file, 'utf8'))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'none'
      throw error
    }
  }

  /** Writes a complete file beside the lease and puts it in place by `place`. */
  async function put(place: (temporary: string) => Promise<void>): Promise<boolean> {
    const temporary = `${file}.${token}`
    await writeFile(temporary, JSON.stringify({ token, name, until: now() + ttlMs }))
    try {
      await place(temporary)
      return true
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
      throw error
    } finally {
      await rm(temporary, { force: true })
    }
  }

  async function hold(): Promise<string> {
    const held = await current()
    if (held !== 'none' && held?.token === token) {
      await put((temporary) => rename(temporary, file))
      return ''
    }
    if (held !== 'none' && held !== undefined && held.until > now()) return held.name
    if (held !== 'none') {
      const aside = `${file}.${token}.old`
      await rename(file, aside).catch(() => {})
      const moved = parse(await readFile(aside, 'utf8').catch(() => ''))
      // Somebody took it between the look and the rename: give it back.
      if (moved !== undefined && moved.until > now()) await link(aside, file).catch(() => {})
      await rm(aside, { force: true })
    }
    if (await put((temporary) => link(temporary, file))) return ''
    const winner = await current()
    return winner === 'none' || winner === undefined ? 'another guard' : winner.name
  }

  return {
    hold,
    async release() {
      const held = await current()
      if (held !== 'none' && held?.token === token) await rm(file, { force: true })
    },
  }
}
