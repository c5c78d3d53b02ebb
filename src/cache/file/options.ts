import { resolve } from 'node:path'
import { quote, SwitchbackError } from '../../errors.ts'
import { checkNames, type NamesOf } from '../../options.ts'
import type { OnWarning } from '../warn.ts'

export interface FileCacheOptions {
  /** Where the files live. Made with mode 0700 if missing. Must be on a local disk, not on NFS. */
  readonly directory: string
  /**
   * Names the files within the directory; caches of different names share nothing.
   * Letters, digits, `_` and `-`. @default 'cache'
   */
  readonly name?: string
  /** Most values kept. The least recently used ones (approximately) go first. @default 100_000 */
  readonly maxEntries?: number
  /**
   * Most bytes kept, counting keys, values and about 100 bytes a row. The files take some 20 % more.
   * @default 268_435_456 (256 MiB)
   */
  readonly maxBytes?: number
  /**
   * See {@link CacheBackend.tombstoneTtl}, in milliseconds. The files remember the longest that any process
   * was given, and all of them use it. @default 120_000
   */
  readonly tombstoneTtl?: number
  /** Milliseconds between two rounds that remove what has expired. @default 5_000 */
  readonly sweepInterval?: number
  /**
   * Longest that an operation waits while other processes write, in milliseconds. Waiting does not
   * block the event loop. @default 1_000
   */
  readonly busyTimeout?: number
}

const OPTIONS: NamesOf<FileCacheOptions> = {
  directory: true,
  name: true,
  maxEntries: true,
  maxBytes: true,
  tombstoneTtl: true,
  sweepInterval: true,
  busyTimeout: true,
}

export interface FileCacheConfig extends Required<Omit<FileCacheOptions, 'tombstoneTtl'>> {
  /** The longest that any process on these files was given. */
  tombstoneTtl: number
  /** Most tombstones kept; beyond that the floor replaces the oldest. */
  readonly maxTombstones: number
  /** Receives what was repaired, such as damaged files set aside: one call by one process. */
  readonly onWarning: OnWarning
}

export function configOf(options: FileCacheOptions, onWarning: OnWarning): FileCacheConfig {
  checkNames('fileCache', options, OPTIONS)
  const { directory, name = 'cache', maxEntries = 100_000, maxBytes = 268_435_456 } = options
  if (typeof directory !== 'string' || directory === '') {
    throw invalid('directory', directory, 'Name a directory of the local disk, e.g. ".cache".')
  }
  if (!/^[\w-]{1,64}$/.test(name)) {
    throw invalid('name', name, 'Use 1 to 64 letters, digits, "_" and "-".')
  }
  return {
    directory: resolve(directory),
    name,
    maxEntries: positive('maxEntries', maxEntries, 1),
    maxBytes: positive('maxBytes', maxBytes, 1),
    tombstoneTtl: positive('tombstoneTtl', options.tombstoneTtl ?? 120_000, 1),
    sweepInterval: positive('sweepInterval', options.sweepInterval ?? 5000, 1),
    busyTimeout: positive('busyTimeout', options.busyTimeout ?? 1000, 0),
    onWarning,
    maxTombstones: Math.max(1000, maxEntries),
  }
}

function positive(option: string, value: number, least: number): number {
  if (typeof value === 'number' && value >= least && value < Infinity) return Math.floor(value)
  throw invalid(option, value, `Give a finite number of at least ${least}.`)
}

function invalid(option: string, value: unknown, hint: string): SwitchbackError {
  return new SwitchbackError(
    'SB_FILE_OPTION_INVALID',
    `fileCache: the option ${option} cannot be ${typeof value === 'number' ? value : quote(value)}.`,
    { hint },
  )
}
