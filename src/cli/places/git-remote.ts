import { clock } from '../../clock.ts'
import { isSwitchbackError, messageOf } from '../../errors.ts'
import type { Git } from './git.ts'
import { type FetchedBranch, fetchBranch, nameOf, whyNotReady } from './git-branch.ts'

/** Who runs for long asks the remote this often: Argo CD asks every three minutes. */
const EVERY_MS = 5000
/** A remote that has not answered for so long is told, though git still waits for it. */
const SILENT_MS = 30_000

/** What the remote has of the branch, asked no more often than it must be. */
export class GitRemote {
  readonly #git: Git
  readonly #path: string
  #last: { readonly branch: FetchedBranch; readonly at: number } | undefined
  #pushedAt = Number.NEGATIVE_INFINITY
  #asking: Promise<void> | undefined
  #askedAt = Number.NEGATIVE_INFINITY
  /** Epoch milliseconds of the last answer, or of the first question. */
  #heardAt = 0
  #failure = ''
  #refusal = ''

  constructor(git: Git, path: string) {
    this.#git = git
    this.#path = path
  }

  /**
   * As it was at most so long ago.
   *
   * @throws {SwitchbackError} `SB_GIT_STATE`, `SB_GIT_FAILED`
   */
  async within(ageMs: number, signal?: AbortSignal): Promise<FetchedBranch> {
    const last = this.#last
    if (last !== undefined && performance.now() - last.at < ageMs) return last.branch
    const sentAt = performance.now()
    const branch = await fetchBranch(this.#git, this.#path, signal)
    this.#heardAt = Date.now()
    // What was asked before a push does not have it.
    if (this.#last === undefined || sentAt > this.#pushedAt) this.#last = { branch, at: sentAt }
    return this.#last.branch
  }

  /** This commit is there since now. */
  pushed(commit: string): void {
    if (this.#last === undefined) return
    this.#pushedAt = performance.now()
    this.#last = { branch: { ...this.#last.branch, tip: commit }, at: this.#pushedAt }
  }

  /**
   * For who looks again and again: never rejects, and waits for the remote only the first time.
   * `undefined` while nothing is known.
   */
  async look(signal: AbortSignal): Promise<FetchedBranch | undefined> {
    const isFirst = this.#heardAt === 0
    if (isFirst) this.#heardAt = Date.now()
    if (this.#asking === undefined && performance.now() - this.#askedAt >= EVERY_MS) {
      this.#askedAt = performance.now()
      this.#asking = this.#ask(signal).finally(() => {
        this.#asking = undefined
      })
    }
    if (isFirst) await this.#asking
    return this.#last?.branch
  }

  /** Why what is known may be old, or could not be changed; `''` where all is well. */
  get trouble(): string {
    const silent = this.#asking !== undefined && performance.now() - this.#askedAt > SILENT_MS
    const why = this.#failure === '' && silent ? 'the remote does not answer' : this.#failure
    if (why === '') return this.#refusal
    if (this.#last === undefined) return `what the remote has is not known: ${why}`
    const { remote, upstream } = this.#last.branch
    return `what ${nameOf(remote, upstream)} has is not known since ${clock(this.#heardAt)} UTC: ${why}`
  }

  async #ask(signal: AbortSignal): Promise<void> {
    try {
      const branch = await this.within(0, signal)
      this.#failure = ''
      const refusal = await whyNotReady(this.#git, this.#path, branch)
      this.#refusal = refusal === undefined ? '' : `a change would be refused: ${textOf(refusal)}`
    } catch (error) {
      // The end of the command ends the question too.
      if (!signal.aborted) this.#failure = textOf(error)
    }
  }
}

function textOf(error: unknown): string {
  const hint = isSwitchbackError(error) ? (error.hint ?? '') : ''
  return hint === '' ? messageOf(error) : `${messageOf(error)}; ${hint}`
}
