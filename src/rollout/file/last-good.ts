import { link, open, realpath, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { messageOf } from '../../errors.ts'
import type { FlagsFile } from '../place/place.ts'
import { whyFailing } from '../edits/not-back.ts'
import type { FlagsEdit } from './edit.ts'
import { readText } from './read.ts'
import { refusalIn } from './refused.ts'
import { uniqueName } from './lock.ts'

/** The text of the last change that was written, beside the flags file. */
export function lastGoodFile(file: string): string {
  return `${file}.last-good`
}

/** @throws when there is none, or it cannot be read */
export async function readLastGood(file: FlagsFile): Promise<string> {
  if (typeof file === 'string') return readText(lastGoodFile(file))
  const text = await file.lastGood()
  if (text === undefined) throw new Error('no command has written the flags yet')
  return text
}

/**
 * Keeps the text before the first edit, if it works: a command that is killed right after its write has
 * left no line of history, and then this is what the edit is found and undone by. A link costs one call,
 * and the write replaces the file behind the other name.
 */
export async function keepFirst(path: string, { action, before, flag }: FlagsEdit): Promise<void> {
  if (action === 'restore' || refusalIn(before.text) !== undefined) return
  if (whyFailing(before, flag) !== '') return
  // Usually there is one already; what else goes wrong, the write itself meets and reports.
  await realpath(path)
    .then((file) => link(file, lastGoodFile(file)))
    .catch(() => {})
}

/** Keeps what was written, for a flags file that gets broken or lost. @returns a warning or `''` */
export async function keepLastGood(file: string, text: string): Promise<string> {
  // A name that `apply` cleans up if this process dies.
  const temporary = join(dirname(file), `.${basename(file)}.tmp-${uniqueName()}`)
  try {
    const { uid, gid, mode, atime, mtime } = await stat(file)
    const handle = await open(temporary, 'wx', 0o600)
    try {
      await handle.writeFile(text)
      await handle.chown(uid, gid).catch(() => {})
      await handle.chmod(mode & 0o666)
      // The time flagd has seen: a later write must be newer than this too.
      await handle.utimes(atime, mtime)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, lastGoodFile(file))
    return ''
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {})
    return `a copy for rollback --restore could not be kept: ${messageOf(error)}`
  }
}
