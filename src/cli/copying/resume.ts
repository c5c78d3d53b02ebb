import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { oneLine, quote } from '../../errors.ts'
import { usageError } from '../framework/command.ts'

/** Which copy it is. A file of another one is refused. */
export interface CopyIdentity {
  readonly from: string
  readonly to: string
  readonly prefix: string
  readonly match: string
  /** Of the store that is scanned: its cursors end with it. */
  readonly era: number
}

interface Saved extends CopyIdentity {
  readonly switchback: 'copy'
  readonly cursor: string
}

const SAVE_MS = 1000

/** Where a copy stands, in a file: what is before the cursor has been dealt with. */
export class Resume {
  readonly #path: string
  readonly #identity: CopyIdentity
  /** `''`: from the beginning. */
  readonly cursor: string
  /** It was another era of the store, so this copy begins anew. */
  readonly isStale: boolean
  #savedAt = 0

  constructor(path: string, identity: CopyIdentity) {
    this.#path = path
    this.#identity = identity
    const saved = readSaved(path)
    for (const name of ['from', 'to', 'prefix', 'match'] as const) {
      if (saved === undefined || saved[name] === identity[name]) continue
      throw usageError(
        `${quote(path)} is of another copy: its ${name} is ${quote(saved[name])}`,
        'give the options of then, or another file',
      )
    }
    this.isStale = saved !== undefined && saved.era !== identity.era
    this.cursor = saved === undefined || this.isStale ? '' : saved.cursor
    try {
      this.save(this.cursor, true)
    } catch (error) {
      throw usageError(`cannot write ${quote(path)}: ${oneLine(error)}`, 'name another file')
    }
  }

  /** At most once a second, unless it must be. */
  save(cursor: string, now: boolean = false): void {
    if (!now && performance.now() - this.#savedAt < SAVE_MS) return
    this.#savedAt = performance.now()
    const saved: Saved = { switchback: 'copy', ...this.#identity, cursor }
    const next = `${this.#path}.new`
    writeFileSync(next, `${JSON.stringify(saved, undefined, 2)}\n`)
    renameSync(next, this.#path)
  }

  /** The copy is done. */
  remove(): void {
    rmSync(this.#path, { force: true })
  }
}

function readSaved(path: string): Saved | undefined {
  if (!existsSync(path)) return undefined
  let saved: Partial<Saved> | undefined
  try {
    saved = JSON.parse(readFileSync(path, 'utf8')) as Partial<Saved>
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
  }
  if (saved?.switchback === 'copy' && typeof saved.cursor === 'string') return saved as Saved
  throw usageError(`${quote(path)} is not a file of a copy`, 'name another file with --resume')
}
