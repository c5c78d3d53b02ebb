import { constants } from 'node:fs'
import { copyFile, lstat, open, readFile, realpath, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { isSwitchbackError, quote, SwitchbackError } from '../../errors.ts'
import { hashOf, readFlags } from '../file/document.ts'
import { flagNode } from '../file/flag-members.ts'
import type { FlagsEdit } from '../file/edit.ts'
import { locate, notWritable } from '../file/location.ts'
import { lastGoodFile, readLastGood } from '../file/last-good.ts'
import type { FlagsFile } from '../place/place.ts'
import { rollBack, type RollBackOptions } from './roll-back.ts'

/** Whether a rollback failed because the file is broken or gone, or flagd refuses it. */
export function isBroken(error: unknown): error is SwitchbackError {
  return isSwitchbackError(error) && BROKEN.has(error.code)
}

const BROKEN = new Set([
  'SB_FLAGS_SYNTAX',
  'SB_FLAGS_INVALID',
  'SB_FLAGS_REFUSED',
  'SB_FILE_MISSING',
])

/**
 * The last text that was written, with everyone on the old side, in place of a file that is broken
 * or gone. Its `before` is that text under the hash of the current file, which is compared before
 * the write.
 *
 * @throws {SwitchbackError} `SB_RESTORE_NOTHING` when no known text has the flag.
 */
export async function restore(path: FlagsFile, options: RollBackOptions): Promise<FlagsEdit> {
  const file = await behind(path)
  const known = await readKnown(file, options.flag)
  if (known === undefined) {
    throw new SwitchbackError(
      'SB_RESTORE_NOTHING',
      `nothing was written: there is no earlier copy of ${quote(String(path))} with the flag ${quote(options.flag)}`,
      { hint: byHand(path, options.flag) },
    )
  }
  const edit = rollBack(known, options)
  const content = typeof file === 'string' ? readFile(file) : file.read()
  const hash = hashOf(await content.catch(emptyWhenGone))
  return { ...edit, action: 'restore', before: { ...edit.before, hash } }
}

/** What to do about a file that is broken or gone. */
export async function remedy(path: FlagsFile, flag: string): Promise<string> {
  const known = await behind(path).then(
    (file) => readKnown(file, flag),
    () => undefined,
  )
  return known === undefined
    ? byHand(path, flag)
    : 'switchback rollback --restore puts the last file that switchback wrote in its place, with everyone on the old side'
}

/**
 * Keeps the broken file as `<file>.broken`; if there is none, creates the empty one that `apply`
 * then replaces, owned as before.
 *
 * @returns what was done, for people
 */
export async function setAside(path: string): Promise<string> {
  const file = await behind(path)
  const { mode, uid, gid, mtime } = await stat(lastGoodFile(file))
  const of = `restored from ${basename(lastGoodFile(file))} of ${mtime.toISOString()}`
  try {
    const handle = await open(file, 'wx', mode & 0o666)
    await handle.chown(uid, gid).catch(() => {})
    await handle.chmod(mode & 0o666)
    await handle.close()
    return of
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') {
      throw codeOf(error) === 'EACCES' || codeOf(error) === 'EROFS'
        ? notWritable({ file, kind: 'read-only' })
        : error
    }
  }
  const location = await locate(path)
  if (location.kind !== 'writable') throw notWritable(location)
  for (let copies = 1; ; copies++) {
    const aside = `${file}.broken${copies === 1 ? '' : `-${copies}`}`
    try {
      await copyFile(file, aside, constants.COPYFILE_EXCL)
      return `${of}; the broken file is kept as ${basename(aside)}`
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error
    }
  }
}

/** The file behind symbolic links, even if it is gone. */
async function behind<T extends FlagsFile>(path: T): Promise<T | string> {
  if (typeof path !== 'string') return path
  try {
    return await realpath(path)
  } catch (error) {
    const link = await lstat(path).catch(() => undefined)
    if (link === undefined) {
      const directory = await realpath(dirname(path)).catch(() => undefined)
      if (directory !== undefined) return join(directory, basename(path))
    }
    throw new SwitchbackError('SB_FILE_MISSING', `the flags file ${quote(path)} does not exist`, {
      cause: error,
      hint:
        link === undefined
          ? 'name it with --file'
          : 'it is a symbolic link to a file that does not exist; restore that file or name another with --file',
    })
  }
}

async function readKnown(
  file: FlagsFile,
  flag: string,
): Promise<ReturnType<typeof readFlags> | undefined> {
  try {
    const known = readFlags(await readLastGood(file))
    flagNode(known, flag)
    return known
  } catch {
    return undefined
  }
}

function byHand(path: FlagsFile, flag: string): string {
  if (typeof path !== 'string') return path.byHand
  const definition = {
    state: 'ENABLED',
    variants: { on: true, off: false },
    defaultVariant: 'off',
  }
  const text = shell(JSON.stringify({ flags: { [flag]: definition } }))
  const [old, next] = [shell(path), shell(`${path}.new`)]
  return `this routes all users to the old side, and leaves out every other flag of the file (keep a copy of it): echo ${text} > ${next} && mv ${next} ${old}`
}

function shell(text: string): string {
  return /^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`
}

function emptyWhenGone(error: unknown): string {
  if (codeOf(error) === 'ENOENT' || codeOf(error) === 'SB_FILE_MISSING') return ''
  throw error
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}
