import { quote, SwitchbackError } from '../../errors.ts'
import type { Git } from './git.ts'

interface Upstream {
  readonly name: string
  /** `''`: it is not pushed. */
  readonly remote: string
  /** The branch at the remote, e.g. `refs/heads/main`. */
  readonly upstream: string
}

/** Where a commit goes. */
export interface Branch extends Upstream {
  readonly head: string
}

/**
 * Fetches, and refuses where a commit of this file would take something along that nobody meant.
 *
 * @throws {SwitchbackError} `SB_GIT_STATE`, `SB_GIT_FAILED`
 */
export async function requireReady(git: Git, path: string): Promise<Branch> {
  const name = await checkedOut(git)
  const dirty = await git.ask(['status', '--porcelain', '--', path])
  if (dirty !== '') {
    throw state(
      `${quote(path)} has changes that are not committed`,
      'commit them, or drop them with git restore --staged --worktree, then try again',
    )
  }
  const head = await git.ask(['rev-parse', 'HEAD'])
  const { remote, upstream } = await fetchUpstream(git, name)
  if (remote === '') return { name, head, remote, upstream }
  const counts = await git.ask(['rev-list', '--left-right', '--count', 'HEAD...FETCH_HEAD'])
  const [ahead = 0, behind = 0] = counts.split(/\s+/).map(Number)
  const theirs = nameOf(remote, upstream)
  if (ahead > 0 && behind > 0) {
    throw state(
      `${quote(name)} and ${theirs} have diverged: ${commits(ahead)} here, ${behind} there`,
      'run git pull --rebase and git push, then try again',
    )
  }
  if (behind > 0) {
    throw state(
      `${quote(name)} is ${commits(behind)} behind ${theirs}`,
      'run git pull, then try again',
    )
  }
  if (ahead > 0) {
    throw state(
      `${quote(name)} has ${commits(ahead)} not pushed yet, which would be pushed too`,
      'run git push, then try again',
    )
  }
  return { name, head, remote, upstream }
}

/**
 * Fetches, and refuses when the file here is not what the branch has at the remote. Commits of other
 * files do not matter.
 *
 * @throws {SwitchbackError} `SB_GIT_STATE`, `SB_GIT_FAILED`
 */
export async function requireSame(git: Git, path: string): Promise<void> {
  const { remote } = await fetchUpstream(git, await checkedOut(git))
  if (remote !== '') {
    const { code } = await git.run(['diff', '--quiet', 'FETCH_HEAD', '--', path])
    if (code === 0) return
  }
  await requireReady(git, path)
}

async function checkedOut(git: Git): Promise<string> {
  const { code, stdout } = await git.run(['symbolic-ref', '--short', 'HEAD'])
  if (code !== 0) throw state('no branch is checked out', 'run git switch BRANCH')
  return stdout.trim()
}

/** Fetches it, into FETCH_HEAD. */
async function fetchUpstream(git: Git, name: string): Promise<Upstream> {
  if ((await git.ask(['remote'])) === '') return { name, remote: '', upstream: '' }
  const [remote, upstream] = await Promise.all(
    ['remote', 'merge'].map(async (part) => {
      const { stdout } = await git.run(['config', `branch.${name}.${part}`])
      return stdout.trim()
    }),
  )
  if (!remote || !upstream || remote === '.') {
    throw state(`the branch ${quote(name)} has no upstream`, `run git push -u origin ${name}`)
  }
  await git.ask(['fetch', '--quiet', remote, upstream])
  return { name, remote, upstream }
}

/** As people call the branch at the remote, e.g. `origin/main`. */
export function nameOf(remote: string, upstream: string): string {
  return `${remote}/${upstream.replace(/^refs\/heads\//, '')}`
}

function commits(count: number): string {
  return `${count} commit${count === 1 ? '' : 's'}`
}

function state(message: string, hint: string): SwitchbackError {
  return new SwitchbackError('SB_GIT_STATE', message, { hint: `nothing was written; ${hint}` })
}
