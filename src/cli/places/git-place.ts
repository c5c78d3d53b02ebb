import { randomBytes } from 'node:crypto'
import { mkdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, extname, join } from 'node:path'
import { messageOf as textOf, quote, SwitchbackError } from '../../errors.ts'
import {
  type Applied,
  behindLinks,
  changedByOthers,
  entryOf,
  type FlagsEdit,
  type FlagsPlace,
  hashOf,
  type HistoryEntry,
  linesOf,
  parseHistory,
  readFlags,
  type ReadOptions,
  readText,
  whyFailing,
  type WriteOptions,
} from '../../rollout/index.ts'
import { type Environment, usageError } from '../framework/command.ts'
import { Git } from './git.ts'
import { type Branch, catchUp, nameOf, requireReady, requireSame } from './git-branch.ts'
import { requireNoConflict } from './git-operation.ts'
import { push } from './git-push.ts'
import { GitRemote } from './git-remote.ts'
import { unwritten } from './git-state.ts'

const TRAILER = 'Switchback-History: '
/** More commits of the file than these are not looked through. */
const MOST_COMMITS = 200
/** A push is refused when the remote has something newer, so a write need not ask again right after. */
const FRESH_MS = 5000

/**
 * The flags file in a Git repository, for teams that let Argo CD or Flux apply what Git says. A change
 * is a commit of this file alone, pushed before it counts here: the remote refuses it when somebody
 * was faster. The history is in the messages.
 *
 * @throws {SwitchbackError} `SB_USAGE` when the file is not in a repository
 */
export async function gitPlace(file: string, env: Environment): Promise<FlagsPlace> {
  const path = String(await behindLinks(file))
  const git = new Git(dirname(path), env)
  const found = await git.run(['ls-files', '--full-name', '--error-unmatch', '--', path])
  const inside = found.stdout.trim()
  if (found.code !== 0 || inside === '') {
    throw usageError(
      `--target git: ${quote(file)} is not in a Git repository`,
      'run where it is, or add and commit it first (git add)',
    )
  }
  const directory = join(await git.directory(), 'switchback')
  await mkdir(directory, { recursive: true })
  const remote = new GitRemote(git, path)
  return new GitPlace({ git, path, inside, directory, file, remote })
}

interface GitPlaceOptions {
  readonly git: Git
  /** On this machine. */
  readonly path: string
  /** In the repository. */
  readonly inside: string
  readonly directory: string
  /** As it was named. */
  readonly file: string
  readonly remote: GitRemote
  /** The text is read as the remote has it, until this ends. @default as the working tree has it */
  readonly following?: AbortSignal
}

class GitPlace implements FlagsPlace {
  readonly beside: string
  readonly byHand: string
  /** Argo CD looks every three minutes, Flux as it is told. */
  readonly reachMs = 300_000
  /** A push takes seconds. */
  readonly retries = 3
  readonly #options: GitPlaceOptions
  /** Of the last commit that was read. */
  #known: { readonly tip: string; readonly text: string } | undefined

  constructor(options: GitPlaceOptions) {
    const { directory, path, file } = options
    this.#options = options
    this.beside = join(directory, basename(path, extname(path)))
    this.byHand = `correct ${quote(file)} by hand and commit it, or run git revert`
  }

  toString(): string {
    return `git:${this.#options.file}`
  }

  toJSON(): string {
    return this.toString()
  }

  async check(): Promise<void> {
    const { git, path, inside, remote: fetched } = this.#options
    const { remote, upstream } = await requireReady(git, path, await fetched.within(0))
    if (remote === '') return
    await push(git, { remote, refspec: `HEAD:${upstream}`, file: inside, dryRun: true })
  }

  async requireCurrent(): Promise<void> {
    const { git, path, remote, following } = this.#options
    const fetched = await remote.within(following === undefined ? 0 : FRESH_MS)
    if (following === undefined || fetched.tip === '') await requireSame(git, path, fetched)
  }

  async update(): Promise<void> {
    const { git, path, remote } = this.#options
    try {
      const text = await readText(path).catch(() => '')
      await requireNoConflict(git, path, text)
      await catchUp(git, path, await remote.within(0))
    } catch (error) {
      throw unwritten(error)
    }
  }

