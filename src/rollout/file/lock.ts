import { randomBytes } from 'node:crypto'
import { readFileSync, readlinkSync } from 'node:fs'
import { open, readdir, rename, rm, stat, utimes } from 'node:fs/promises'
import { hostname } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { SwitchbackError } from '../../errors.ts'
import { hashOf } from './document.ts'

/**
 * A lock among processes that survives the death of any of them: Lamport's bakery with one file per
 * contender, so that nothing has to be taken over from the dead. Why, and why no flock:
 * docs/adr/0006-file-lock.md.
 */
export interface FileLock {
  release(): Promise<void>
}

/** Another machine's or container's contender counts as dead after this long, in ms. */
const foreignLease = 10_000

/**
 * Waits for the lock of a file.
 *
 * @throws {SwitchbackError} `SB_LOCK_BUSY` when living processes held it for `timeoutMs`.
 */
export async function lockFile(
  file: string,
  options: { readonly timeoutMs?: number; readonly signal?: AbortSignal } = {},
): Promise<FileLock> {
  const { timeoutMs = 5000, signal } = options
  const directory = dirname(file)
  const prefix = `.${basename(file)}.lock-`
  const me = uniqueName()
  const choosing = join(directory, `${prefix}choosing-${me}`)
  await (await open(choosing, 'wx', 0o600)).close()
  let mine = choosing
  try {
    const seen = await contenders(directory, prefix)
    const number = Math.max(0, ...seen.map((other) => other.ticket ?? 0)) + 1
    const ticket = join(directory, `${prefix}${number}-${me}`)
    await rename(choosing, ticket)
    mine = ticket
    const deadline = performance.now() + timeoutMs
    const waitWhile = async (blocks: (other: Contender) => boolean): Promise<void> => {
      for (;;) {
        const all = await contenders(directory, prefix)
        const blockers = all.filter((other) => other.name !== me && blocks(other))
        if (!(await anyAlive(blockers))) return
        signal?.throwIfAborted()
        if (performance.now() > deadline) throw busy(file)
        // The age of this file is the lease that contenders on other machines see.
        await utimes(ticket, new Date(), new Date())
        await sleep(blockers.length * (1 + Math.random()))
      }
    }
    // A contender that is still choosing may not have seen my ticket; one that starts from now on
    // has.
    await waitWhile((other) => other.ticket === undefined)
    await waitWhile(
      ({ ticket: theirs, name }) =>
        theirs !== undefined && (theirs < number || (theirs === number && name < me)),
    )
    return { release: () => rm(ticket, { force: true }) }
  } catch (error) {
    await rm(mine, { force: true })
    throw error
  }
}

function busy(file: string): SwitchbackError {
  return new SwitchbackError('SB_LOCK_BUSY', `another process is editing ${file}`, {
    hint: 'wait for it or end it, then try again',
  })
}

interface Contender {
  readonly name: string
  readonly path: string
  /** `undefined` while it is choosing. */
  readonly ticket: number | undefined
}

async function contenders(directory: string, prefix: string): Promise<Contender[]> {
  const found: Contender[] = []
  for (const entry of await readdir(directory)) {
    const match = entry.startsWith(prefix)
      ? /^(choosing|\d+)-(.+)$/.exec(entry.slice(prefix.length))
      : null
    if (match === null) continue
    const [, ticket = '', name = ''] = match
    const path = join(directory, entry)
    found.push({ name, path, ticket: ticket === 'choosing' ? undefined : Number(ticket) })
  }
  return found
}

/** Whether one of them lives; files of dead ones are removed. */
async function anyAlive(some: readonly Contender[]): Promise<boolean> {
  for (const { name, path } of some) {
    if (await isAlive(name, path)) return true
    await rm(path, { force: true })
  }
  return false
}

/**
 * A name that is unique among processes, and from which it can be seen whether its process lives.
 */
export function uniqueName(): string {
  return [world(), process.pid, startOf(process.pid), randomBytes(4).toString('hex')].join('-')
}

/**
 * Whether the process that made a {@link uniqueName} lives; by the age of `file` where that cannot
 * be seen.
 */
export async function isAlive(name: string, file: string): Promise<boolean> {
  const [theirWorld, pid = '', start = ''] = name.split('-')
  if (theirWorld !== world()) {
    const age = await stat(file).then(
      ({ mtimeMs }) => Date.now() - mtimeMs,
      () => Infinity,
    )
    return age < foreignLease
  }
  try {
    process.kill(Number(pid), 0)
  } catch (error) {
    // EPERM: the process lives and belongs to another user.
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
  return startOf(Number(pid)) === start
}

let cachedWorld: string | undefined

/** The scope of a process number: one boot of one machine, one PID namespace. */
function world(): string {
  cachedWorld ??= hashOf(
    [
      hostname(),
      attempt(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8')),
      attempt(() => readlinkSync('/proc/self/ns/pid')),
    ].join('|'),
  ).slice(0, 12)
  return cachedWorld
}

/** When a process started, so that a later one with the same number is not mistaken for it. */
function startOf(pid: number): string {
  const line = attempt(() => readFileSync(`/proc/${pid}/stat`, 'utf8'))
  // The command, in parentheses, may hold anything; the start is the 20th field after it.
  return line.slice(line.lastIndexOf(')') + 2).split(' ')[19] ?? '0'
}

function attempt(read: () => string): string {
  try {
    return read()
  } catch {
    return ''
  }
}
