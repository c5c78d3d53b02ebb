import { randomBytes } from 'node:crypto'
import { link, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import type { PublishedStatus } from '../status/status-file.ts'
import type { StateStore } from './state-store.ts'

/** Of two guards on one rollout, one acts; the other stands by. */
export interface Lease {
  /** Takes or renews it. @returns the holder: `''` is this guard, else the other's name */
  hold(): Promise<string>
  /** Epoch milliseconds: when the other's lease ends, unless it renews it. @default undefined: not known */
  readonly until?: number | undefined
  release(): Promise<void>
}

/** What guards on several machines share. */
export interface SharedNotes {
  readonly lease: Lease
  /** @param local keeps what commands beside this guard read */
  store(local: StateStore): StateStore
  /** Tells pages on other machines what this guard thinks. */
  publish(status: PublishedStatus): void
}

/** Held only together: the shared one says who acts, the local one tells commands on this machine. */
export function bothLeases(shared: Lease, local: Lease): Lease {
  let until: () => number | undefined = () => undefined
  return {
    async hold() {
      const other = await shared.hold()
      until = () => shared.until
      if (other !== '') {
        await local.release()
        return other
      }
      const beside = await local.hold()
      if (beside !== '') until = () => local.until
      return beside
    },
    get until() {
      return until()
    },
    async release() {
      await local.release()
      await shared.release()
    },
  }
}

export interface FileLeaseOptions {
  readonly file: string
  /** Shown to the other guard. */
  readonly name: string
  /** A holder that does not renew for this long counts as dead, in milliseconds. @default 15000 */
  readonly ttlMs?: number
  /** Epoch milliseconds. @default Date.now */
  readonly now?: () => number
}

interface Held {
  readonly token: string
  readonly name: string
  readonly until: number
}

function parse(text: string): Held | undefined {
  try {
    const value = JSON.parse(text) as Partial<Held>
    const { token, name, until } = value
    if (typeof token === 'string' && typeof name === 'string' && typeof until === 'number') {
      return { token, name, until }
    }
  } catch {
    // An unreadable lease file counts as expired.
  }
  return undefined
}

/** The current holder of the lease; `''` without one. */
export async function leaseHolder(file: string, now: number = Date.now()): Promise<string> {
  const { held } = await currentLease(file)
  return held !== undefined && held.until > now ? held.name : ''
}

/** A holder that ended without a word: it neither renewed its lease nor gave it back. */
export async function lapsedLease(
  file: string,
  now: number = Date.now(),
): Promise<{ readonly name: string; readonly until: number } | undefined> {
  const { held } = await currentLease(file)
  return held !== undefined && held.until <= now ? held : undefined
}

async function leaseNumbers(file: string): Promise<number[]> {
  const prefix = `${basename(file)}.`
  const names = await readdir(dirname(file))
  return names
    .filter((entry) => entry.startsWith(prefix))
    .map((entry) => entry.slice(prefix.length))
    .filter((rest) => /^\d+$/.test(rest))
    .map(Number)
    .sort((a, b) => b - a)
}

async function currentLease(
  file: string,
): Promise<{ readonly number: number; readonly held: Held | undefined }> {
  const [number = 0] = await leaseNumbers(file)
  return { number, held: parse(await readFile(`${file}.${number}`, 'utf8').catch(() => '')) }
}

/**
 * A lease in files `<file>.1`, `<file>.2`, ... of which the highest number counts. Taking over from
 * a dead holder is creating the next file, which the file system grants to one contender: nothing
 * has to be removed first. It only avoids duplicate work; safety is in the compare-and-swap of
 * every edit.
 */
export function fileLease(options: FileLeaseOptions): Lease {
  const { file, name, ttlMs = 15_000, now = Date.now } = options
  const token = randomBytes(9).toString('base64url')

  /** Writes a complete file beside the lease and moves it into place with `place`. */
  async function put(until: number, place: (temporary: string) => Promise<void>): Promise<boolean> {
    const temporary = `${file}.${token}`
    await writeFile(temporary, JSON.stringify({ token, name, until }))
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

  let until: number | undefined

  async function hold(): Promise<string> {
    const { number, held } = await currentLease(file)
    until = held?.until
    if (held?.token === token) {
      await put(now() + ttlMs, (temporary) => rename(temporary, `${file}.${number}`))
    } else if (held !== undefined && held.until > now()) {
      return held.name
    } else {
      await put(now() + ttlMs, (temporary) => link(temporary, `${file}.${number + 1}`))
    }
    // The highest number holds the lease, even if this guard was suspended while it renewed.
    const winner = await currentLease(file)
    if (winner.held?.token !== token) return winner.held?.name ?? 'another guard'
    for (const old of (await leaseNumbers(file)).slice(1))
      await rm(`${file}.${old}`, { force: true })
    return ''
  }

  return {
    hold,
    get until() {
      return until
    },
    async release() {
      const { number, held } = await currentLease(file)
      if (held?.token !== token) return
      await rm(`${file}.${number}`, { force: true })
    },
  }
}
