import type { Stats } from 'node:fs'
import {
  type FileHandle,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  utimes,
} from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { quote, SwitchbackError } from '../../errors.ts'
import { hashOf } from './document.ts'
import type { FlagsEdit } from './edit.ts'
import { type Finding, mostFindings } from '../check/findings.ts'
import type { HistoryEntry, HistoryNote } from '../history/history.ts'
import { locate, notWritable } from './location.ts'
import { type FileLock, isAlive, lockFile, uniqueName } from './lock.ts'
import { lastGoodFile } from './last-good.ts'
import { appendHistory } from '../history/record.ts'
import { changedByOthers, type FlagsFile } from '../place/place.ts'
import { refusedError } from './refused.ts'
import { validate } from '../check/validate.ts'

export interface ApplyOptions {
  /** The flags file, symbolic links are followed; or another place. */
  readonly file: FlagsFile
  /** Who and through what, for the history. */
  readonly by: HistoryNote
  /**
   * How long to wait for other editors, in ms.
   * @default 5000
   */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
  /**
   * The lock of the file, when the caller holds it already and releases it.
   * @default taken and released here
   */
  readonly lock?: FileLock
  /**
   * Called with `performance.now()` once readers see the new text, before the history is written; not
   * by another place than a file, which writes both at once.
   */
  readonly onWritten?: (at: number) => void
  /** Called before each step, for tests that kill the process there. */
  readonly onStep?: (step: ApplyStep) => void
}

export type ApplyStep =
  | 'temp'
  | 'write'
  | 'sync'
  | 'lock'
  | 'compare'
  | 'rename'
  | 'history'
  | 'unlock'
  | 'done'

export interface Applied {
  /** The file that was replaced, behind symbolic links. */
  readonly file: string
  /** SHA-256 of the new content. */
  readonly hash: string
  /** `performance.now()` of the rename, from which "served after ... ms" counts. */
  readonly at: number
  readonly history: HistoryEntry
  /** What failed after the write, e.g. the history could not be written; `''` when nothing did. */
  readonly warning: string
}

/**
 * Writes an edit so that a reader never sees half a file and no other edit is lost: a temporary
 * file, synced, renamed under a lock after a compare (docs/adr/0006-file-lock.md). Killed at any
 * moment, it leaves the old file or the new one.
 *
 * @throws {SwitchbackError} `SB_FLAGS_CHANGED` when the file is no longer what the edit was made
 * from; `SB_FLAGS_REFUSED` when flagd would refuse the new text; `SB_FILE_READ_ONLY`,
 * `SB_LOCK_BUSY`.
 */
