import { readFile, readdir, realpath, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

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

/**
 * Changes with whatever a write, a rename, a chmod or a symlink swap can do. An mtime may go back,
 * and a restored backup keeps its own; the inode change time does not.
 */
export async function signatureOf(path: string): Promise<string> {
  try {
    const parts = (await filesOf(path)).map(async (file) => {
      const { dev, ino, size, mtimeNs, ctimeNs } = await stat(file, { bigint: true })
      return [file, dev, ino, size, mtimeNs, ctimeNs].join(' ')
    })
    return (await Promise.all(parts)).join('\n')
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code)
  }
}

/** The directories whose entries decide what the path leads to, each with its inode. */
export async function directoriesOf(path: string): Promise<ReadonlyMap<string, string>> {
  const candidates = [dirname(path)]
  try {
    const real = await realpath(path)
    if ((await stat(real)).isDirectory()) candidates.push(real)
    else candidates.push(dirname(real))
  } catch {
    // The file is gone for now; its return shows in the first directory.
  }
  const directories = new Map<string, string>()
  for (const directory of candidates) {
    try {
      const { dev, ino } = await stat(directory)
      directories.set(`${dev}:${ino}`, directory)
    } catch {
      // Gone too: the poll will see it come back.
    }
  }
  return directories
}

/** @throws when there is nothing at `path` */
export async function filesOf(path: string): Promise<string[]> {
  if (!(await stat(path)).isDirectory()) return [path]
  const names = (await readdir(path)).filter(
    (name) => name.endsWith('.json') && !name.startsWith('.'),
  )
  return names.sort().map((name) => join(path, name))
}
