import { stat } from 'node:fs/promises'
import { messageOf } from '../../errors.ts'
import type { FlagsDocument } from '../file/document.ts'
import { historyFile, type HistoryEntry, readHistory } from './history.ts'
import { behindLinks } from '../file/location.ts'
import type { FlagsFile } from '../place/place.ts'
import { findOutside, recordOutside } from './record.ts'

export interface HistoryWatchOptions {
  /** The flags file, symbolic links are followed; or another place. */
  readonly file: FlagsFile
  /**
   * Whether edits that no command made are written into the history. Without it they are only
   * reported.
   * @default true
   */
  readonly record?: boolean
}

/** The history, including what is not in the file yet. */
export interface HistoryLook {
  /** Oldest first; at the end the outside edits that could not be written. */
  readonly entries: readonly HistoryEntry[]
  /** Why an outside edit could not be written; `''` when all is written. */
  readonly unwritten: string
}

/** Another editor may hold the lock: then the next look tries again. */
const LOCK_MS = 1000

/**
 * Sees edits that no command made, for a caller that looks at the flags file periodically, and
 * appends them to the history. However many watch one file, each edit is appended once.
 */
export class HistoryWatch {
  readonly #file: FlagsFile
  readonly #record: boolean
  #seen: FlagsDocument | undefined
  /** Lines that only this process has, because the directory cannot be written. */
  #own: readonly HistoryEntry[] = []
  #looked: HistoryLook = { entries: [], unwritten: '' }
  /** The file and the history at the last look; `''`: look again. */
  #signature = ''

  constructor({ file, record = true }: HistoryWatchOptions) {
    this.#file = file
    this.#record = record
  }

  /** @param document the current file; one that cannot be read is not an edit yet */
  async look(document: FlagsDocument): Promise<HistoryLook> {
    const file = await behindLinks(this.#file)
    const signature = `${document.hash} ${await signatureOf(file)}`
    if (signature === this.#signature) return this.#looked
    const look = { file, document, seen: this.#seen === undefined ? [] : [this.#seen] }
    const told = this.#own.at(-1)?.after
    let unwritten = this.#looked.unwritten
    let settled = true
    if (told !== document.hash) {
      try {
        if (this.#record) await recordOutside(look, { timeoutMs: LOCK_MS })
        // Nothing is missing, unless the file or its history changed in the meantime: then look
        // again.
        const missing = await findOutside({ ...look, since: told })
        if (this.#record) settled = missing.length === 0
        else this.#keep(missing)
        unwritten = ''
      } catch (error) {
        unwritten = messageOf(error)
        this.#keep(await findOutside({ ...look, since: told }))
      }
    }
    const written = await readHistory(file).catch((): HistoryEntry[] => [])
    if (written.at(-1)?.after === document.hash) {
      this.#own = []
      unwritten = ''
    }
    this.#seen = document
    this.#looked = { entries: [...written, ...this.#own], unwritten }
    this.#signature = settled ? `${document.hash} ${await signatureOf(file)}` : ''
    return this.#looked
  }

  #keep(entries: readonly HistoryEntry[]): void {
    this.#own = [...this.#own, ...entries].slice(-200)
  }
}

async function signatureOf(file: FlagsFile): Promise<string> {
  if (typeof file !== 'string') return file.stamp()
  return stat(historyFile(file)).then(
    ({ mtimeMs, size, ino }) => `${mtimeMs} ${size} ${ino}`,
    () => '',
  )
}

/** The outside edit that made a flag what it is now; `undefined` when a command did. */
export function editedOutside(
  entries: readonly HistoryEntry[],
  flag: string,
): HistoryEntry | undefined {
  const last = entries.findLast((entry) => concerns(entry, flag))
  return last?.action === 'outside' ? last : undefined
}

/** Whether a line of the history concerns this flag; a line about an unknown text may. */
export function concerns(entry: HistoryEntry, flag: string): boolean {
  return entry.flag === flag || (entry.flag === '' && entry.changes === undefined)
}