export async function apply(edit: FlagsEdit, options: ApplyOptions): Promise<Applied> {
  const { by, signal, onStep = () => {}, timeoutMs = 5000 } = options
  refuseBroken(edit)
  if (typeof options.file !== 'string') return options.file.write(edit, { by, signal })
  const location = await locate(options.file)
  if (location.kind !== 'writable') throw notWritable(location)
  const { file } = location
  const old = await stat(file)

  onStep('temp')
  const temporary = join(dirname(file), `${temporaryPrefix(file)}${uniqueName()}`)
  try {
    await writeTemporary(temporary, edit.after.text, old, onStep)
    onStep('lock')
    const lock =
      options.lock ??
      (await lockFile(file, { timeoutMs, ...(signal === undefined ? {} : { signal }) }))
    try {
      onStep('compare')
      await refuseChanged(edit, file)
      await makeNewer(temporary, await newestSeen(file))
      onStep('rename')
      await replace(temporary, file)
      const at = performance.now()
      options.onWritten?.(at)
      await syncDirectory(dirname(file))
      onStep('history')
      const history = await appendHistory(file, edit, by)
      // What cannot be removed now, the next editor removes.
      await removeDebris(file).catch(() => {})
      onStep('unlock')
      return { file, hash: edit.after.hash, at, ...history }
    } finally {
      if (options.lock === undefined) await lock.release()
      onStep('done')
    }
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}

/**
 * Refuses the edit for findings that make flagd refuse the new file, or that the edit introduced.
 */
function refuseBroken(edit: FlagsEdit): void {
  const known = new Set(validate(edit.before.text).map(keyOf))
  // Where the list of findings was cut off, a finding that is missing in it need not be new.
  const all = known.size < mostFindings
  const stopping = validate(edit.after.text).find(
    (finding) =>
      finding.rejected || (all && finding.severity === 'error' && !known.has(keyOf(finding))),
  )
  if (stopping === undefined) return
  throw refusedError(stopping)
}

function keyOf({ code, pointer }: Finding): string {
  return `${code} ${pointer}`
}

async function refuseChanged(edit: FlagsEdit, file: string): Promise<void> {
  if (hashOf(await readFile(file)) === edit.before.hash) return
  throw changedByOthers(quote(file))
}

async function writeTemporary(
  temporary: string,
  text: string,
  old: Stats,
  onStep: (step: ApplyStep) => void,
): Promise<void> {
  const handle = await open(temporary, 'wx', 0o600)
  try {
    onStep('write')
    await handle.writeFile(text)
    await keepOwner(handle, old)
    await handle.chmod(old.mode & 0o7777)
    onStep('sync')
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** A file that flagd's user can no longer read breaks flagd's watch, so the owner must stay. */
async function keepOwner(handle: FileHandle, old: Stats): Promise<void> {
  const own = await handle.stat()
  if (own.uid === old.uid && own.gid === old.gid) return
  try {
    await handle.chown(old.uid, old.gid)
  } catch (error) {
    const readableByAll = (old.mode & 0o004) !== 0
    if (readableByAll) return
    throw new SwitchbackError(
      'SB_FILE_READ_ONLY',
      `the file belongs to user ${old.uid}, group ${old.gid}, and only they may read it`,
      { cause: error, hint: 'run as its owner, or make it readable for all (chmod o+r)' },
    )
  }
}

/**
 * The newest time that flagd may have seen, in epoch ms: that of the file, or of the text that
 * switchback wrote last, since an older backup may have been moved over it.
 */
async function newestSeen(file: string): Promise<number> {
  const [own, lastGood] = await Promise.all([
    stat(file),
    stat(lastGoodFile(file)).catch(() => undefined),
  ])
  return Math.max(own.mtimeMs, lastGood?.mtimeMs ?? 0)
}

/**
 * Makes the temporary file's time strictly newer: now, unless the old file's time is in the future.
 * Coarse file systems round down, hence the growing steps.
 */
async function makeNewer(temporary: string, newest: number): Promise<void> {
  for (const step of [0, 2, 1000, 2000, 4000]) {
    const time = new Date(step === 0 ? Date.now() : Math.max(Date.now(), newest + step))
    await utimes(temporary, time, time)
    if ((await stat(temporary)).mtimeMs > newest) return
  }
}

async function replace(temporary: string, file: string): Promise<void> {
  try {
    await rename(temporary, file)
  } catch (error) {
    // A file mounted from the same file system is recognised only here.
    const busy = error instanceof Error && 'code' in error && error.code === 'EBUSY'
    throw busy ? notWritable({ file, kind: 'mount' }) : error
  }
}

async function syncDirectory(directory: string): Promise<void> {
  // Some network file systems refuse this; the rename is valid all the same.
  const handle = await open(directory, 'r').catch(() => undefined)
  await handle?.sync().catch(() => {})
  await handle?.close().catch(() => {})
}

function temporaryPrefix(file: string): string {
  return `.${basename(file)}.tmp-`
}

/** Removes the temporary files of editors that died: after the write, which does not wait for it. */
async function removeDebris(file: string): Promise<void> {
  const prefix = temporaryPrefix(file)
  for (const entry of await readdir(dirname(file))) {
    if (!entry.startsWith(prefix)) continue
    const path = join(dirname(file), entry)
    if (!(await isAlive(entry.slice(prefix.length), path))) await rm(path, { force: true })
  }
}
