import { createHash, randomBytes } from 'node:crypto'
import { open, stat } from 'node:fs/promises'
import { basename, dirname, extname, join } from 'node:path'
import type { JsonPath, JsonValue } from '../file/document.ts'
import type { Change, EditAction, Pilot } from '../file/edit.ts'
import type { FlagsFile } from '../place/place.ts'

/** Who changed the file, and with what. */
export interface HistoryNote {
  /** A person or a program, e.g. `ann@host` or `guard`. */
  readonly who: string
  /** What they used, e.g. `cli`, `control`, `guard`. */
  readonly via: string
  /** Why, for people. */
  readonly reason?: string
}

/**
 * One line of the history, an audit log beside the flags file: append-only, one JSON object a line.
 * It never holds users' names: the values of a pilot are hashed.
 */
export interface HistoryEntry extends HistoryNote {
  readonly version: 1
  readonly id: string
  /** ISO 8601, UTC. */
  readonly at: string
  /** `outside`: the file was changed by hand or by another tool since the entry before. */
  readonly action: EditAction | 'outside'
  /** `''` for an `outside` edit whose effect is not known. */
  readonly flag: string
  /** The `on` share in per cent before and after, where the shape has one. */
  readonly from?: number
  readonly to?: number
  /** SHA-256 of the whole file before and after. */
  readonly before: string
  readonly after: string
  /** What `undo` reverts; not recorded for pilots. */
  readonly changes?: readonly RecordedChange[]
  readonly pilot?: Pilot
  /** The entry that an `undo` reverted. */
  readonly undoes?: string
  /** Of an `outside` edit that moved users who should have stayed: who moved, and why. */
  readonly warning?: string
}

export interface RecordedChange {
  readonly path: JsonPath
  readonly from?: JsonValue
  readonly to?: JsonValue
}

/** The history of `flags/use-redis.json` is `flags/use-redis.history.jsonl`. */
export function historyFile(file: string): string {
  return join(dirname(file), `${basename(file, extname(file))}.history.jsonl`)
}

/** Only the end of a long history is read: some thousand changes. */
const mostBytes = 1_048_576

/**
 * Reads the history, oldest first, without lines that a crash cut off and those of more than a
 * mebibyte ago.
 */
export async function readHistory(file: FlagsFile): Promise<HistoryEntry[]> {
  if (typeof file !== 'string') return file.history()
  let text: string
  try {
    text = await readEnd(historyFile(file))
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw error
  }
  return parseHistory(text)
}

/** The lines that are whole and have every field. */
export function parseHistory(text: string): HistoryEntry[] {
  return text.split('\n').flatMap((line) => {
    try {
      const entry: unknown = JSON.parse(line)
      return isEntry(entry) ? [entry] : []
    } catch {
      return []
    }
  })
}

async function readEnd(path: string): Promise<string> {
  const handle = await open(path, 'r')
  try {
    const { size } = await handle.stat()
    const buffer = Buffer.alloc(Math.min(size, mostBytes))
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, size - buffer.length)
    return buffer.toString('utf8', 0, bytesRead)
  } finally {
    await handle.close()
  }
}

/** Anybody who may write beside the flags file may write here, so every field is checked. */
function isEntry(value: unknown): value is HistoryEntry {
  if (!isObject(value) || value['version'] !== 1) return false
  const { at, flag, from, to, changes = [], pilot, undoes, reason, warning } = value
  return (
    ['id', 'who', 'via', 'action', 'flag', 'before', 'after'].every(
      (name) => typeof value[name] === 'string',
    ) &&
    typeof at === 'string' &&
    !Number.isNaN(Date.parse(at)) &&
    [from, to].every((share) => share === undefined || typeof share === 'number') &&
    [undoes, reason, warning].every((text) => text === undefined || typeof text === 'string') &&
    Array.isArray(changes) &&
    changes.every((change) => isChangeOf(flag, change)) &&
    (pilot === undefined || isPilot(pilot))
  )
}

/** An edit records changes of its own flag only. */
function isChangeOf(flag: unknown, change: unknown): boolean {
  if (!isObject(change) || !Array.isArray(change['path'])) return false
  const path: readonly unknown[] = change['path']
  const [flags, name, ...rest] = path
  return (
    flags === 'flags' &&
    name === flag &&
    rest.length > 0 &&
    rest.every((part) => typeof part === 'string' || typeof part === 'number')
  )
}

function isPilot(value: unknown): boolean {
  if (!isObject(value) || !Array.isArray(value['values'])) return false
  const strings = [value['attribute'], ...(value['values'] as readonly unknown[])]
  return strings.every((text) => typeof text === 'string')
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}

/**
 * Appends lines, each of them whole, and syncs them. The caller holds the lock of the flags file.
 */
export async function appendEntries(file: string, lines: readonly HistoryEntry[]): Promise<void> {
  const handle = await open(historyFile(file), 'a+', 0o644)
  try {
    const { size } = await handle.stat()
    if (size === 0) {
      // Users who may edit the flags may write their history, even if root created it.
      const { uid, gid, mode } = await stat(file)
      await handle.chown(uid, gid).catch(() => {})
      await handle.chmod(mode & 0o666).catch(() => {})
    }
    const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, Math.max(0, size - 1))
    // A writer that was killed may leave half a line; the next one starts on its own line.
    const start = size === 0 || buffer.toString() === '\n' ? '' : '\n'
    await handle.appendFile(`${start}${lines.map((line) => `${JSON.stringify(line)}\n`).join('')}`)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** A change as the history keeps it. */
export function recorded({ path, from, to }: Change): RecordedChange {
  return { path, ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) }
}

/** A user's name, recognisable only to those who know it. */
export function hashName(name: string): string {
  return `sha256:${createHash('sha256').update(name).digest('hex').slice(0, 16)}`
}

/** Of an entry. */
export function newId(): string {
  return randomBytes(4).toString('hex')
}
