import { readFile, rename, writeFile } from 'node:fs/promises'
import type { GuardSummary } from './guard-summary.ts'

/** What a guard tells those who do not run it: the page, the terminal, a person. */
export interface PublishedStatus {
  readonly flag: string
  /** Who acts, e.g. `guard of ann@host`. */
  readonly name: string
  readonly summary: GuardSummary
}

/** A guard that has not told for so long is not heard any more, in milliseconds. */
export const HEARD_WITHIN_MS = 15_000

/** Written aside and renamed, so that a reader sees the old or the new one. */
export async function publishStatus(file: string, status: PublishedStatus): Promise<void> {
  const temporary = `${file}.new`
  await writeFile(temporary, JSON.stringify(status))
  await rename(temporary, file)
}

/** Undefined when there is none, or none that can be read. */
export async function readStatus(file: string): Promise<PublishedStatus | undefined> {
  try {
    const status = JSON.parse(await readFile(file, 'utf8')) as PublishedStatus
    return typeof status?.summary?.sentence === 'string' ? status : undefined
  } catch {
    return undefined
  }
}
