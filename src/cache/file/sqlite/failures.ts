import type { SwitchbackErrorCode } from '../../../error-codes.ts'
import { isSwitchbackError, quote, SwitchbackError } from '../../../errors.ts'
import { errorCode } from './sqlite.ts'

/** A failure of the store as an error of Switchback's, with its cause. */
export function storeError(error: unknown, directory: string): SwitchbackError {
  if (isSwitchbackError(error)) return error
  const code = errorCode(error)
  const known = FAILURES.find(([pattern]) => pattern.test(code))
  const [, name, text, hint] = known ?? OTHER
  const detail = error instanceof Error ? `: ${error.message}` : ''
  return new SwitchbackError(name, `${text} (${quote(directory)})${detail}`, { cause: error, hint })
}

type Failure = readonly [pattern: RegExp, code: SwitchbackErrorCode, text: string, hint: string]

const FAILURES: readonly Failure[] = [
  [
    /^(?:SQLITE_FULL|ENOSPC|EDQUOT|SQLITE_IOERR_(?:SHMSIZE|WRITE|TRUNCATE))/,
    'SB_FILE_STORE_FULL',
    'The disk of the file cache is full',
    'Free space on it, or lower maxBytes. The cache recovers by itself once there is room.',
  ],
  [
    /^(?:SQLITE_READONLY|SQLITE_PERM|EROFS|EACCES|EPERM)/,
    'SB_FILE_STORE_READONLY',
    'The file cache may not write to its directory',
    'Give the process a directory that it may write to; check its owner and its mount.',
  ],
  [
    /^(?:ENOTDIR|EEXIST|EISDIR|ELOOP|ENAMETOOLONG)/,
    'SB_FILE_STORE_DIRECTORY',
    'The directory of the file cache cannot be used as one',
    'Name a directory, not a file.',
  ],
  [
    /^SQLITE_(?:BUSY|LOCKED|PROTOCOL)/,
    'SB_FILE_STORE_BUSY',
    'Other processes kept the file cache locked',
    'Look for a process that was stopped in the middle of a write.',
  ],
]

const OTHER: Failure = [
  /^/,
  'SB_FILE_STORE_FAILED',
  'The file cache failed',
  'Check the cause; the next operation tries again.',
]
