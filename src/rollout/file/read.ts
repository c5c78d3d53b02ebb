import { isSwitchbackError, quote, SwitchbackError } from '../../errors.ts'
import { readFlagsFile } from '../../flagfile/index.ts'
import type { FlagsFile } from '../place/place.ts'
import { type FlagsDocument, readFlags } from './document.ts'
import { flagNode } from './flag-members.ts'

export interface ReadOptions {
  /**
   * The hint when the file does not exist.
   * @default for a command that takes --file
   */
  readonly missingHint?: string
}

/**
 * Reads a flags file from disk, or the flags of another place.
 *
 * @throws {SwitchbackError} `SB_FILE_MISSING`, `SB_FILE_UNREADABLE`, `SB_FLAGS_TOO_LARGE`,
 * `SB_FLAGS_SYNTAX`.
 */
export async function loadFlags(
  file: FlagsFile,
  options: ReadOptions = {},
): Promise<FlagsDocument> {
  return readFlags(await readText(file, options), String(file))
}

/**
 * For a question to which the answer would otherwise be "nothing".
 *
 * @throws {SwitchbackError} as {@link loadFlags}, and `SB_FLAG_UNKNOWN`, `SB_FLAGS_INVALID`
 */
export async function requireFlag(file: FlagsFile, flag: string): Promise<void> {
  flagNode(await loadFlags(file), flag)
}

/** The text of a flags file; refuses what is not UTF-8, which an edit would destroy. */
export async function readText(file: FlagsFile, options: ReadOptions = {}): Promise<string> {
  if (typeof file !== 'string') return file.read(options)
  const { missingHint = 'name it with --file, or run where the directory flags/ is' } = options
  let content: Buffer
  try {
    content = await readFlagsFile(file)
  } catch (error) {
    if (isSwitchbackError(error)) throw error
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    if (code === 'ENOENT') {
      throw new SwitchbackError('SB_FILE_MISSING', `the flags file ${quote(file)} does not exist`, {
        cause: error,
        hint: missingHint,
      })
    }
    const why = code === 'EISDIR' ? 'it is a directory' : code
    throw new SwitchbackError('SB_FILE_UNREADABLE', `cannot read ${quote(file)}: ${why}`, {
      cause: error,
      hint: HINTS[code] ?? 'check the path',
    })
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(content)
  } catch (error) {
    throw new SwitchbackError('SB_FLAGS_SYNTAX', `${quote(file)} is not valid UTF-8`, {
      cause: error,
      hint: 'save it as UTF-8',
    })
  }
}

const HINTS: Readonly<Record<string, string>> = {
  EACCES: 'make it readable; flagd may not be able to read it either',
  EISDIR: 'name the flags file in it',
}
