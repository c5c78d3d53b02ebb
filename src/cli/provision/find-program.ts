import { accessSync, constants, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/**
 * The full path of the first of these programs that is on `PATH`, else `undefined`. Only looks into
 * the directories; starts nothing.
 */
export function findProgram(
  names: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): string | undefined {
  const directories = (env['PATH'] ?? '').split(delimiter).filter((directory) => directory !== '')
  for (const name of names) {
    for (const directory of directories) {
      const path = join(directory, name)
      if (isProgram(path)) return path
    }
  }
  return undefined
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}
