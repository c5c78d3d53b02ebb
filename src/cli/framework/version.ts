import { readFile } from 'node:fs/promises'
import { packageRoot } from '../../package-root.ts'

/** The version in the package's own package.json. */
export async function version(): Promise<string> {
  const text = await readFile(new URL('package.json', packageRoot()), 'utf8')
  const parsed: unknown = JSON.parse(text)
  return typeof parsed === 'object' && parsed !== null && 'version' in parsed
    ? String(parsed.version)
    : 'unknown'
}