  follow(signal: AbortSignal): FlagsPlace {
    return new GitPlace({ ...this.#options, following: signal })
  }

  get trouble(): string {
    const { following, remote } = this.#options
    return following === undefined ? '' : remote.trouble
  }

  async read(options?: ReadOptions): Promise<string> {
    const { git, path } = this.#options
    const tip = await this.#tip()
    if (tip !== '') return this.#textAt(tip)
    const text = await readText(path, options)
    await requireNoConflict(git, path, text)
    return text
  }

  async history(): Promise<HistoryEntry[]> {
    const format = ['--reverse', '--format=%B', `-${MOST_COMMITS}`]
    const log = await this.#log(format)
    return entriesIn(log)
  }

  async stamp(): Promise<string> {
    return (await this.#tip()) || this.#log(['-1', '--format=%H'])
  }

  async lastGood(): Promise<string | undefined> {
    const { git, inside } = this.#options
    const format = ['--format=%x00%H%n%B', `-${MOST_COMMITS}`, `--grep=^${TRAILER}`]
    for (const each of (await this.#log(format)).split('\0').slice(1)) {
      const commit = each.slice(0, each.indexOf('\n'))
      const flag = entriesIn(each).at(-1)?.flag ?? ''
      const { code, stdout } = await git.run(['show', `${commit}:${inside}`])
      if (code === 0 && isGood(stdout, flag)) return stdout
    }
    return undefined
  }

  async write(edit: FlagsEdit, { by, signal }: WriteOptions): Promise<Applied> {
    const { git, inside, remote: fetched } = this.#options
    const entry = entryOf(edit, by)
    const { branch, commit } = await this.#prepare(edit, entry, signal).catch((error: unknown) => {
      throw unwritten(error)
    })
    const at = performance.now()
    const { remote, upstream } = branch
    const pushed = remote === '' ? '' : nameOf(remote, upstream)
    if (pushed !== '') {
      await push(git, { remote, refspec: `${commit}:${upstream}`, file: inside })
      fetched.pushed(commit)
    }
    const short = commit.slice(0, 9)
    const done = { file: inside, hash: edit.after.hash, at, history: entry }
    try {
      await this.#follow(commit, edit, branch)
      return { ...done, warning: slow(short, pushed) }
    } catch (error) {
      // All others have it once it is pushed, whatever fails here.
      if (pushed === '') throw error
      const left = `this clone does not have it yet, so run git pull (${textOf(error)})`
      return { ...done, warning: `${slow(short, pushed)}; ${left}` }
    }
  }

  record(): Promise<boolean> {
    const what = 'it is a commit already; its line is written with the next change'
    return Promise.reject(new Error(what))
  }

  /** The commit, if the file is still what the edit was made from. */
  async #prepare(
    edit: FlagsEdit,
    entry: HistoryEntry,
    signal: AbortSignal | undefined,
  ): Promise<{ readonly branch: Branch; readonly commit: string }> {
    const { git, path, file, remote } = this.#options
    const branch = await requireReady(git, path, await remote.within(FRESH_MS, signal))
    if (hashOf(await readText(path).catch(() => '')) !== edit.before.hash) {
      throw changedByOthers(quote(file))
    }
    const lines = await linesOf(this, edit, entry, await this.history())
    return { branch, commit: await this.#commit(edit, messageOf(edit, lines), branch, signal) }
  }

  /** The commit that is read, of who follows the remote; `''`: what is checked out. */
  async #tip(): Promise<string> {
    const { following, remote } = this.#options
    return following === undefined ? '' : ((await remote.look(following))?.tip ?? '')
  }

  async #textAt(tip: string): Promise<string> {
    const { git, inside } = this.#options
    if (this.#known?.tip !== tip) {
      const { code, stdout, why } = await git.run(['show', `${tip}:${inside}`])
      if (code !== 0) {
        const what = `the remote has no ${quote(inside)}: ${why}`
        throw new SwitchbackError('SB_FILE_MISSING', what, { hint: this.byHand })
      }
      this.#known = { tip, text: stdout }
    }
    return this.#known.text
  }

