import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { filesOf } from '../file-watch.ts'

export interface SourceFile {
  readonly name: string
  readonly text: string
}

/** The flags file, or the `*.json` of a directory in the order of their names. */
export async function readSource(path: string): Promise<readonly SourceFile[]> {
  const paths = await filesOf(path)
  return Promise.all(
    paths.map(async (file) => ({ name: basename(file), text: await readFile(file, 'utf8') })),
  )
}
