import { stat } from 'node:fs/promises'
import { basename } from 'node:path'
import {
  decodeFlags,
  filesOf,
  MAX_FLAGS_BYTES,
  readFlagsFile,
  tooLarge,
} from '../flagfile/index.ts'

export interface SourceFile {
  readonly file: string
  readonly name: string
  readonly text: string
  /** Another one for every save, with the same content too. */
  readonly save: string
}

/**
 * The flags file, or the `*.json` of a directory in the order of their names.
 *
 * @throws SwitchbackError `SB_FLAGS_TOO_LARGE`; errors of the file system as they are
 */
export async function readSource(path: string): Promise<readonly SourceFile[]> {
  const files: SourceFile[] = []
  let size = 0
  for (const file of await filesOf(path)) {
    const { ino, mtimeNs } = await stat(file, { bigint: true })
    const content = await readFlagsFile(file)
    size += content.length
    if (size > MAX_FLAGS_BYTES) throw tooLarge(path)
    const text = decodeFlags(content)
    files.push({ file, name: basename(file), text, save: `${ino} ${mtimeNs}` })
  }
  return files
}
