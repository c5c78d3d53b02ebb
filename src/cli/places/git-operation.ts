import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { quote } from '../../errors.ts'
import type { Git } from './git.ts'
import { state } from './git-state.ts'

/** What git leaves in its directory while a command waits for a person, the most telling first. */
const OPERATIONS = [
  ['rebase-apply/applying', 'am'],
  ['rebase-merge', 'rebase'],
  ['rebase-apply', 'rebase'],
  ['MERGE_HEAD', 'merge'],
  ['CHERRY_PICK_HEAD', 'cherry-pick'],
  ['REVERT_HEAD', 'revert'],
] as const

/**
 * Refuses in the middle of a merge or a rebase: what is checked out is not what anybody has meant.
 *
 * @param path of the flags file: whether that has conflicts is told too
 * @throws {SwitchbackError} `SB_GIT_STATE`
 */
export async function requireNoOperation(git: Git, path: string): Promise<void> {
  const directory = await git.directory()
  const found = OPERATIONS.find(([file]) => existsSync(join(directory, file)))
  if (found === undefined) return
  const [, command] = found
  const unmerged = (await git.ask(['ls-files', '-u', '--', path])) !== ''
  const where = unmerged ? `, with conflicts in ${quote(path)}` : ''
  throw state(
    `a git ${command} is in progress in this clone${where}`,
    `finish it (git ${command} --continue) or drop it (git ${command} --abort), then try again; or try in a fresh clone`,
  )
}

/** Markers that a merge, a stash or a cherry-pick has left. */
export function conflictLine(text: string): number {
  const at = /^<{7} /m.exec(text)?.index
  return at === undefined ? 0 : text.slice(0, at).split('\n').length
}

/** @throws {SwitchbackError} `SB_GIT_STATE` when the file here has conflicts; committed ones are what all others have too */
export async function requireNoConflict(git: Git, path: string, text: string): Promise<void> {
  const line = conflictLine(text)
  if (line === 0 || (await git.ask(['status', '--porcelain', '--', path])) === '') return
  await requireNoOperation(git, path)
  throw state(
    `${quote(path)} has conflict markers (line ${line}) that are not committed`,
    `resolve and commit them, or drop the changes with git restore --source=HEAD --staged --worktree ${path}, then try again`,
  )
}
