import { stat } from 'node:fs/promises'
import { basename } from 'node:path'
import {
  decodeFlags,
  filesOf,
  MAX_FLAGS_BYTES,
  readFlagsFile,
  tooLarge,
} from '../../flagfile/index.ts'

export interface SourceFile {
  readonly file: string
  readonly name: string
  readonly text: string
  /** Differs for every save, even with the same content. */
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
    const { content, save } = await readSave(file)
    size += content.length
    if (size > MAX_FLAGS_BYTES) throw tooLarge(path)
    const text = decodeFlags(content)
    files.push({ file, name: basename(file), text, save })
  }
  return files
}

/** Content together with the save that it belongs to: another one may happen between two looks. */
async function readSave(file: string): Promise<{ content: Buffer; save: string }> {
  let save = await saveOf(file)
  // Of a file that is written all the time, any state will do.
  for (let looks = 1; ; looks++) {
    const content = await readFlagsFile(file)
    const now = await saveOf(file)
    if (now === save || looks === 5) return { content, save }
    save = now
  }
}

async function saveOf(file: string): Promise<string> {
  const { ino, mtimeNs } = await stat(file, { bigint: true })
  return `${ino} ${mtimeNs}`
}
