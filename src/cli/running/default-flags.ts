import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** The flags directory that we are beside, else the one that came with the package. */
export function defaultFlags(): string {
  if (existsSync('flags')) return 'flags'
  return fileURLToPath(new URL('../../../flags', import.meta.url))
}
