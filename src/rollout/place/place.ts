import { SwitchbackError } from '../../errors.ts'
import type { HistoryEntry, HistoryNote } from '../history/history.ts'
import type { Applied } from '../file/apply.ts'
import type { FlagsEdit } from '../file/edit.ts'
import type { ReadOptions } from '../file/read.ts'

/**
 * Where the flags live, if not in a file: an object of Kubernetes, a file in a Git repository. Who
 * implements it keeps the promises of the file: a write goes through only while the text is what the
 * edit was made from, no reader sees half of it, and each change has its line in the history.
 */
export interface FlagsPlace {
  /** For people, e.g. `configmap/flags/use-redis.json`. */
  toString(): string
  /** In the output of `--json`: the same. */
  toJSON(): string
  /** Path and first part of the name of what a guard keeps on this machine. */
  readonly beside: string
  /** How a person corrects a text that flagd refuses, for a hint. */
  readonly byHand: string
  /** How long a change may need until the processes have it, in ms. @default 5000 */
  readonly reachMs?: number
  /** How often a change that must go through starts over when another editor was faster. @default 50 */
  readonly retries?: number
  /** Rejects when nothing can be changed there. */
  check(): Promise<void>
  /** @throws {SwitchbackError} `SB_FILE_MISSING` when there is no text */
  read(options?: ReadOptions): Promise<string>
  /**
   * Rejects when the text that is read is not what all others have, e.g. in a clone that is behind;
   * the hint of its error is what to do. Asked before a change counts as made already.
   */
  requireCurrent?(): Promise<void>
  /**
   * Takes what all others have into the copy here, where that loses nothing, before a change is made.
   *
   * @throws {SwitchbackError} when they cannot be asked
   */
  update?(): Promise<void>
  /** For who runs for long: the same place, read as all others have it, without waiting for them. */
  follow?(signal: AbortSignal): FlagsPlace
  /** Why what is read may not be what all others have, or could not be changed; `''` where all is well. @default '' */
  readonly trouble?: string
  /** Oldest first. */
  history(): Promise<HistoryEntry[]>
  /** Another one when the text or the history may have changed. */
  stamp(): Promise<string>
  /** The text of the last change that was written; `undefined` when it is not known. */
  lastGood(): Promise<string | undefined>
  /**
   * Writes the edit and its line. The text before a `restore` is kept aside.
   *
   * @throws {SwitchbackError} `SB_FLAGS_CHANGED` when the text is no longer what the edit was made from
   */
  write(edit: FlagsEdit, options: WriteOptions): Promise<Applied>
  /**
   * Appends lines about edits that no command made, unless the text or the end of the history is
   * another by now.
   *
   * @returns whether they were appended
   */
  record(found: OutsideFound): Promise<boolean>
}

export interface WriteOptions {
  readonly by: HistoryNote
  readonly signal?: AbortSignal | undefined
}

export interface OutsideFound {
  readonly entries: readonly HistoryEntry[]
  /** SHA-256 of the text that was looked at. */
  readonly hash: string
}

/** The path of a file, or another place. */
export type FlagsFile = string | FlagsPlace

/** Of a file there is no other copy: see {@link FlagsPlace.trouble}. */
export function troubleOf(file: FlagsFile): string {
  return typeof file === 'string' ? '' : (file.trouble ?? '')
}

/** @param what as a person calls it; the error is that of every place where flags live */
export function changedByOthers(what: string): SwitchbackError {
  return new SwitchbackError('SB_FLAGS_CHANGED', `${what} was changed by somebody else`, {
    hint: 'nothing was written; look at switchback status and try again',
  })
}