  async #log(args: readonly string[]): Promise<string> {
    const { git, path } = this.#options
    return git.ask(['log', ...args, (await this.#tip()) || 'HEAD', '--', path])
  }

  /** A commit of this file alone, which nothing points to yet: index and working tree are untouched. */
  async #commit(
    { after }: FlagsEdit,
    message: string,
    { head }: Branch,
    signal: AbortSignal | undefined,
  ): Promise<string> {
    const { git, inside, directory } = this.#options
    const index = join(directory, `index-${randomBytes(6).toString('hex')}`)
    const own = { env: { GIT_INDEX_FILE: index }, signal }
    try {
      const blob = await git.ask(['hash-object', '-w', '--stdin', `--path=${inside}`], {
        input: after.text,
        signal,
      })
      const [mode = '100644'] = (
        await git.ask(['ls-tree', '--full-tree', head, '--', inside])
      ).split(' ')
      await git.ask(['read-tree', head], own)
      await git.ask(['update-index', '--add', '--cacheinfo', `${mode},${blob},${inside}`], own)
      const tree = await git.ask(['write-tree'], own)
      const { stdout } = await git.run(['config', '--type=bool', 'commit.gpgSign'])
      const sign = stdout.trim() === 'true' ? ['-S'] : []
      return await git.ask(['commit-tree', ...sign, '-p', head, '-F', '-', tree], {
        input: message,
        signal,
      })
    } finally {
      await rm(index, { force: true })
    }
  }

  /** Moves the branch, the index and the file to the commit: all of them, or none. */
  async #follow(commit: string, edit: FlagsEdit, { name, head }: Branch): Promise<void> {
    const { git, inside, file } = this.#options
    const move = ['update-ref', '-m', `switchback ${edit.action}`, `refs/heads/${name}`]
    const moved = await git.run([...move, commit, head])
    if (moved.code !== 0) throw changedByOthers(`the branch of ${quote(file)}`)
    const index = ['reset', '--quiet', 'HEAD', '--', `:/${inside}`]
    try {
      await git.ask(index)
      await this.#replace(edit.after.text)
    } catch (error) {
      // Else git pull would find nothing to do, and the next commit would take the change back.
      await git.run([...move, head, commit])
      await git.run(index)
      throw error
    }
  }

  /** By a rename, for a flagd that watches the working tree. */
  async #replace(text: string): Promise<void> {
    const { path } = this.#options
    const temporary = join(
      dirname(path),
      `.${basename(path)}.git-${randomBytes(4).toString('hex')}`,
    )
    try {
      const mode = await stat(path).then(
        (old) => old.mode,
        () => 0o644,
      )
      await writeFile(temporary, text, { mode: mode & 0o777, flag: 'wx' })
      await rename(temporary, path)
    } finally {
      await rm(temporary, { force: true })
    }
  }
}

function messageOf({ action, flag, from, to }: FlagsEdit, lines: readonly HistoryEntry[]): string {
  const { who = '', via = '', reason } = lines.at(-1) ?? {}
  const move = to === undefined ? action : `${from ?? '?'} % -> ${to} %`
  const why = reason === undefined ? '' : `\n${reason}\n`
  const trailers = lines.map((entry) => TRAILER + JSON.stringify(entry)).join('\n')
  return `${flag}: ${move} (switchback ${action})\n${why}\nBy ${who}, ${via}.\n\n${trailers}\n`
}

/** The lines of the history in messages of commits. */
function entriesIn(messages: string): HistoryEntry[] {
  const lines = messages.split('\n').filter((line) => line.startsWith(TRAILER))
  return parseHistory(lines.map((line) => line.slice(TRAILER.length)).join('\n'))
}

/** A flag that was disabled for its rule has the rule still, in the commit that disabled it. */
function isGood(text: string, flag: string): boolean {
  try {
    return whyFailing(readFlags(text), flag) === ''
  } catch {
    // A merge may have broken the text of a commit with our line.
    return false
  }
}

function slow(commit: string, pushed: string): string {
  return pushed === ''
    ? `committed as ${commit}; the branch has no remote, so nobody else has it`
    : `pushed as ${commit} to ${pushed}; this is slow: the processes have it only after Argo CD or Flux has synced`
}
