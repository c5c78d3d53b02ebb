import { existsSync } from 'node:fs'

/** The directory of this package's package.json: `src/`, `build/` and the bundle lie at different depths in it. */
export function packageRoot(): URL {
  let directory = new URL('.', import.meta.url)
  for (;;) {
    const parent = new URL('..', directory)
    if (existsSync(new URL('package.json', directory)) || parent.href === directory.href) {
      return directory
    }
    directory = parent
  }
}
