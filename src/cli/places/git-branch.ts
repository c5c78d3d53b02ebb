import { randomBytes } from 'node:crypto'
import { quote, SwitchbackError } from '../../errors.ts'
import type { Git } from './git.ts'
import { requireNoOperation } from './git-operation.ts'
import { state } from './git-state.ts'

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

/** The branch as it was fetched. */
export interface FetchedBranch extends Upstream {
  /** Its commit at the remote; `''` without one. */
  readonly tip: string
}

/** How the clone stands to what was fetched. */
interface Standing extends FetchedBranch {
  /** As a person names it. */
  readonly path: string
  readonly head: string
  readonly ahead: number
  readonly behind: number
  /** The flags file has changes that are not committed. */
  readonly isDirty: boolean
}

/**
 * Asks the remote for the branch that is checked out.
 *
 * @throws {SwitchbackError} `SB_GIT_STATE`, `SB_GIT_FAILED`
 */
export async function fetchBranch(
  git: Git,
  path: string,
  signal?: AbortSignal,
): Promise<FetchedBranch> {
  const name = await checkedOut(git, path)
  if ((await git.ask(['remote'])) === '') return { name, remote: '', upstream: '', tip: '' }
  const [remote, upstream] = await Promise.all(
    ['remote', 'merge'].map(async (part) => {
      const { stdout } = await git.run(['config', `branch.${name}.${part}`])
      return stdout.trim()
    }),
  )
  if (!remote || !upstream || remote === '.') {
    throw state(`the branch ${quote(name)} has no upstream`, `run git push -u origin ${name}`)
  }
  return { name, remote, upstream, tip: await fetchTip(git, remote, upstream, signal) }
}

/** Under a name of its own, as another git may run here: FETCH_HEAD may be of another branch a moment later. */
async function fetchTip(
  git: Git,
  remote: string,
  upstream: string,
  signal: AbortSignal | undefined,
): Promise<string> {
  const ref = `refs/switchback/${randomBytes(6).toString('hex')}`
  await git.ask(['fetch', '--quiet', '--no-tags', '--refmap=', remote, `+${upstream}:${ref}`], {
    signal,
  })
  const tip = await git.ask(['rev-parse', ref])
  // Left behind it would only keep its commits.
  await git.run(['update-ref', '-d', ref])
  return tip
}

/**
 * Fast-forwards a clone that is merely behind, and refuses where a commit of this file would take
 * something along that nobody meant.
 *
 * @throws {SwitchbackError} `SB_GIT_STATE`, `SB_GIT_FAILED`
 */
export async function requireReady(
  git: Git,
  path: string,
  fetched: FetchedBranch,
): Promise<Branch> {
  const standing = await standingOf(git, path, fetched)
  const refusal = refusalOf(standing)
  if (refusal !== undefined) throw refusal
  await forward(git, standing)
  const { name, remote, upstream, tip, head } = standing
  return { name, remote, upstream, head: standing.behind > 0 ? tip : head }
}

/** Why a change would be refused now; `undefined` where it would not. */
export async function whyNotReady(
  git: Git,
  path: string,
  fetched: FetchedBranch,
): Promise<SwitchbackError | undefined> {
  return refusalOf(await standingOf(git, path, fetched))
}

/**
 * Fast-forwards a clone that is merely behind. Of others nothing is changed: they are refused as soon
 * as there is something to write.
 *
 * @throws {SwitchbackError} `SB_GIT_STATE`, `SB_GIT_FAILED`
 */
export async function catchUp(git: Git, path: string, fetched: FetchedBranch): Promise<void> {
  const standing = await standingOf(git, path, fetched)
  if (standing.ahead > 0 || standing.behind === 0) return
  if (standing.isDirty) throw refusalOf(standing)!
  await forward(git, standing)
}

/**
 * Refuses when the file here is not what the branch has at the remote. Commits of other files do not
 * matter.
 *
 * @throws {SwitchbackError} `SB_GIT_STATE`, `SB_GIT_FAILED`
 */
export async function requireSame(git: Git, path: string, fetched: FetchedBranch): Promise<void> {
  if (fetched.tip !== '') {
    const { code } = await git.run(['diff', '--quiet', fetched.tip, '--', path])
    if (code === 0) return
  }
  const standing = await standingOf(git, path, fetched)
  const refusal = refusalOf(standing)
  if (refusal !== undefined) throw refusal
  if (standing.behind > 0) throw state(behindText(standing), 'run git pull, then try again')
}

async function checkedOut(git: Git, path: string): Promise<string> {
  const { code, stdout } = await git.run(['symbolic-ref', '--short', 'HEAD'])
  if (code === 0) return stdout.trim()
  // In a rebase no branch is checked out either, and git switch would be the wrong remedy.
  await requireNoOperation(git, path)
  throw state('no branch is checked out', 'run git switch BRANCH')
}

async function standingOf(git: Git, path: string, fetched: FetchedBranch): Promise<Standing> {
  await requireNoOperation(git, path)
  const isDirty = (await git.ask(['status', '--porcelain', '--', path])) !== ''
  const head = await git.ask(['rev-parse', 'HEAD'])
  const standing = { ...fetched, path, head, isDirty }
  if (fetched.tip === '') return { ...standing, ahead: 0, behind: 0 }
  const range = `HEAD...${fetched.tip}`
  const counts = await git.ask(['rev-list', '--left-right', '--count', range])
  const [ahead = 0, behind = 0] = counts.split(/\s+/).map(Number)
  return { ...standing, ahead, behind }
}

function refusalOf(standing: Standing): SwitchbackError | undefined {
  const { name, remote, upstream, path, ahead, behind, isDirty } = standing
  if (isDirty) {
    return state(
      `${quote(path)} has changes that are not committed`,
      `commit them, or drop them with git restore --staged --worktree ${path}, then try again`,
    )
  }
  if (ahead > 0 && behind > 0) {
    return state(
      `${quote(name)} and ${nameOf(remote, upstream)} have diverged: ${commits(ahead)} here, ${behind} there`,
      'run git pull --rebase and git push, then try again; or try in a fresh clone',
    )
  }
  if (ahead === 0) return undefined
  return state(
    `${quote(name)} has ${commits(ahead)} not pushed yet, which would be pushed too`,
    'run git push, then try again; or try in a fresh clone',
  )
}

/** Git itself refuses to overwrite what is not committed, also of other files. */
async function forward(git: Git, standing: Standing): Promise<void> {
  if (standing.behind === 0) return
  const { code, why, stderr } = await git.run(['merge', '--ff-only', '--quiet', standing.tip])
  if (code === 0) return
  const files = [...stderr.matchAll(/^\t(.+)$/gm)].map(([, file]) => file)
  throw state(
    `${behindText(standing)} and cannot be fast-forwarded: ${[why, ...files].join(' ')}`,
    'commit or drop these changes, run git pull, then try again; or try in a fresh clone',
  )
}

function behindText({ name, behind, remote, upstream }: Standing): string {
  return `${quote(name)} is ${commits(behind)} behind ${nameOf(remote, upstream)}`
}

/** As people call the branch at the remote, e.g. `origin/main`. */
export function nameOf(remote: string, upstream: string): string {
  return `${remote}/${upstream.replace(/^refs\/heads\//, '')}`
}

function commits(count: number): string {
  return `${count} commit${count === 1 ? '' : 's'}`
}
